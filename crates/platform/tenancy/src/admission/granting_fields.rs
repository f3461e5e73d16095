//! The fields that say who may do what, kind by kind: one table, which the rule about them reads and which a test holds against
//! the schemas, so that a new field of that sort cannot be served before it has a row.
//!
//! Fields in no row are changed by every caller who may update the object.

use apiserver_meta::{Descriptor, Object};
use serde_json::Value;
use vci_management::plural;

/// A path of member names; [`EACH`] stands for every item of a list.
pub(super) type Path = &'static [&'static str];

/// Every item of a list. Items are compared in their order, so one that is added or taken away is a difference too.
const EACH: &str = "*";
/// The owner. It is the one field here that a caller to whom the object grants `makeowner`, and who does not own it, may change.
pub(super) const OWNER: Path = &["spec", "owner"];
const ACCESS: Path = &["spec", "access"];

/// Only an instance's owner, an admin of its project or an administrator changes its template: a template gives roles inside the
/// virtual cluster, by its access rules or by the objects that it deploys there.
const INSTANCES: &[Path] = &[
    ACCESS,
    &["spec", "extraAccessRules"],
    OWNER,
    &["spec", "template"],
    &["spec", "templateRef", "name"],
    &["spec", "templateRef", "version"],
];
/// The links with other systems are listed because they may grant rights there.
const PROJECTS: &[Path] = &[ACCESS, &["spec", "argoCD"], &["spec", "members"], OWNER, &["spec", "vault"]];
/// Every caller who may update a template changes what it deploys. Only its owner or an
/// administrator changes the roles that it gives inside virtual clusters.
const TEMPLATES: &[Path] = &[ACCESS, OWNER, &["spec", "template", "access"], &["spec", "versions", EACH, "template", "access"]];
/// Only its owner or an administrator says how a cluster is reached: its config names any secret of the platform's cluster.
const CLUSTERS: &[Path] = &[ACCESS, &["spec", "argoCD"], &["spec", "config"], &["spec", "local"], &["spec", "networkPeer"], OWNER];
/// The other fields of users and teams that give rights need the verb `bind` (see [`super::identities`]).
const IDENTITIES: &[Path] = &[ACCESS, OWNER];

/// The fields of a kind.
pub(super) fn of(descriptor: &Descriptor) -> &'static [Path] {
    match descriptor.plural {
        plural::CLUSTERS => CLUSTERS,
        plural::PROJECTS => PROJECTS,
        plural::INSTANCES => INSTANCES,
        plural::TEMPLATES => TEMPLATES,
        _ => IDENTITIES,
    }
}

/// Whether two objects say something else there.
pub(super) fn differs(a: &Object, b: &Object, path: Path) -> bool {
    match path {
        [] => false,
        [first, rest @ ..] => differ(a.0.get(*first), b.0.get(*first), rest),
    }
}

