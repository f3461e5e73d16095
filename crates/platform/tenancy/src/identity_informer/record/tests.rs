#![allow(clippy::unwrap_used)]
use super::*;
use apiserver_meta::RequestContext;
use serde_json::json;
use vci_management::access::ObjectAccess;

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

fn stored_key(spec: &Value) -> Object {
    let mut object = object(json!({ "metadata": { "name": "k", "creationTimestamp": "2026-01-01T00:00:00Z" }, "spec": spec }));
    let ctx: RequestContext = apiserver_registry::loopback::context(std::time::Duration::from_secs(1));
    vci_management::owned_access_keys().prepare_for_create(&ctx, &mut object);
    object
}

#[test]
fn a_key_is_known_by_what_the_kind_stores_of_its_secret() {
    let record = key(&stored_key(&json!({ "user": "ann", "key": "secret" }))).unwrap();
    assert_eq!(record.digest, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(b"secret")));
    assert_eq!(
        (record.holder, record.disabled, record.lifetime, record.scope),
        (Holder::User("ann".into()), false, Lifetime::Endless, None)
    );
    let team = key(&stored_key(&json!({ "team": "devs", "key": "secret", "disabled": true }))).unwrap();
    assert_eq!((team.holder, team.disabled), (Holder::Team("devs".into()), true));
    assert_eq!(key(&object(json!({ "metadata": { "name": "k" }, "spec": { "user": "ann" }, "status": {} }))), None, "no secret");
    assert_eq!(key(&stored_key(&json!({ "key": "secret" }))), None, "nobody's");
}

#[test]
fn a_lifetime_counts_from_creation_or_last_use() {
    const CREATED: i64 = 1_767_225_600;
    const USED: i64 = CREATED + 600;
    let idle = |seconds, since| Lifetime::Idle { seconds, since };
    let sliding = json!({ "ttl": 60, "ttlAfterLastActivity": true });
    for (spec, last_use, want, used) in [
        (json!({ "ttl": 60 }), "", Lifetime::Until(CREATED + 60), 0),
        (json!({ "ttl": 0 }), "", Lifetime::Endless, 0),
        (json!({ "ttl": -1 }), "", Lifetime::Endless, 0),
        (json!({ "ttl": 60 }), "2026-01-01T00:10:00Z", Lifetime::Until(CREATED + 60), USED),
        (sliding.clone(), "2026-01-01T00:10:00Z", idle(60, USED), USED),
        (sliding.clone(), "", idle(60, CREATED), 0),
        (sliding, "nonsense", idle(60, 0), 0),
        (json!({ "ttl": i64::MAX }), "", Lifetime::Until(i64::MAX), 0),
    ] {
        let mut object = stored_key(&spec);
        object.0["spec"]["user"] = "ann".into();
        object.0["status"] = json!({ "lastActivity": last_use, "keyHash": "0".repeat(64) });
        let record = key(&object).unwrap();
        assert_eq!((record.lifetime, record.last_activity), (want, used), "{spec} {last_use}");
    }
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
        "spec": { "owner": { "team": "owners" }, "members": members, "allowedClusters": [{ "name": "eu" }, {}] },
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
        allowed_clusters: vec!["eu".into()],
        access: ObjectAccess::default(),
    };
    assert_eq!(project(&object, ObjectAccess::default()), want);
}

#[test]
fn users_and_teams() {
    let spec = json!({ "groups": ["g"], "users": ["ann"], "disabled": true, "clusterRoles": [{ "name": "loft-management-admin" }] });
    let object = object(json!({ "metadata": { "name": "n", "uid": "u", "creationTimestamp": "1970-01-01T00:00:09Z" }, "spec": spec }));
    let roles = vec!["loft-management-admin".to_owned()];
    let want = UserRecord {
        name: "n".into(),
        uid: "u".into(),
        groups: vec!["g".into()],
        disabled: true,
        cluster_roles: roles.clone(),
        created: 9,
    };
    assert_eq!(user(&object), want);
    let (users, groups) = (vec!["ann".into()], vec!["g".into()]);
    let want = TeamRecord { name: "n".into(), uid: "u".into(), users, groups, cluster_roles: roles, created: 9 };
    assert_eq!(team(&object), want);
}

#[test]
fn keys_say_who_of_a_name_holds_them() {
    let made = |status: serde_json::Value, created: &str| {
        let metadata = json!({ "name": "k", "creationTimestamp": created });
        key(&object(json!({ "metadata": metadata, "spec": { "user": "ann" }, "status": status }))).unwrap().holder_identity
    };
    let hash = "0".repeat(64);
    assert_eq!(made(json!({ "keyHash": hash, "holderUID": "u" }), "1970-01-01T00:00:09Z"), HolderIdentity::Uid("u".into()));
    assert_eq!(made(json!({ "keyHash": hash }), "1970-01-01T00:00:09Z"), HolderIdentity::CreatedBy(9));
    assert!(!made(json!({ "keyHash": hash }), "then").is("u", 0), "a time that cannot be read is nobody's");
}
