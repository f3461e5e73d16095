#![allow(clippy::unwrap_used)]

use super::*;
use crate::rules::LAST_APPLIED;
use crate::rules::tests::{context, object};

/// SHA-256 of "abc", from FIPS 180-2.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn key(spec: Value) -> Object {
    let mut key = json!({"metadata": {"name": "k"}});
    key["spec"] = spec;
    object(key)
}

fn created(spec: Value) -> Object {
    let mut object = key(spec);
    OwnedAccessKeys.prepare_for_create(&context("root", None, &[]), &mut object);
    object
}

/// What is stored of a key that is created.
fn concealed(mut object: Object) -> Object {
    OwnedAccessKeys.conceal().unwrap()(&mut object);
    object
}

fn kept(spec: Value) -> Object {
    concealed(created(spec))
}

#[test]
fn the_secret_is_shown_once_and_its_hash_is_kept() {
    let shown = created(json!({"user": "ann", "key": "abc"}));
    assert_eq!(shown.0["spec"], json!({"user": "ann", "key": "abc"}));
    assert_eq!(OwnedAccessKeys.validate(&shown), Vec::new());

    let key = kept(json!({"user": "ann", "key": "abc"}));
    assert_eq!(key.0["spec"], json!({"user": "ann"}));
    assert_eq!(key.0["status"], json!({"keyHash": ABC}));
    assert_eq!(OwnedAccessKeys.validate(&key), Vec::new());

    let typed = OwnedAccessKey::of(&key).unwrap();
    assert_eq!(key_hash::parse(&typed.status.key_hash).unwrap()[..3], [0xba, 0x78, 0x16]);
}

#[test]
fn the_hash_is_not_the_clients_to_set() {
    let mut object = object(json!({"spec": {"user": "ann"}, "status": {"keyHash": ABC, "lastActivity": "2026-01-01T00:00:00Z"}}));
    let keys = OwnedAccessKeys;
    keys.prepare_for_create(&context("root", None, &[]), &mut object);
    assert_eq!(object.0["status"], json!({}));

    let old = kept(json!({"user": "ann", "key": "abc"}));
    let mut new = key(json!({"user": "ann", "displayName": "d"}));
    new.0.insert("status".into(), json!({"keyHash": key_hash::of("other")}));
    keys.prepare_for_update(&context("root", None, &[]), &mut new, &old);
    assert_eq!(new.0["status"], json!({"keyHash": ABC}));
}

#[test]
fn an_update_can_change_the_secret() {
    let mut old = kept(json!({"user": "ann", "key": "abc"}));
    object_mut(&mut old, "status").insert("lastActivity".into(), "2026-01-01T00:00:00Z".into());
    let mut new = key(json!({"user": "ann", "key": "def"}));
    OwnedAccessKeys.prepare_for_update(&context("root", None, &[]), &mut new, &old);
    assert_eq!(new.0["spec"], json!({"user": "ann"}));
    assert_eq!(new.0["status"], json!({"keyHash": key_hash::of("def"), "lastActivity": "2026-01-01T00:00:00Z"}));
}