fn differ<'a>(a: Option<&'a Value>, b: Option<&'a Value>, path: &[&str]) -> bool {
    match path {
        [] => a.filter(|value| !value.is_null()) != b.filter(|value| !value.is_null()),
        [EACH, rest @ ..] => {
            let items = |value: Option<&'a Value>| value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let (a, b) = (items(a), items(b));
            a.len() != b.len() || a.iter().zip(b).any(|(a, b)| differ(Some(a), Some(b), rest))
        }
        [name, rest @ ..] => {
            let inner = |value: Option<&'a Value>| value.and_then(|value| value.get(name));
            differ(inner(a), inner(b), rest)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::admission::identities::is_guarded;
    use apiserver_meta::Schema;
    use apiserver_meta::schema::Shape;
    use serde_json::json;

    /// Names of fields that say who somebody is or what they may do.
    const GRANTING: [&str; 16] = [
        "access",
        "argoCD",
        "clusterRole",
        "clusterRoles",
        "groups",
        "members",
        "owner",
        "permissions",
        "roles",
        "rules",
        "subject",
        "team",
        "teams",
        "user",
        "users",
        "vault",
    ];
    /// Components whose every use grants something, whatever the field is called.
    const GRANTING_COMPONENTS: [&str; 5] = ["Access", "InstanceAccess", "InstanceAccessRule", "Member", "UserOrTeam"];

    /// Fields that are called like one of those and are none.
    const OTHERS: [(&str, &str); 1] = [("projects", "spec.quotas.user")];

    fn object(spec: &Value) -> Object {
        Object::from_value(json!({ "spec": spec })).unwrap()
    }

    /// The paths of all fields that grant something, but not what lies below them.
    fn granting(schema: &Schema, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        let component = schema.component.as_deref().and_then(|name| name.rsplit('.').next());
        let named =
            path.last().is_some_and(|name| GRANTING.contains(&name.as_str()) || name.ends_with("AccessRules") || name.ends_with("Groups"));
        if named || component.is_some_and(|component| GRANTING_COMPONENTS.contains(&component)) {
            return found.push(path.clone());
        }
        let mut below = |name: &str, schema: &Schema| {
            path.push(name.to_owned());
            granting(schema, path, found);
            path.pop();
        };
        match &schema.shape {
            Shape::Object { fields, .. } => fields.iter().for_each(|(name, field)| below(name, &field.schema)),
            Shape::List { items, .. } => below(EACH, items),
            Shape::Map { values, .. } => below(EACH, values),
            _ => {}
        }
    }

    #[test]
    fn every_field_that_grants_something_has_a_row() {
        let mut seen = 0;
        // Keys have rules of their own: who holds one never changes, and its scope becomes no broader than the caller's.
        for resource in vci_management::resources().iter().filter(|resource| resource.descriptor().plural != "ownedaccesskeys") {
            let (descriptor, mut found) = (resource.descriptor(), Vec::new());
            let spec = &resource.schema().field("spec").unwrap().schema;
            granting(spec, &mut vec!["spec".to_owned()], &mut found);
            found.retain(|path| !OTHERS.contains(&(descriptor.plural, path.join(".").as_str())));
            for path in &found {
                let covered = |row: &Path| row.iter().zip(path).all(|(a, b)| a == b) && row.len() <= path.len();
                let is_identity = matches!(descriptor.plural, "teams" | "users");
                let guarded = of(descriptor).iter().any(covered) || is_identity && is_guarded(&path[1]);
                assert!(guarded, "{} of {} is changed by whoever may update it: give it a row", path.join("."), descriptor.plural);
            }
            seen += found.len();
        }
        assert!(seen > 20, "only {seen} fields were found");
    }

    #[test]
    fn every_row_is_a_field_of_its_kind() {
        for resource in vci_management::resources().iter().filter(|resource| resource.descriptor().plural != "ownedaccesskeys") {
            for row in of(resource.descriptor()) {
                let mut schema = resource.schema();
                for name in *row {
                    schema = match &schema.shape {
                        Shape::List { items, .. } if *name == EACH => items,
                        Shape::Object { fields, .. } => &fields[*name].schema,
                        other => panic!("{row:?} of {}: {other:?}", resource.descriptor().plural),
                    };
                }
            }
        }
    }

    #[test]
    fn a_field_differs_where_its_row_says() {
        let each: Path = &["spec", "versions", EACH, "template", "access"];
        let version = |role: &str, objects: &str| json!({"template": {"access": {"defaultClusterRole": role}, "objects": objects}});
        let table = [
            (OWNER, json!({}), json!({"owner": {"user": "a"}}), true),
            (OWNER, json!({"owner": null}), json!({"displayName": "d"}), false),
            (OWNER, json!({"owner": {"user": "a"}}), json!({"owner": {"user": "a"}, "displayName": "d"}), false),
            (each, json!({"versions": [version("view", "a")]}), json!({"versions": [version("view", "b")]}), false),
            (each, json!({"versions": [version("view", "")]}), json!({"versions": [version("admin", "")]}), true),
            (each, json!({"versions": [version("view", "")]}), json!({"versions": [version("view", ""), json!({})]}), true),
            (each, json!({"versions": [version("view", "")]}), json!({}), true),
            (each, json!({}), json!({"versions": []}), false),
        ];
        for (path, a, b, want) in table {
            assert_eq!(differs(&object(&a), &object(&b), path), want, "{path:?}: {a} and {b}");
            assert_eq!(differs(&object(&b), &object(&a), path), want, "{path:?}: {b} and {a}");
        }
    }
}
