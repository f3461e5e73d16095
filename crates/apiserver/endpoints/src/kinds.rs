//! The kinds that are served, by group and version: those that are stored or look as if they were, and those that are computed.

use crate::request_info::{PathForm, ResourceInfo};
use apiserver_meta::virtual_resource::{Audience, Place};
use apiserver_meta::{Descriptor, VirtualDescriptor};

/// All kinds, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Kinds {
    pub(crate) stored: Vec<&'static Descriptor>,
    pub(crate) computed: Vec<&'static VirtualDescriptor>,
}

impl Kinds {
    /// The kinds of the core group, and those of all others.
    pub(crate) fn split_core(&self) -> (Self, Self) {
        let (core, stored) = self.stored.iter().partition(|kind| kind.group.is_empty());
        (Self { stored: core, computed: Vec::new() }, Self { stored, computed: self.computed.clone() })
    }

    /// Whether anything is served under this group and version.
    pub(crate) fn has_version(&self, group: &str, version: &str) -> bool {
        self.versioned().any(|served| served == (group, version))
    }

    /// Whether anything is served of this kind, be it only a subresource.
    pub(crate) fn has_kind(&self, group: &str, version: &str, plural: &str) -> bool {
        let stored = self.stored.iter().any(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural));
        stored || self.computed.iter().any(|computed| computed.is_of(group, version, plural))
    }

    /// Whether this is a question that every authenticated caller may ask, whatever the authorizers say.
    pub(crate) fn is_for_all_known(&self, verb: &str, resource: &ResourceInfo) -> bool {
        let ResourceInfo { group, version, resource: plural, subresource, form, .. } = resource;
        let named = self.computed.iter().find(|computed| computed.is_at(group, version, plural, subresource));
        *form == PathForm::Collection && named.is_some_and(|kind| kind.audience == Audience::Known && kind.verb().as_str() == verb)
    }

    /// The groups.
    pub(crate) fn groups(&self) -> Vec<&'static str> {
        unique(self.versioned().map(|(group, _)| group))
    }

    /// The versions of a group.
    pub(crate) fn versions(&self, group: &str) -> Vec<&'static str> {
        unique(self.versioned().filter(|(of, _)| *of == group).map(|(_, version)| version))
    }

    /// The stored kinds under a group and version.
    pub(crate) fn stored_in(&self, group: &str, version: &str) -> impl Iterator<Item = &'static Descriptor> {
        self.stored.iter().copied().filter(move |kind| kind.group == group && kind.version == version)
    }

    /// The collections under a group and version that hold nothing and take questions.
    pub(crate) fn collections_in(&self, group: &str, version: &str) -> impl Iterator<Item = &'static VirtualDescriptor> {
        let of_version = self.computed.iter().copied().filter(move |kind| kind.group == group && kind.version == version);
        of_version.filter(|kind| matches!(kind.place, Place::Collection { .. }))
    }

    /// The computed subresources of a stored kind.
    pub(crate) fn subresources(&self, of: &Descriptor) -> impl Iterator<Item = &'static VirtualDescriptor> {
        let of_version = self.computed.iter().copied().filter(move |kind| kind.group == of.group && kind.version == of.version);
        of_version.filter(move |kind| !kind.subresource().is_empty() && kind.resource() == of.plural)
    }

    fn versioned(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let stored = self.stored.iter().map(|kind| (kind.group, kind.version));
        stored.chain(self.computed.iter().map(|kind| (kind.group, kind.version)))
    }
}

fn unique(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}
