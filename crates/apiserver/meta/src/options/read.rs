//! Options of `get`, `list` and `watch`.

use super::query::{Query, refuse};
use super::{GetOptions, ListOptions, ResourceVersion, VersionMatch};
use crate::error::ApiError;
use crate::field::{FieldError, FieldPath};
use crate::selector::{FieldSelector, LabelSelector};

impl GetOptions {
    /// Reads a decoded query.
    ///
    /// # Errors
    /// 400 for a resourceVersion that is no number, and for `export`, which the API has given up.
    pub fn from_query(query: &[(String, String)]) -> Result<Self, ApiError> {
        let query = Query(query);
        if query.boolean("export") == Some(true) {
            return Err(ApiError::bad_request("the export parameter, deprecated since v1.14, is no longer supported"));
        }
        Ok(Self { resource_version: query.resource_version()? })
    }
}

impl ListOptions {
    /// Reads a decoded query. Whether the selected fields are selectable is not asked here.
    ///
    /// # Errors
    /// 400 for selectors and numbers that cannot be read, 422 for combinations that make no sense.
    pub fn from_query(query: &[(String, String)]) -> Result<Self, ApiError> {
        let query = Query(query);
        // Of several faults the client is told the first, in upstream's order: numbers, then selectors.
        let timeout = query.integer("timeoutSeconds")?;
        let limit = query.integer("limit")?.unwrap_or(0);
        let selector_error = |error: crate::selector::SelectorError| ApiError::bad_request(error.0);
        let labels = LabelSelector::parse(query.text("labelSelector")).map_err(selector_error)?;
        let fields = FieldSelector::parse(query.text("fieldSelector")).map_err(selector_error)?;
        let watch = query.boolean("watch").unwrap_or(false);
        let mut errors = Vec::new();
        let version_match = if watch { watch_match(query, &mut errors) } else { list_match(query, &mut errors) };
        refuse("ListOptions", &errors)?;
        if !watch && !query.text("continue").is_empty() && !is_nowhere(query.text("resourceVersion")) {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let resource_version = query.resource_version()?;
        let options = Self {
            labels,
            fields,
            resource_version,
            version_match,
            // A negative limit is none.
            limit: usize::try_from(limit).unwrap_or(0),
            continue_token: query.text("continue").to_owned(),
            watch,
            bookmarks: query.boolean("allowWatchBookmarks").unwrap_or(false),
            initial_events: query.boolean("sendInitialEvents"),
            timeout_seconds: timeout.filter(|seconds| *seconds != 0).map(|seconds| u64::try_from(seconds).unwrap_or(0)),
        };
        Ok(options.defaulted())
    }

    /// A watch from nowhere begins with the state: that is what it always did, said in newer words.
    fn defaulted(mut self) -> Self {
        let from_nowhere = matches!(self.resource_version, ResourceVersion::Unset | ResourceVersion::Any);
        if self.watch && from_nowhere && self.version_match.is_none() && self.initial_events.is_none() {
            self.initial_events = Some(true);
            self.version_match = Some(VersionMatch::NotOlderThan);
        }
        self
    }
}

/// Whether a resourceVersion is none in particular.
fn is_nowhere(text: &str) -> bool {
    matches!(text, "" | "0")
}

fn parse_match(text: &str) -> Option<VersionMatch> {
    match text {
        "Exact" => Some(VersionMatch::Exact),
        "NotOlderThan" => Some(VersionMatch::NotOlderThan),
        _ => None,
    }
}

/// `resourceVersionMatch` of a list, and what does not go with it.
fn list_match(query: Query<'_>, errors: &mut Vec<FieldError>) -> Option<VersionMatch> {
    let path = FieldPath::new("resourceVersionMatch");
    let text = query.text("resourceVersionMatch");
    let parsed = parse_match(text);
    let version = query.text("resourceVersion");
    if !text.is_empty() {
        if version.is_empty() {
            errors.push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if !query.text("continue").is_empty() {
            errors.push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if parsed.is_none() {
            errors.push(FieldError::not_supported(&path, text, &["Exact", "NotOlderThan", ""]));
        }
        if parsed == Some(VersionMatch::Exact) && version == "0" {
            errors.push(FieldError::forbidden(&path, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
    }
    if query.boolean("sendInitialEvents").is_some() {
        errors.push(FieldError::forbidden(&FieldPath::new("sendInitialEvents"), "sendInitialEvents is forbidden for list"));
    }
    parsed
}

/// `resourceVersionMatch` of a watch, which goes with `sendInitialEvents` and nothing else.
fn watch_match(query: Query<'_>, errors: &mut Vec<FieldError>) -> Option<VersionMatch> {
    let path = FieldPath::new("resourceVersionMatch");
    let text = query.text("resourceVersionMatch");
    let parsed = parse_match(text);
    let initial_events = query.boolean("sendInitialEvents").is_some();
    if initial_events && parsed != Some(VersionMatch::NotOlderThan) {
        errors.push(FieldError::forbidden(&path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if !text.is_empty() {
        if !initial_events {
            errors.push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
        }
        if parsed != Some(VersionMatch::NotOlderThan) {
            errors.push(FieldError::not_supported(&path, text, &["NotOlderThan"]));
        }
    }
    // A watch from nowhere is given a match before it is judged.
    let has_match = !text.is_empty() || (!initial_events && is_nowhere(query.text("resourceVersion")));
    if has_match && !query.text("continue").is_empty() {
        errors.push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
    }
    parsed
}

#[cfg(test)]
mod tests;
