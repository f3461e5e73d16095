//! Rules for the fields of a User or a Team that decide what its bearer may do: groups, cluster roles, members of teams, and every
//! other field that is not known to be harmless.
//!
//! - A change of such a field needs the verb `bind` on the object, beside the right to write it. Administrators have it. The object
//!   itself never grants it: neither its owner nor its access rules give `bind`.
//! - Only members of `system:masters` make a User a member of `system:masters`. Other administrators may remove a member, and may not
//!   add one.

use apiserver_meta::context::GROUP_MASTERS;
use apiserver_meta::{ApiError, Object, RequestContext, Subresource};
use apiserver_registry::{Admission, AdmissionRequest};
use apiserver_server::admission::{Act, Permissions};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The fields that give no rights. Every other field is guarded, so that a new field is as well.
const FREE: [&str; 5] = ["description", "displayName", "email", "icon", "imagePullSecrets"];

/// Refuses changes of guarded fields by callers without the verb `bind`.
#[derive(Debug)]
pub(crate) struct Identities {
    permissions: Arc<Permissions>,
}

impl Identities {
    /// Asks these permissions.
    pub(crate) fn new(permissions: Arc<Permissions>) -> Self {
        Self { permissions }
    }
}

#[async_trait]
impl Admission for Identities {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| request.subresource == Subresource::Main) else { return Ok(()) };
        let Some(field) = guarded_change(object, request.old) else { return Ok(()) };
        let refused = |what: &str| {
            let why = format!("User {:?} cannot {what}", ctx.user.name);
            Err(ApiError::forbidden(request.descriptor.group_resource(), object.name(), why))
        };
        if is_master(object) && !request.old.is_some_and(is_master) && !ctx.user.in_group(GROUP_MASTERS) {
            return refused("make somebody one of system:masters");
        }
        let act = Act { descriptor: request.descriptor, verb: "bind", subresource: "", key: request.key };
        if self.permissions.allow(ctx, act).await {
            return Ok(());
        }
        refused(&format!("set spec.{field}"))
    }
}

/// Whether the object makes its bearer a member of `system:masters`. The groups of a Team do not: they say who is in the team.
fn is_master(object: &Object) -> bool {
    let groups = object.at(&["spec", "groups"]).and_then(Value::as_array);
    let named = groups.is_some_and(|groups| groups.iter().any(|group| group == GROUP_MASTERS));
    named && object.str_at(&["kind"]) == "User" && object.at(&["spec", "disabled"]) != Some(&Value::Bool(true))
}

/// Whether a field of `spec` decides what the bearer may do.
pub(super) fn is_guarded(field: &str) -> bool {
    !FREE.contains(&field)
}

/// The first guarded field that is not what it was.
fn guarded_change<'a>(new: &'a Object, old: Option<&'a Object>) -> Option<&'a str> {
    let (new, old) = (spec(new), old.and_then(spec));
    let value = |map: Option<&'a Map<String, Value>>, field: &str| map.and_then(|map| map.get(field));
    let fields: BTreeSet<&str> = [new, old].into_iter().flatten().flat_map(Map::keys).map(String::as_str).collect();
    fields.into_iter().find(|field| is_guarded(field) && value(new, field) != value(old, field))
}

fn spec(object: &Object) -> Option<&Map<String, Value>> {
    object.at(&["spec"]).and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::Rig;
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn only_admins_say_who_somebody_is() {
        let rig = Rig::start().await;
        let rules = json!({"spec": {"owner": {"user": "una"}, "access": [{"verbs": ["*"], "users": ["una"]}]}});
        rig.patch("root", "users", "una", &rules).await.unwrap();
        rig.patch("root", "teams", "devs", &rules).await.unwrap();
        let table = [
            ("users", json!({"displayName": "Una", "icon": "i", "description": "d", "email": "una@example.com"}), true),
            ("users", json!({"imagePullSecrets": [{"secretName": "s"}]}), true),
            ("users", json!({"groups": ["system:masters"]}), false),
            ("users", json!({"clusterRoles": [{"name": "loft-management-admin"}]}), false),
            ("users", json!({"subject": "root"}), false),
            ("users", json!({"disabled": true}), false),
            ("users", json!({"ssoGroups": ["g"]}), false),
            ("users", json!({"owner": {"user": "zoe"}}), false),
            ("users", json!({"owner": null}), true),
            ("users", json!({"access": []}), false),
            ("teams", json!({"displayName": "Devs"}), true),
            ("teams", json!({"users": ["una", "tina"]}), false),
            ("teams", json!({"groups": ["system:authenticated"]}), false),
            ("teams", json!({"clusterRoles": [{"name": "loft-management-admin"}]}), false),
        ];
        for (plural, spec, want) in table {
            let name = if plural == "users" { "una" } else { "devs" };
            let changed = rig.patch("una", plural, name, &json!({ "spec": spec })).await;
            assert_eq!(changed.map_err(|error| error.code()).err(), (!want).then_some(403), "{plural}: {spec}");
        }
        let error = rig.create("una", "users", "eve", json!({"groups": ["system:other"]})).await.unwrap_err();
        assert_eq!(error.message, "users.management.loft.sh \"eve\" is forbidden: User \"una\" cannot set spec.groups");
        rig.create("una", "users", "zed", json!({"displayName": "Zed"})).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_masters_make_others_one_of_them() {
        let rig = Rig::start().await;
        rig.create("root", "users", "chief", json!({"clusterRoles": [{"name": "loft-management-admin"}]})).await.unwrap();
        let masters = json!({"groups": ["a", "system:masters"]});
        for name in ["one", "two", "off"] {
            rig.create("root", "users", name, masters.clone()).await.unwrap();
        }
        rig.patch("root", "users", "off", &json!({"spec": {"disabled": true}})).await.unwrap();
        rig.admin("chief").await;
        let create = async |name: &str, spec| rig.create("chief", "users", name, spec).await.map_err(|error| error.code()).err();
        assert_eq!(create("new", masters.clone()).await, Some(403));
        assert_eq!(
            create("locked", json!({"groups": ["system:masters"], "disabled": true})).await,
            None,
            "who is locked out is nobody yet"
        );
        assert_eq!(create("other", json!({"groups": ["b"], "clusterRoles": [{"name": "loft-management-admin"}]})).await, None);
        // whom, what they become, whether an admin by role may do that
        let table = [
            ("una", masters.clone(), false),
            ("chief", masters.clone(), false),
            ("off", json!({"disabled": false}), false),
            ("locked", json!({"disabled": null}), false),
            ("one", json!({"displayName": "One", "groups": ["system:masters"]}), true),
            ("one", json!({"disabled": true}), true),
            ("two", json!({"groups": null}), true),
            ("una", json!({"groups": ["b"]}), true),
        ];
        for (name, spec, want) in table {
            let changed = rig.patch("chief", "users", name, &json!({ "spec": spec })).await;
            assert_eq!(changed.map_err(|error| error.code()).err(), (!want).then_some(403), "{name}: {spec}");
            if want {
                let back = json!({"groups": null, "disabled": null, "displayName": null});
                rig.patch("root", "users", name, &json!({ "spec": back })).await.unwrap();
            }
        }
        rig.patch("chief", "teams", "devs", &json!({"spec": {"groups": ["system:masters"]}})).await.unwrap();
    }
}
