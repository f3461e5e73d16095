//! Single parameters of a query, converted as upstream converts them.

use super::{DryRun, ResourceVersion};
use crate::error::ApiError;
use crate::field::{FieldError, FieldPath, quoted};
use std::num::{IntErrorKind, ParseIntError};

/// The group that option kinds belong to in errors.
pub(super) const GROUP: &str = "meta.k8s.io";

/// Whether the value of a boolean parameter is true: everything is but `0` and `false`.
pub fn is_true(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

/// A decoded query.
#[derive(Clone, Copy)]
pub(super) struct Query<'a>(pub(super) &'a [(String, String)]);

impl<'a> Query<'a> {
    /// The first value of a parameter.
    pub(super) fn first(self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The first value of a parameter; empty when it is not given.
    pub(super) fn text(self, name: &str) -> &'a str {
        self.first(name).unwrap_or("")
    }

    /// Every value of a parameter.
    pub(super) fn all(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A boolean parameter ([`is_true`]); nothing is an error.
    pub(super) fn boolean(self, name: &str) -> Option<bool> {
        self.first(name).map(is_true)
    }

    /// A whole number.
    pub(super) fn integer(self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.first(name) else { return Ok(None) };
        let refuse = |error| ApiError::bad_request(format!("strconv.ParseInt: parsing {}: {}", quoted(value), why(&error)));
        value.parse().map(Some).map_err(refuse)
    }

    /// `resourceVersion`.
    pub(super) fn resource_version(self) -> Result<ResourceVersion, ApiError> {
        let value = self.text("resourceVersion");
        if value.is_empty() {
            return Ok(ResourceVersion::Unset);
        }
        let why = match value.parse() {
            // Go's parser takes no sign, Rust's takes a plus.
            Ok(_) if value.starts_with('+') => "invalid syntax",
            Ok(0) => return Ok(ResourceVersion::Any),
            Ok(number) => return Ok(ResourceVersion::At(number)),
            Err(error) => why(&error),
        };
        let detail = format!("strconv.ParseUint: parsing {}: {why}", quoted(value));
        let error = FieldError::invalid(&FieldPath::new("resourceVersion"), value, detail);
        Err(ApiError::bad_request(format!("invalid resource version: {error}")))
    }
}

/// Reads `dryRun`, which may be given several times. `All` is the only valid value.
pub(super) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut Vec<FieldError>) -> DryRun {
    let values: Vec<&str> = values.collect();
    if values.iter().any(|value| *value != "All") {
        errors.push(FieldError::not_supported(&FieldPath::new("dryRun"), values, &["All"]));
        return DryRun::No;
    }
    if values.is_empty() { DryRun::No } else { DryRun::All }
}

/// 422 of an options kind, unless there are no errors.
pub(super) fn refuse(kind: &str, errors: &[FieldError]) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(GROUP, kind, "", errors)) }
}

/// The text of Go's `strconv` for a text that is no number.
fn why(error: &ParseIntError) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}
