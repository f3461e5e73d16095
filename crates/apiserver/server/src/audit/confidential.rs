//! Kinds whose objects hold secrets: their requests are logged at level Metadata at most, whatever the policy says.
//!
//! Refused: to blank out fields. A secret comes in objects, patches of four sorts, annotations in which clients keep what
//! they sent, lists, tables and questions; what is not written at all cannot be forgotten in one of them.

use apiserver_endpoints::ResourceInfo;
use apiserver_meta::{Resource, VirtualDescriptor};
use std::sync::Arc;

/// The kinds that hold secrets.
#[derive(Debug)]
pub(crate) struct Confidential {
    stored: Vec<(&'static str, &'static str)>,
    computed: Vec<&'static VirtualDescriptor>,
    kinds: Vec<&'static str>,
}

impl Confidential {
    /// Those of the stored kinds that hold secrets, and these computed ones.
    pub(crate) fn new(resources: &[Arc<dyn Resource>], computed: Vec<&'static VirtualDescriptor>) -> Self {
        let secret: Vec<_> = resources.iter().filter(|resource| resource.holds_secrets()).map(|r| r.descriptor()).collect();
        let stored = secret.iter().map(|kind| (kind.group, kind.plural)).collect();
        let kinds = secret.iter().flat_map(|kind| [kind.kind, kind.list_kind]).chain(computed.iter().map(|kind| kind.kind)).collect();
        Self { stored, computed, kinds }
    }

    /// Whether a request is about one of them. Their subresources are, too, served or not.
    pub(crate) fn covers(&self, asked: &ResourceInfo) -> bool {
        let named = (asked.group.as_str(), asked.resource.as_str());
        let computed = |kind: &&VirtualDescriptor| {
            let subresource = kind.subresource();
            named == (kind.group, kind.resource()) && (subresource.is_empty() || subresource == asked.subresource)
        };
        self.stored.contains(&named) || self.computed.iter().any(computed)
    }

    /// Whether an object says of itself that it is one of them, wherever it was sent.
    pub(crate) fn is_kind(&self, kind: &str) -> bool {
        self.kinds.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apiserver_meta::Scope;
    use apiserver_meta::virtual_resource::{Audience, Method, Place};

    const TELLINGS: VirtualDescriptor = VirtualDescriptor {
        group: apiserver_meta::testing::GROUP,
        version: "v1",
        kind: "Telling",
        place: Place::Collection { plural: "tellings", singular: "telling", scope: Scope::Cluster },
        audience: Audience::Known,
    };
    static COLLECTION: VirtualDescriptor = TELLINGS;
    static SUBRESOURCE: VirtualDescriptor =
        VirtualDescriptor { kind: "ShelfKey", place: Place::Subresource { of: "shelves", name: "keys", method: Method::Get }, ..TELLINGS };

    fn asked(resource: &str, subresource: &str) -> ResourceInfo {
        let group = apiserver_meta::testing::GROUP.into();
        ResourceInfo { group, version: "v1".into(), resource: resource.into(), subresource: subresource.into(), ..ResourceInfo::default() }
    }

    #[test]
    fn what_holds_secrets_is_covered_and_nothing_else() {
        let confidential = Confidential::new(&apiserver_meta::testing::resources(), vec![&COLLECTION, &SUBRESOURCE]);
        for (resource, subresource, want) in [
            ("readers", "", true),
            ("readers", "status", true),
            ("tellings", "", true),
            ("shelves", "keys", true),
            ("shelves", "", false),
            ("shelves", "status", false),
            ("books", "", false),
        ] {
            assert_eq!(confidential.covers(&asked(resource, subresource)), want, "{resource}/{subresource}");
        }
        let elsewhere = ResourceInfo { group: "example.com".into(), ..asked("readers", "") };
        assert!(!confidential.covers(&elsewhere));
        for (kind, want) in [("Reader", true), ("ReaderList", true), ("Telling", true), ("Book", false), ("", false)] {
            assert_eq!(confidential.is_kind(kind), want, "{kind}");
        }
    }
}
