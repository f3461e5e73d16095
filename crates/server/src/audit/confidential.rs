//! Kinds whose objects hold secrets: their requests are logged at level Metadata at most, whatever the policy says.
//!
//! Refused: to blank out fields. A secret comes in objects, patches of four sorts, annotations in which clients keep what
//! they sent, lists, tables and questions; what is not written at all cannot be forgotten in one of them.

use std::sync::Arc;
use vci_endpoints::ResourceInfo;
use vci_management::computed::{SELF, TEAM_ACCESS_KEYS, USER_ACCESS_KEYS};
use vci_meta::{ComputedDescriptor, Resource};

/// Questions and answers that hold secrets or tell of them.
const COMPUTED: [&ComputedDescriptor; 3] = [&SELF, &USER_ACCESS_KEYS, &TEAM_ACCESS_KEYS];

/// The kinds that hold secrets.
#[derive(Debug)]
pub(crate) struct Confidential {
    stored: Vec<(&'static str, &'static str)>,
    kinds: Vec<&'static str>,
}

impl Confidential {
    /// Those of the stored kinds that conceal something when they are read, and the computed ones.
    pub(crate) fn among(resources: &[Arc<dyn Resource>]) -> Self {
        let concealing: Vec<_> = resources.iter().filter(|resource| resource.conceal().is_some()).map(|r| r.descriptor()).collect();
        let stored = concealing.iter().map(|kind| (kind.group, kind.plural)).collect();
        let kinds = concealing.iter().flat_map(|kind| [kind.kind, kind.list_kind]).chain(COMPUTED.map(|kind| kind.kind)).collect();
        Self { stored, kinds }
    }

    /// Whether a request is about one of them. Their subresources are, too, served or not.
    pub(crate) fn covers(&self, asked: &ResourceInfo) -> bool {
        let named = (asked.group.as_str(), asked.resource.as_str());
        let computed = |kind: &&ComputedDescriptor| {
            let subresource = kind.subresource();
            named == (kind.group, kind.resource()) && (subresource.is_empty() || subresource == asked.subresource)
        };
        self.stored.contains(&named) || COMPUTED.iter().any(computed)
    }

    /// Whether an object says of itself that it is one of them, wherever it was sent.
    pub(crate) fn is_kind(&self, kind: &str) -> bool {
        self.kinds.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(resource: &str, subresource: &str) -> ResourceInfo {
        ResourceInfo {
            group: "management.loft.sh".into(),
            version: "v1".into(),
            resource: resource.into(),
            subresource: subresource.into(),
            ..ResourceInfo::default()
        }
    }

    #[test]
    fn what_holds_secrets_is_covered_and_nothing_else() {
        let confidential = Confidential::among(&vci_management::resources());
        for (resource, subresource, want) in [
            ("ownedaccesskeys", "", true),
            ("ownedaccesskeys", "status", true),
            ("selves", "", true),
            ("users", "accesskeys", true),
            ("teams", "accesskeys", true),
            ("users", "", false),
            ("users", "status", false),
            ("projects", "members", false),
            ("virtualclusterinstances", "", false),
        ] {
            assert_eq!(confidential.covers(&asked(resource, subresource)), want, "{resource}/{subresource}");
        }
        let elsewhere = ResourceInfo { group: "example.com".into(), ..asked("ownedaccesskeys", "") };
        assert!(!confidential.covers(&elsewhere));
        for (kind, want) in [("OwnedAccessKey", true), ("OwnedAccessKeyList", true), ("Self", true), ("User", false), ("", false)] {
            assert_eq!(confidential.is_kind(kind), want, "{kind}");
        }
    }

    /// A kind that gets a field for a secret must say that it conceals it, or the log would hold it. Passwords are taken out
    /// of the objects of every kind.
    #[test]
    fn no_other_kind_has_a_field_that_is_called_like_a_secret() {
        let resources = vci_management::resources();
        let confidential = Confidential::among(&resources);
        for resource in &resources {
            let kind = resource.descriptor();
            if confidential.covers(&asked(kind.plural, "")) {
                continue;
            }
            let schema = format!("{:?}", resource.schema());
            for name in ["\"keyHash\"", "\"accessKey\"", "\"token\"", "\"secret\""] {
                assert!(!schema.contains(name), "{} has a field {name}", kind.kind);
            }
        }
        let keys = resources.iter().find(|resource| resource.descriptor().plural == "ownedaccesskeys").unwrap();
        assert!(format!("{:?}", keys.schema()).contains("\"keyHash\""), "this is how a field looks");
    }
}
