#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;
use vci_meta::RequestContext;

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

fn stored_key(spec: &Value) -> Object {
    let mut object = object(json!({ "metadata": { "name": "k", "creationTimestamp": "2026-01-01T00:00:00Z" }, "spec": spec }));
    let ctx: RequestContext = crate::own_context::own_context(std::time::Duration::from_secs(1));
    vci_management::owned_access_keys().prepare_for_create(&ctx, &mut object);
    object
}

#[test]
fn a_key_is_known_by_what_the_kind_stores_of_its_secret() {
    let record = key(&stored_key(&json!({ "user": "ann", "key": "secret" }))).unwrap();
    assert_eq!(record.digest, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(b"secret")));
    assert_eq!((record.holder, record.disabled, record.expires, record.scope), (Holder::User("ann".into()), false, None, None));
    let team = key(&stored_key(&json!({ "team": "devs", "key": "secret", "disabled": true }))).unwrap();
    assert_eq!((team.holder, team.disabled), (Holder::Team("devs".into()), true));
    assert_eq!(key(&object(json!({ "metadata": { "name": "k" }, "spec": { "user": "ann" }, "status": {} }))), None, "no secret");
    assert_eq!(key(&stored_key(&json!({ "key": "secret" }))), None, "nobody's");
}

#[test]
fn a_lifetime_counts_from_creation_or_last_use() {
    const CREATED: i64 = 1_767_225_600;
    for (spec, last_use, want) in [
        (json!({ "ttl": 60 }), "", Some(CREATED + 60)),
        (json!({ "ttl": 0 }), "", None),
        (json!({ "ttl": 60 }), "2026-01-01T00:10:00Z", Some(CREATED + 60)),
        (json!({ "ttl": 60, "ttlAfterLastActivity": true }), "2026-01-01T00:10:00Z", Some(CREATED + 660)),
        (json!({ "ttl": 60, "ttlAfterLastActivity": true }), "", Some(CREATED + 60)),
        (json!({ "ttl": 60, "ttlAfterLastActivity": true }), "nonsense", Some(60)),
        (json!({ "ttl": i64::MAX }), "", Some(i64::MAX)),
    ] {
        let mut object = stored_key(&spec);
        object.0["status"]["lastActivity"] = last_use.into();
        assert_eq!(expires(&object), want, "{spec} {last_use}");
    }
}

#[test]
fn a_scope_names_projects_and_instances_and_an_empty_one_nothing() {
    let scoped = |scope: Value| key(&stored_key(&json!({ "user": "ann", "key": "secret", "scope": scope }))).unwrap().scope;
    let both = json!({ "projects": [{ "project": "a" }], "virtualClusters": [{ "project": "b", "virtualCluster": "x" }] });
    let want = KeyScope { projects: vec!["a".into()], instances: vec![("b".into(), "x".into())] };
    assert_eq!(scoped(both), Some(want));
    assert_eq!(scoped(json!({ "roles": [{ "role": "vcluster" }] })), Some(KeyScope::default()));
    assert_eq!(scoped(json!({})), Some(KeyScope::default()));
    assert_eq!(scoped(Value::Null), None);
}

#[test]
fn members_of_a_known_kind_and_role_count() {
    let members = json!([
        { "kind": "User", "name": "ann", "clusterRole": "loft-management-project-user" },
        { "kind": "Team", "name": "devs", "clusterRole": "loft-management-project-admin" },
        { "kind": "User", "name": "*", "clusterRole": "viewer" },
        { "kind": "Team", "name": "*", "clusterRole": "user" },
        { "kind": "User", "name": "", "clusterRole": "admin" },
        { "kind": "User", "name": "bob", "clusterRole": "something-else" },
        { "kind": "Robot", "name": "bob", "clusterRole": "admin" },
    ]);
    let object = object(json!({
        "metadata": { "name": "p", "uid": "u", "creationTimestamp": "t", "resourceVersion": "7" },
        "spec": { "owner": { "team": "owners" }, "members": members },
    }));
    let want = ProjectRecord {
        name: "p".into(),
        uid: "u".into(),
        creation_timestamp: "t".into(),
        resource_version: "7".into(),
        owner: Some(Principal::Team("owners".into())),
        members: vec![
            Member { who: Principal::User("ann".into()), role: Role::User },
            Member { who: Principal::Team("devs".into()), role: Role::Admin },
            Member { who: Principal::Everyone, role: Role::Viewer },
            Member { who: Principal::AnyTeam, role: Role::User },
        ],
    };
    assert_eq!(project(&object), want);
}

#[test]
fn users_and_teams() {
    let spec = json!({ "groups": ["g"], "users": ["ann"], "disabled": true, "clusterRoles": [{ "name": "loft-management-admin" }] });
    let object = object(json!({ "metadata": { "name": "n", "uid": "u" }, "spec": spec }));
    let roles = vec!["loft-management-admin".to_owned()];
    let want = UserRecord { name: "n".into(), uid: "u".into(), groups: vec!["g".into()], disabled: true, cluster_roles: roles.clone() };
    assert_eq!(user(&object), want);
    let want = TeamRecord { name: "n".into(), users: vec!["ann".into()], groups: vec!["g".into()], cluster_roles: roles };
    assert_eq!(team(&object), want);
}