#[test]
fn what_kubectl_apply_notes_is_not_kept() {
    for (others, want) in [(json!({}), None), (json!({"a": "b"}), Some(json!({"a": "b"})))] {
        let mut annotations = others.clone();
        annotations[LAST_APPLIED] = json!(r#"{"spec":{"key":"abc"}}"#);
        let mut object = object(json!({"metadata": {"name": "k", "annotations": annotations}, "spec": {"user": "ann", "key": "abc"}}));
        OwnedAccessKeys.prepare_for_create(&context("root", None, &[]), &mut object);
        assert_eq!(object.metadata().get("annotations"), want.as_ref());
        let kept = concealed(object);
        assert!(!String::from_utf8(kept.to_bytes()).unwrap().contains("\"abc"));
    }
}

#[test]
fn the_creator_holds_a_key_of_nobody() {
    let table = [
        (context("ann", Some("ann"), &["t"]), json!({}), json!({"user": "ann"})),
        (context("ann", Some("ann"), &[]), json!({"user": "bob"}), json!({"user": "bob"})),
        (context("ann", Some("ann"), &[]), json!({"team": "t"}), json!({"team": "t"})),
        (context("ann", Some("ann"), &[]), json!({"subject": "loft:vcluster:p:one"}), json!({"subject": "loft:vcluster:p:one"})),
        (context("kubernetes-admin", None, &[]), json!({}), json!({})),
    ];
    for (ctx, spec, want) in table {
        let mut object = key(spec.clone());
        OwnedAccessKeys.prepare_for_create(&ctx, &mut object);
        assert_eq!(object.0["spec"], want, "{spec} by {:?}", Caller::from_context(&ctx));
    }
}

#[test]
fn bad_keys_are_refused() {
    let table = [
        (json!({"user": "ann", "key": "AZaz09-._~+/="}), vec![]),
        (json!({"team": "t", "key": "abc", "ttl": 60}), vec![]),
        (json!({"user": "ann"}), vec!["spec.key: Required value: an access key has a secret"]),
        (json!({"user": "ann", "key": "a b"}), vec!["spec.key: Forbidden: may hold letters, digits and -._~+/= only"]),
        (json!({"key": "abc"}), vec!["spec.user: Required value: a key acts as a user, a team or a virtual cluster"]),
        (json!({"user": "ann", "team": "t", "key": "abc"}), vec!["spec.team: Forbidden: may not be set together with spec.user"]),
        (json!({"subject": "loft:vcluster:p-blue:one", "key": "abc"}), vec![]),
        (
            json!({"subject": "system:admin", "key": "abc"}),
            vec![
                "spec.user: Required value: a key acts as a user, a team or a virtual cluster",
                "spec.subject: Forbidden: a key acts as a user, a team or a virtual cluster",
            ],
        ),
        (
            json!({"team": "t", "subject": "loft:vcluster:p-blue:one", "key": "abc"}),
            vec!["spec.subject: Forbidden: a key acts as a user, a team or a virtual cluster"],
        ),
        (json!({"user": "ann", "ttl": -1, "key": "abc"}), vec!["spec.ttl: Invalid value: -1: must be greater than or equal to 0"]),
        (json!({"user": "ann", "type": "Login", "key": "abc"}), vec![]),
        (
            json!({"user": "ann", "type": "login", "key": "abc"}),
            vec![
                "spec.type: Unsupported value: \"login\": supported values: \"\", \"Login\", \"NetworkPeer\", \"OIDCRefreshToken\", \"Other\", \"Reset\", \"User\", \"Workspace\"",
            ],
        ),
        (
            json!({"user": "ann", "subject": "s", "groups": ["g"], "key": "abc"}),
            vec![
                "spec.subject: Forbidden: a key acts as a user, a team or a virtual cluster",
                "spec.groups: Forbidden: a key has the groups of its user or team",
            ],
        ),
    ];
    let keys = OwnedAccessKeys;
    for (spec, want) in table {
        let errors: Vec<_> = keys.validate(&created(spec.clone())).iter().map(ToString::to_string).collect();
        assert_eq!(errors, want, "{spec}");
    }
    let mut strange = kept(json!({"user": "ann", "key": "abc"}));
    object_mut(&mut strange, "status").insert("keyHash".into(), "BA78".into());
    let errors: Vec<_> = keys.validate(&strange).iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["status.keyHash: Invalid value: \"BA78\": must be 64 lower-case hexadecimal digits"]);
}

#[test]
fn whose_key_it_is_never_changes() {
    let keys = OwnedAccessKeys;
    let table = [
        (json!({"user": "ann"}), json!({"user": "ann"}), vec![]),
        (json!({"user": "ann"}), json!({"user": "root"}), vec!["spec.user"]),
        (json!({"user": "ann"}), json!({"team": "t"}), vec!["spec.user"]),
        (json!({"team": "t"}), json!({"team": "u"}), vec!["spec.team"]),
        (json!({"team": "t"}), json!({"user": "root"}), vec!["spec.team"]),
        (json!({"subject": "loft:vcluster:p:one"}), json!({"subject": "loft:vcluster:p:two"}), vec!["spec.subject"]),
    ];
    for (old, new, want) in table {
        let errors = keys.validate_update(&key(new.clone()), &key(old.clone()));
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, want, "{old} -> {new}");
    }
}

