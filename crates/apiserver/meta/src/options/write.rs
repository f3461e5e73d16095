//! Options of `create`, `update` and `patch`.

use super::query::{Query, dry_run, refuse};
use super::{FieldValidation, PatchOptions, WriteOptions};
use crate::error::ApiError;
use crate::field::{FieldError, FieldPath, is_printable};
use crate::validation::{FIELD_MANAGER_MAX, validate_field_manager};

/// Which options a write reads: they differ in their name alone, which errors tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// `CreateOptions`.
    Create,
    /// `UpdateOptions`.
    Update,
}

/// Which patch is asked for, as far as its options care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// Server-side apply: `fieldManager` must be named, `force` may be.
    Apply,
    /// Any other patch.
    Other,
}

impl WriteOptions {
    /// Reads a decoded query. `user_agent` is the header's value, from which the field manager is taken when none is named.
    ///
    /// # Errors
    /// 422 for values that are not supported.
    pub fn from_query(query: &[(String, String)], kind: WriteKind, user_agent: &str) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        let options = Self::read(Query(query), user_agent, &mut errors);
        let kind = match kind {
            WriteKind::Create => "CreateOptions",
            WriteKind::Update => "UpdateOptions",
        };
        refuse(kind, &errors)?;
        Ok(options)
    }

    fn read(query: Query<'_>, user_agent: &str, errors: &mut Vec<FieldError>) -> Self {
        let manager = query.text("fieldManager");
        errors.extend(validate_field_manager(manager, &FieldPath::new("fieldManager")));
        Self {
            dry_run: dry_run(query.all("dryRun"), errors),
            field_validation: field_validation(query.text("fieldValidation"), errors),
            field_manager: if manager.is_empty() { manager_of(user_agent) } else { manager.to_owned() },
        }
    }
}

impl PatchOptions {
    /// Reads a decoded query, as [`WriteOptions::from_query`] does.
    ///
    /// # Errors
    /// 422 for values that are not supported, for an apply without a manager and for `force` on anything else.
    pub fn from_query(query: &[(String, String)], kind: PatchKind, user_agent: &str) -> Result<Self, ApiError> {
        let query = Query(query);
        let force = query.boolean("force");
        let mut errors = Vec::new();
        match kind {
            PatchKind::Apply if query.text("fieldManager").is_empty() => {
                errors.push(FieldError::required(&FieldPath::new("fieldManager"), "is required for apply patch"));
            }
            PatchKind::Other if force.is_some() => {
                errors.push(FieldError::forbidden(&FieldPath::new("force"), "may not be specified for non-apply patch"));
            }
            PatchKind::Apply | PatchKind::Other => {}
        }
        let write = WriteOptions::read(query, user_agent, &mut errors);
        refuse("PatchOptions", &errors)?;
        Ok(Self { write, force })
    }
}

fn field_validation(text: &str, errors: &mut Vec<FieldError>) -> FieldValidation {
    match text {
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        "" | "Warn" => FieldValidation::Warn,
        _ => {
            let path = FieldPath::new("fieldValidation");
            errors.push(FieldError::not_supported(&path, text, &["", "Ignore", "Strict", "Warn"]));
            FieldValidation::default()
        }
    }
}

