//! `trait Resource`: what the generic machinery asks of a kind.
//!
//! A kind is data (its [`Descriptor`] and [`Schema`]) and pure, synchronous rules with default bodies.
//! Whatever needs I/O is admission and lives elsewhere. Object-safe on purpose: one copy of the REST
//! machinery serves every kind. One descriptor feeds routes, discovery, OpenAPI, printing and the
//! authorization tests.

use crate::column::Column;
use crate::context::{Principal, RequestContext};
use crate::error::GroupResource;
use crate::field::FieldError;
use crate::filter::Facts;
use crate::object::Object;
use crate::schema::Schema;
use crate::validation::SizeLimit;
use serde_json::Value;

/// Whether objects live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the whole cluster.
    Cluster,
    /// In a namespace.
    Namespaced,
}

/// What may be done with a resource, in the words of discovery and authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the API's own and say what they mean")]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

impl Verb {
    /// All of them, in the order of discovery documents.
    pub const ALL: [Self; 8] =
        [Self::Create, Self::Delete, Self::DeleteCollection, Self::Get, Self::List, Self::Patch, Self::Update, Self::Watch];

    /// The lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

/// What is written through a path: the object, or one subresource of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subresource {
    /// The object itself: everything but what subresources own.
    Main,
    /// `/status`: only `status`.
    Status,
}

impl Subresource {
    /// The path segment; empty for the object itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
        }
    }
}

/// A field that `fieldSelector` may name, beside `metadata.name` and `metadata.namespace`.
#[derive(Clone, Debug)]
pub struct SelectableField {
    /// The name in selectors, for example `spec.templateRef.name`.
    pub label: &'static str,
    /// The member names that lead to it.
    pub path: &'static [&'static str],
}

/// A field that says whether whoever asks may do something with the object. It is computed for readers who ask for it by
/// `extended=true`; nobody writes it and it is never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedField {
    /// The verb that the caller may do, in the words of authorization.
    pub verb: &'static str,
    /// The member names that lead to the field: true, or absent.
    pub path: &'static [&'static str],
}

/// A part of an object that is not for everybody who may read the object.
#[derive(Clone, Copy, Debug)]
pub struct PrivatePart {
    /// Whoever may do one of these with the object is shown the part, in the words of authorization. Those who may change the part must
    /// be among them: they could not write back what they were not shown, and could copy it to where they are.
    pub verbs: &'static [&'static str],
    /// The subresource that the verbs are about; [`Subresource::Status`] for what those may see who write the status.
    pub subresource: Subresource,
    /// Takes out of the object what this reader is not shown.
    pub hide: fn(&mut Object, &Principal),
}

/// Everything static about a kind.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// API group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Kind of one object.
    pub kind: &'static str,
    /// Kind of a list.
    pub list_kind: &'static str,
    /// Plural name in paths.
    pub plural: &'static str,
    /// Singular name for people.
    pub singular: &'static str,
    /// Short names for people.
    pub short_names: &'static [&'static str],
    /// Categories for people, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// The verbs served on the object itself.
    pub verbs: &'static [Verb],
    /// The subresources served.
    pub subresources: &'static [Subresource],
    /// Printed columns.
    pub columns: &'static [Column],
    /// Selectable fields beside name and namespace.
    pub selectable_fields: &'static [SelectableField],
    /// The fields that are computed for readers who ask for them.
    pub extended: &'static [ExtendedField],
}

impl Descriptor {
    /// `group/version`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Group and plural, as errors name them.
    pub fn group_resource(&self) -> GroupResource<'_> {
        GroupResource { group: self.group, resource: self.plural }
    }

    /// Whether `/status` is served.
    pub fn has_status(&self) -> bool {
        self.subresources.contains(&Subresource::Status)
    }

    /// The cells of an object's row in a Table. `now` is Unix seconds, for ages.
    pub fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        self.columns.iter().map(|column| column.cell.at(object, now)).collect()
    }
}

/// A kind: its descriptor, its schema and its rules.
///
/// The generic machinery does what holds for every kind (names, generation, status isolation, finalizers,
/// managed fields); the rules here are only what is special about one.
pub trait Resource: std::fmt::Debug + Send + Sync + 'static {
    /// Everything static about the kind.
    fn descriptor(&self) -> &'static Descriptor;

    /// The schema of the whole object, metadata included.
    fn schema(&self) -> &Schema;

    /// Fills in defaults before an object is created. System fields are set already, `status` is cleared.
    fn prepare_for_create(&self, _ctx: &RequestContext, _object: &mut Object) {}

    /// How a secret is taken out of an object that was created, before it is stored: the answer to its creation shows it once.
    /// `None` for kinds without secrets. What an update brings of one is for [`Resource::prepare_for_update`] to take out. Of an
    /// object that may hold a secret nothing is repeated to whoever sent it.
    fn conceal(&self) -> Option<fn(&mut Object)> {
        None
    }

    /// Restores what a caller may not change, before an object is updated.
    fn prepare_for_update(&self, _ctx: &RequestContext, _new: &mut Object, _old: &Object) {}

    /// Whether objects hold secrets: they are kept out of audit logs, of errors, and of questions to others.
    fn holds_secrets(&self) -> bool {
        self.conceal().is_some()
    }

    /// The parts of an object that are not for everybody who may read it. Empty for kinds of which readers are shown all.
    fn private_parts(&self) -> &'static [PrivatePart] {
        &[]
    }

    /// How much parts of an object may hold, beside the limits of every kind.
    fn size_limits(&self) -> &'static [SizeLimit] {
        &[]
    }

    /// Rules that hold for every object of the kind, beside those of its metadata.
    fn validate(&self, _object: &Object) -> Vec<FieldError> {
        Vec::new()
    }

    /// Rules that hold between an object and what it was; asked beside [`Resource::validate`].
    fn validate_update(&self, _new: &Object, _old: &Object) -> Vec<FieldError> {
        Vec::new()
    }

    /// What a client should know though the write is good.
    fn warnings(&self, _object: &Object) -> Vec<String> {
        Vec::new()
    }

    /// Fills in what an object leaves to be understood, for readers who ask for it by `extended=true`. Asked of kinds that have
    /// extended fields.
    fn fill_extended(&self, _object: &mut Object) {}

    /// The fields that [`Resource::fill_extended`] computes, beside the extended ones, by the member names that lead to them. Nobody
    /// writes them and they are never stored.
    fn computed_fields(&self) -> &'static [&'static [&'static str]] {
        &[]
    }

    /// The facts about an object by which [`crate::AccessFilter`]s decide: what it says about who may do what with it. Kept
    /// beside the object's bytes, so they are small.
    fn facts(&self, _object: &Object) -> Facts {
        Facts::default()
    }
}