#[test]
fn cells_show_whose_it_is() {
    let key = created(json!({"displayName": "d", "user": "ann", "type": "User", "ttl": 60, "key": "abc"}));
    let want =
        [json!("k"), json!("d"), json!("ann"), json!(null), json!("User"), json!("false"), json!("<unknown>"), json!(60), json!(null)];
    assert_eq!(OwnedAccessKeys.descriptor().cells(&key, 0), want);
}

#[test]
fn users_own_their_keys_and_nobody_those_of_teams() {
    let ann = crate::access::Caller { user: Some("ann".into()), teams: vec!["t".into()], ..crate::access::Caller::default() };
    for (spec, want) in [(json!({"user": "ann"}), true), (json!({"user": "bob"}), false), (json!({"team": "t"}), false), (json!({}), false)]
    {
        assert_eq!(ObjectAccess::read(&OwnedAccessKeys, &key(spec.clone())).grants(&ann, "delete", ""), want, "{spec}");
    }
}

#[test]
fn the_parts_of_a_key_have_limits() {
    use apiserver_meta::validation::validate_sizes;
    let errors = |new: &Object, old: Option<&Object>| {
        let errors = validate_sizes(new, old, OwnedAccessKeys.schema(), OwnedAccessKeys.size_limits());
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let long = |length: usize| "x".repeat(length);
    for (spec, want) in [
        (json!({"displayName": long(256), "description": long(4096), "key": long(1024)}), vec![]),
        (json!({"displayName": long(257)}), vec!["spec.displayName: Too long: may not be more than 256 bytes"]),
        (json!({"description": long(1_400_000)}), vec!["spec.description: Too long: may not be more than 4096 bytes"]),
        (json!({"key": long(1025)}), vec!["spec.key: Too long: may not be more than 1024 bytes"]),
        (json!({"user": long(254)}), vec!["spec.user: Too long: may not be more than 253 bytes"]),
        (json!({"scope": {"projects": [{"project": long(40_000)}]}}), vec!["spec.scope: Too long: may not be more than 32768 bytes"]),
        (json!({"scope": {"rules": vec![json!({}); 101]}}), vec!["spec.scope.rules: Too many: 101: must have at most 100 items"]),
    ] {
        let object = key(spec);
        assert_eq!(errors(&object, None), want);
        assert_eq!(errors(&object, Some(&object)), Vec::<String>::new(), "what is stored can be updated");
    }
    let annotated = object(json!({"metadata": {"annotations": {"a": long(17_000)}}}));
    assert_eq!(errors(&annotated, None), ["metadata: Too long: may not be more than 16384 bytes"]);
}

#[test]
fn who_of_a_name_holds_a_key_is_noted_once() {
    let status =
        |uid: &str| object(json!({"metadata": {"name": "k"}, "spec": {"user": "ann"}, "status": {"keyHash": ABC, "holderUID": uid}}));
    let refused = |new: &Object, old: &Object| {
        OwnedAccessKeys.validate_update(new, old).iter().map(|error| error.path.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(refused(&status("u-2"), &status("u-1")), ["status.holderUID"]);
    assert_eq!(refused(&object(json!({"spec": {"user": "ann"}, "status": {}})), &status("u-1")), ["status.holderUID"]);
    assert_eq!(refused(&status("u-1"), &object(json!({"spec": {"user": "ann"}}))), Vec::<String>::new(), "what was not noted may be");
    assert_eq!(refused(&object(json!({"spec": {"team": "ann"}, "status": {"holderUID": "u-1"}})), &status("u-1")), ["spec.user"]);
    // What admission has noted is kept, and the secret's hash is put beside it.
    let mut new =
        object(json!({"spec": {"user": "ann", "key": "abc"}, "status": {"holderUID": "u-1", "keyHash": "x", "lastActivity": "t"}}));
    OwnedAccessKeys.prepare_for_create(&context("root", None, &[]), &mut new);
    assert_eq!(new.0["status"], json!({"holderUID": "u-1", "keyHash": ABC}));
}
