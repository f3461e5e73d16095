//! Options of requests: list, get, create, update, patch and delete options.
//!
//! Read from a query string (and for delete from a body) by `from_query` and friends, which answer the API's
//! own errors. Parameters that are not known are ignored, as in upstream.

use crate::selector::{FieldSelector, LabelSelector};

mod delete;
mod query;
mod read;
mod write;

pub use query::is_true;
pub use write::{PatchKind, WriteKind};

/// The resourceVersion that a read requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResourceVersion {
    /// Not given: the most recent, consistent.
    #[default]
    Unset,
    /// `0`: anything at hand.
    Any,
    /// A number.
    At(u64),
}

/// `resourceVersionMatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// Exactly that one.
    Exact,
    /// That one or newer.
    NotOlderThan,
}

/// Options of `get`.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// How fresh the answer must be.
    pub resource_version: ResourceVersion,
}

/// Options of `list`, `watch` and the selection of `deletecollection` (`metav1.ListOptions`).
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Which labels.
    pub labels: LabelSelector,
    /// Which fields.
    pub fields: FieldSelector,
    /// How fresh the answer must be, or where a watch starts.
    pub resource_version: ResourceVersion,
    /// How to read `resource_version`.
    pub version_match: Option<VersionMatch>,
    /// At most this many items; 0 is no limit.
    pub limit: usize,
    /// Where the page before this one ended; empty: the first page.
    pub continue_token: String,
    /// Watch instead of list.
    pub watch: bool,
    /// Whether a watch may carry bookmarks.
    pub bookmarks: bool,
    /// Whether a watch begins with the state as events, ended by a marked bookmark. A watch from no
    /// resourceVersion or from `0` that does not say is given `Some(true)`, as upstream does.
    pub initial_events: Option<bool>,
    /// Seconds after which a watch ends; `None`, also for a given 0: the server's choice. A negative number ends
    /// it at once and is read as `Some(0)`.
    pub timeout_seconds: Option<u64>,
}

/// Whether anything is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DryRun {
    /// Stored.
    #[default]
    No,
    /// `dryRun=All`: every step but the last.
    All,
}

/// The treatment of unknown and duplicate fields in a body (`fieldValidation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Nothing is said.
    Ignore,
    /// They are dropped with a warning: the server's default.
    #[default]
    Warn,
    /// They are refused.
    Strict,
}

/// Options of `create` and `update`.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Whether anything is stored.
    pub dry_run: DryRun,
    /// The treatment of unknown fields.
    pub field_validation: FieldValidation,
    /// The manager of the written fields in managedFields, already defaulted from the User-Agent.
    pub field_manager: String,
}

/// Options of `patch`.
#[derive(Clone, Debug, Default)]
pub struct PatchOptions {
    /// The common ones.
    pub write: WriteOptions,
    /// Whether an apply takes fields from other managers.
    pub force: Option<bool>,
}

/// `propagationPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Dependents go after the object.
    Background,
    /// Dependents go before the object.
    Foreground,
    /// Dependents stay.
    Orphan,
}

/// Options of `delete` and `deletecollection`.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Whether anything is stored.
    pub dry_run: DryRun,
    /// Only if the object has this UID.
    pub uid: Option<String>,
    /// Only if the object has this resourceVersion.
    pub resource_version: Option<String>,
    /// The treatment of dependents.
    pub propagation: Option<Propagation>,
    /// Accepted and validated; no kind here is deleted gracefully. A negative number is read as 1.
    pub grace_period_seconds: Option<i64>,
    /// The deprecated spelling of orphaning; `Some(true)` orphans.
    pub orphan_dependents: Option<bool>,
}
