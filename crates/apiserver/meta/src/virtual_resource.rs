//! Virtual resources: requests that are answered and never stored, such as access reviews, and views of stored objects, such as a
//! book's readers.
//!
//! Only their static description, so that it can stand beside the descriptors of stored kinds. Refused: the answers.

use crate::resource::{Scope, Verb};

/// Everything static about a kind that is answered and never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualDescriptor {
    /// API group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Kind of the question, if there is one, and of the answer.
    pub kind: &'static str,
    /// Where it is asked for.
    pub place: Place,
    /// The callers who may use it.
    pub audience: Audience,
}

/// Where an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By POST to a collection that holds nothing.
    Collection {
        /// Plural name in paths.
        plural: &'static str,
        /// Singular name for people.
        singular: &'static str,
        /// Whether a question belongs to a namespace.
        scope: Scope,
    },
    /// Below each object of a stored kind of the same group and version.
    Subresource {
        /// The plural of the stored kind.
        of: &'static str,
        /// The last segment of the path.
        name: &'static str,
        /// How it is asked.
        method: Method,
    },
}

/// How a subresource is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By GET, without a question.
    Get,
    /// By POST of a question.
    Create,
}

/// The callers who may use a virtual resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every authenticated caller, about themselves, as the cluster role `system:basic-user` allows. No restriction applies, not even
    /// the scope of an access key.
    Known,
    /// Callers whom the authorizers allow.
    Allowed,
}

impl VirtualDescriptor {
    /// `group/version`.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// The plural in the path: its own, or that of the stored kind it stands below.
    pub fn resource(&self) -> &'static str {
        match self.place {
            Place::Collection { plural, .. } => plural,
            Place::Subresource { of, .. } => of,
        }
    }

    /// The last segment of a subresource's path; empty for a collection.
    pub fn subresource(&self) -> &'static str {
        match self.place {
            Place::Collection { .. } => "",
            Place::Subresource { name, .. } => name,
        }
    }

    /// The one verb that is served.
    pub fn verb(&self) -> Verb {
        match self.place {
            Place::Collection { .. } | Place::Subresource { method: Method::Create, .. } => Verb::Create,
            Place::Subresource { method: Method::Get, .. } => Verb::Get,
        }
    }

    /// Whether this is of a kind, as itself or as its subresource.
    pub fn is_of(&self, group: &str, version: &str, resource: &str) -> bool {
        (self.group, self.version, self.resource()) == (group, version, resource)
    }

    /// Whether this is what a path names.
    pub fn is_at(&self, group: &str, version: &str, resource: &str, subresource: &str) -> bool {
        (self.group, self.version, self.resource(), self.subresource()) == (group, version, resource, subresource)
    }
}
