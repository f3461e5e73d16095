//! Who set which field: managed fields for every write path, and server-side apply.
//!
//! Pure functions over JSON trees and a [`Schema`](apiserver_meta::Schema), after KEP-555 and the structured merge the API
//! concepts page describes. [`update`] follows a write that has been made, [`apply`] makes one; the one or the other
//! is called once for each write. Refused: clocks (the time comes with the [`Manager`]), kinds, stores, and
//! conversion: a kind has one version, and what managers of another version owned is nobody's.
//!
//! ```
//! use apiserver_fieldmanager::{ApplyError, Manager, apply};
//! use apiserver_meta::{Object, testing};
//! use serde_json::json;
//!
//! let books = testing::books();
//! let book = |name: &str| {
//!     let (api_version, kind) = ("library.example.com/v1", "Book");
//!     Object::from_value(json!({"apiVersion": api_version, "kind": kind, "spec": {"displayName": name}})).expect("an object")
//! };
//! let by = |name| Manager { name, api_version: "library.example.com/v1", subresource: "", time: "2026-01-01T00:00:00Z" };
//! let live = apply(books.schema(), None, &book("Emma"), by("ann"), false, &[])?;
//! let refused = apply(books.schema(), Some(&live), &book("Persuasion"), by("bob"), false, &[]);
//! let Err(ApplyError::Conflicts(conflicts, ..)) = refused else { panic!("ann owns the name") };
//! assert_eq!(conflicts[0].field, ".spec.displayName");
//! # Ok::<(), ApplyError>(())
//! ```
#![warn(missing_docs)]

mod apply;
mod changes;
mod compare;
mod ignored;
mod last_applied;
mod managed;
mod merge;
mod order;
mod path;
mod remove;
mod serialize;
mod set;
mod times;
mod typed;
mod update;
mod validate;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use managed::{InvalidManagedFields, validate_managed_fields};
pub use times::keep_times;
pub use update::update;

/// Who is writing, and how.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    /// The manager's name; empty is `unknown`.
    pub name: &'a str,
    /// `group/version` of the request.
    pub api_version: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// RFC 3339, whole seconds, UTC.
    pub time: &'a str,
}

/// A field that the write path wipes or restores, and that the manager therefore never owns: member names from the root.
pub type ResetField = &'static [&'static str];

/// Why an apply was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Other managers own fields that the applied object would change: 409. The text is the message of the answer.
    #[error("{}", conflict_message(.0, *.1))]
    Conflicts(
        /// Of very many the first.
        Vec<Conflict>,
        /// How many there are.
        usize,
    ),
    /// The applied object is not one that can be applied: 400.
    #[error("{0}")]
    Malformed(String),
}

/// One field that somebody else owns. Its text is the message of the cause `FieldManagerConflict`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("conflict with {manager}")]
pub struct Conflict {
    /// The other manager, for example `"kubectl" using library.example.com/v1`.
    pub manager: String,
    /// The field in the wording of field paths, for example `.spec.displayName`.
    pub field: String,
}

/// Conflicts come sorted by manager; the message names each manager once.
fn conflict_message(conflicts: &[Conflict], all: usize) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: {one}: {}", one.field);
    }
    let mut lines = Vec::new();
    let mut told = None;
    for conflict in conflicts {
        if told != Some(&conflict.manager) {
            lines.push(format!("conflicts with {}:", conflict.manager));
            told = Some(&conflict.manager);
        }
        lines.push(format!("- {}", conflict.field));
    }
    if conflicts.len() < all {
        lines.push(format!("and more: the first {} are told", conflicts.len()));
    }
    format!("Apply failed with {all} conflicts: {}", lines.join("\n"))
}
