//! What discovery tells of: kinds that are stored and kinds that are computed, by group and version.

use apiserver_meta::virtual_resource::Place;
use apiserver_meta::{Descriptor, VirtualDescriptor};

/// All kinds, in the order of the configuration.
pub(super) struct Served {
    pub(super) stored: Vec<&'static Descriptor>,
    pub(super) computed: Vec<&'static VirtualDescriptor>,
}

impl Served {
    /// The groups.
    pub(super) fn groups(&self) -> Vec<&'static str> {
        unique(self.versioned().map(|(group, _)| group))
    }

    /// The versions of a group.
    pub(super) fn versions(&self, group: &str) -> Vec<&'static str> {
        unique(self.versioned().filter(|(of, _)| *of == group).map(|(_, version)| version))
    }

    /// What is stored under a group and version.
    pub(super) fn stored(&self, group: &str, version: &str) -> impl Iterator<Item = &'static Descriptor> {
        self.stored.iter().copied().filter(move |kind| kind.group == group && kind.version == version)
    }

    /// The collections under a group and version that hold nothing and take questions.
    pub(super) fn collections(&self, group: &str, version: &str) -> impl Iterator<Item = &'static VirtualDescriptor> {
        let of_version = self.computed.iter().copied().filter(move |kind| kind.group == group && kind.version == version);
        of_version.filter(|kind| matches!(kind.place, Place::Collection { .. }))
    }

    /// The computed subresources of a stored kind.
    pub(super) fn subresources(&self, of: &Descriptor) -> impl Iterator<Item = &'static VirtualDescriptor> {
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