/// The program's name in a User-Agent: what stands before the first `/`, as far as it can be printed and fits.
fn manager_of(user_agent: &str) -> String {
    let mut manager = String::new();
    let program = user_agent.split('/').next().unwrap_or("");
    for char in program.chars().filter(|char| is_printable(*char)) {
        if manager.len() + char.len_utf8() > FIELD_MANAGER_MAX {
            break;
        }
        manager.push(char);
    }
    if manager.is_empty() { "unknown".into() } else { manager }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::DryRun;
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect()
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let options = WriteOptions::from_query(&[], WriteKind::Create, "kubectl/v1.36 (linux)").unwrap();
        assert_eq!((options.dry_run, options.field_validation), (DryRun::No, FieldValidation::Warn));
        assert_eq!(options.field_manager, "kubectl");
        let said =
            query(&[("dryRun", "All"), ("fieldValidation", "Strict"), ("fieldManager", "m"), ("fieldManager", "n"), ("pretty", "1")]);
        let options = WriteOptions::from_query(&said, WriteKind::Update, "kubectl/v1.36").unwrap();
        assert_eq!((options.dry_run, options.field_validation), (DryRun::All, FieldValidation::Strict));
        assert_eq!(options.field_manager, "m");
    }

    #[test]
    fn the_manager_is_the_first_word_of_the_user_agent() {
        let long = "ä".repeat(100);
        for (agent, want) in [
            ("kubectl/v1.36", "kubectl"),
            ("Mozilla 5.0", "Mozilla 5.0"),
            ("a\tb\u{7f}/1", "ab"),
            ("", "unknown"),
            ("/x", "unknown"),
            (long.as_str(), &"ä".repeat(64)),
        ] {
            assert_eq!(manager_of(agent), want, "{agent}");
        }
    }

    #[test]
    fn bad_values_are_refused_in_the_words_of_upstream() {
        let write = |pairs: &[(&str, &str)]| WriteOptions::from_query(&query(pairs), WriteKind::Create, "").unwrap_err();
        let long = "m".repeat(129);
        for (pairs, want) in [
            (
                [("fieldValidation", "Sometimes")],
                r#"fieldValidation: Unsupported value: "Sometimes": supported values: "", "Ignore", "Strict", "Warn""#,
            ),
            ([("dryRun", "Maybe")], r#"dryRun: Unsupported value: ["Maybe"]: supported values: "All""#),
            ([("dryRun", "")], r#"dryRun: Unsupported value: [""]: supported values: "All""#),
            ([("fieldManager", "a\u{7}")], r#"fieldManager: Invalid value: "a\a": invalid character U+0007 (at position 1)"#),
            ([("fieldManager", long.as_str())], "fieldManager: Too long: may not be more than 128 bytes"),
        ] {
            let error = write(&pairs);
            assert_eq!((error.code(), error.message), (422, format!("CreateOptions.meta.k8s.io \"\" is invalid: {want}")));
        }
    }

    #[test]
    fn good_values_are_taken() {
        for pairs in [
            &[("dryRun", "All"), ("dryRun", "All")][..],
            &[("fieldManager", "fieldManager")],
            &[("fieldManager", "\u{4f60}\u{597d}")],
            &[("fieldManager", "\u{1f354}")],
            &[("fieldManager", "m"), ("fieldValidation", "")],
        ] {
            assert!(WriteOptions::from_query(&query(pairs), WriteKind::Update, "").is_ok(), "{pairs:?}");
        }
        for (pairs, kind) in [
            (&[("force", "true"), ("fieldManager", "kubectl")][..], PatchKind::Apply),
            (&[("fieldManager", "kubectl")], PatchKind::Apply),
            (&[], PatchKind::Other),
            (&[("fieldManager", "patcher")], PatchKind::Other),
        ] {
            assert!(PatchOptions::from_query(&query(pairs), kind, "").is_ok(), "{pairs:?}");
        }
        let twice = query(&[("dryRun", "All"), ("dryRun", "False")]);
        assert_eq!(WriteOptions::from_query(&twice, WriteKind::Create, "").unwrap_err().code(), 422);
    }

    #[test]
    fn only_apply_knows_force_and_it_needs_a_manager() {
        let patch = |pairs: &[(&str, &str)], kind| PatchOptions::from_query(&query(pairs), kind, "curl/8");
        assert_eq!(patch(&[("fieldManager", "m"), ("force", "true")], PatchKind::Apply).unwrap().force, Some(true));
        assert_eq!(patch(&[], PatchKind::Other).unwrap().write.field_manager, "curl");
        assert_eq!(
            patch(&[], PatchKind::Apply).unwrap_err().message,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
        );
        assert_eq!(
            patch(&[("force", "false")], PatchKind::Other).unwrap_err().message,
            "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
        );
    }
}
