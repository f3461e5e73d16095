#![allow(clippy::unwrap_used)]
use super::*;
use async_trait::async_trait;
use http::HeaderValue;
use vci_auth::Decision;
use vci_auth::directory::{CLUSTER_ROLE_ADMIN, TeamRecord, UserRecord};

/// Grants by the caller's groups: `all`, `users`, `serviceaccounts`, `groups`, `uid:NAME`, `extra:KEY` or `extra:KEY=VALUE`.
#[derive(Debug)]
struct ByGroup;

#[async_trait]
impl Authorizer for ByGroup {
    async fn authorize(&self, attributes: &Attributes) -> Decision {
        let Target::Resource { group, resource, subresource, namespace, name, .. } = &attributes.target else {
            panic!("no path is impersonated")
        };
        let needed = match (group.as_str(), resource.as_str()) {
            ("", "users" | "groups") if namespace.is_empty() && subresource.is_empty() => vec![resource.clone()],
            ("", "serviceaccounts") => vec![resource.clone(), format!("serviceaccounts:{namespace}/{name}")],
            (AUTHENTICATION, "uids") => vec![format!("uid:{name}")],
            (AUTHENTICATION, "userextras") => vec![format!("extra:{subresource}"), format!("extra:{subresource}={name}")],
            other => panic!("{other:?}"),
        };
        let user = &attributes.identity.user;
        let granted = attributes.verb == "impersonate" && (user.in_group("all") || needed.iter().any(|group| user.in_group(group)));
        if granted { Decision::Allow(View::All) } else { Decision::NoOpinion("deny by default".into()) }
    }
}

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(HeaderName::try_from(format!("impersonate-{name}")).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn caller(groups: &str) -> Identity {
    let groups = groups.split_whitespace().map(str::to_owned).collect();
    Identity { user: Arc::new(User { name: "dev".into(), groups, ..User::default() }), caller: Arc::default() }
}

async fn outcome(directory: Option<&Directory>, caller: &Identity, list: &[(&str, &str)]) -> Result<Identity, u16> {
    let granted = async {
        let wish = Wish::read(&headers(list))?.expect("a wish");
        wish.grant(&[Arc::new(ByGroup)], directory, caller).await
    };
    granted.await.map_err(|error: ApiError| error.code())
}

/// Name, UID, groups, extra facts.
fn told(identity: &Identity) -> String {
    let User { name, uid, groups, extra } = &*identity.user;
    let extra: Vec<String> = extra.iter().map(|(key, values)| format!("{key}={}", values.join("+"))).collect();
    format!("{name} {uid} [{}] {{{}}}", groups.join(" "), extra.join(" "))
}

/// The table of upstream's filter, with 400 for what is 500 there.
#[tokio::test]
async fn wishes_are_granted_part_by_part() {
    type Case = (&'static str, &'static [(&'static str, &'static str)], Result<&'static str, u16>);
    let table: &[Case] = &[
        ("", &[("user", "anyone")], Err(403)),
        ("", &[("group", "some-group")], Err(400)),
        ("", &[("extra-scopes", "scope-a")], Err(400)),
        ("", &[("uid", "some-uid")], Err(400)),
        ("users", &[("user", "boss"), ("group", "some-group")], Err(403)),
        ("users groups", &[("user", "boss"), ("group", "some-group")], Ok("boss  [some-group system:authenticated] {}")),
        ("users groups", &[("user", "boss"), ("group", "g"), ("extra-scopes", "scope-a")], Err(403)),
        ("users groups extra:project", &[("user", "boss"), ("extra-scopes", "scope-a")], Err(403)),
        ("users extra:scopes=scope-a", &[("user", "boss"), ("extra-scopes", "scope-a"), ("extra-scopes", "scope-b")], Err(403)),
        (
            "users extra:scopes",
            &[("user", "boss"), ("extra-scopes", "scope-a"), ("extra-scopes", "scope-b")],
            Ok("boss  [system:authenticated] {scopes=scope-a+scope-b}"),
        ),
        (
            "all",
            &[("user", "boss"), ("extra-example.com%2fescaped%e1%9b%84scopes", "scope-a")],
            Ok("boss  [system:authenticated] {example.com/escapedᛄscopes=scope-a}"),
        ),
        (
            "all",
            &[("user", "boss"), ("extra-almost%zzpercent%xxencoded", "scope-a")],
            Ok("boss  [system:authenticated] {almost%zzpercent%xxencoded=scope-a}"),
        ),
        ("users", &[("user", "tester")], Ok("tester  [system:authenticated] {}")),
        ("serviceaccounts", &[("user", "tester")], Err(403)),
        (
            "serviceaccounts:foo/default",
            &[("user", "system:serviceaccount:foo:default")],
            Ok("system:serviceaccount:foo:default  [system:serviceaccounts system:serviceaccounts:foo system:authenticated] {}"),
        ),
        ("users", &[("user", "system:serviceaccount:foo:default")], Err(403)),
        ("all", &[("user", "system:anonymous")], Ok("system:anonymous  [system:unauthenticated] {}")),
        ("all", &[("user", "system:anonymous"), ("group", "system:unauthenticated")], Ok("system:anonymous  [system:unauthenticated] {}")),
        ("all", &[("user", "unknown"), ("group", "system:unauthenticated")], Ok("unknown  [system:unauthenticated] {}")),
        ("all", &[("user", "unknown"), ("group", "system:authenticated")], Ok("unknown  [system:authenticated] {}")),
        (
            "users groups",
            &[("user", "boss"), ("group", "some-group"), ("group", "system:authenticated")],
            Ok("boss  [some-group system:authenticated] {}"),
        ),
        ("users uid:some-uid", &[("user", "tester"), ("uid", "some-uid")], Ok("tester some-uid [system:authenticated] {}")),
        ("users uid:some-uid", &[("user", "tester"), ("uid", "other-uid")], Err(403)),
        (
            "users groups uid:some-uid extra:scopes",
            &[("user", "t"), ("uid", "some-uid"), ("group", "system:authenticated"), ("extra-scopes", "a"), ("extra-scopes", "b")],
            Ok("t some-uid [system:authenticated] {scopes=a+b}"),
        ),
        // Beyond upstream: one header with many groups, and wishes that are ambiguous.
        ("users groups", &[("user", "t"), ("joined-group", "a, b ,,c")], Ok("t  [a b c system:authenticated] {}")),
        ("users", &[("user", "t"), ("joined-group", "a")], Err(403)),
        ("", &[("joined-group", "a")], Err(400)),
        ("all", &[("user", "one"), ("user", "two")], Err(400)),
        ("all", &[("user", "")], Err(400)),
        ("all", &[("user", "t"), ("extra-", "x")], Err(400)),
        ("all", &[("user", "t"), ("future", "x")], Err(400)),
    ];
    for (groups, list, want) in table {
        let got = outcome(None, &caller(groups), list).await;
        assert_eq!(got.as_ref().map(told).map_err(|code| *code), want.map(str::to_owned), "{groups:?} wish {list:?}");
    }
}

fn directory() -> Directory {
    let directory = Directory::default();
    let user = |name: &str, groups: &[&str], roles: &[&str]| UserRecord {
        name: name.into(),
        uid: format!("uid-of-{name}"),
        groups: groups.iter().map(|&group| group.into()).collect(),
        cluster_roles: roles.iter().map(|&role| role.into()).collect(),
        ..UserRecord::default()
    };
    directory.put_user(user("ann", &["sso"], &[]));
    directory.put_user(user("master", &[GROUP_MASTERS], &[]));
    directory.put_user(user("admin", &[], &[CLUSTER_ROLE_ADMIN]));
    directory.put_user(UserRecord { disabled: true, ..user("gone", &[GROUP_MASTERS], &[]) });
    directory.put_team(TeamRecord { name: "devs".into(), users: vec!["ann".into()], ..TeamRecord::default() });
    directory.put_team(TeamRecord { name: "ops".into(), cluster_roles: vec![CLUSTER_ROLE_ADMIN.into()], ..TeamRecord::default() });
    directory
}

#[tokio::test]
async fn whoever_is_known_is_acted_for_with_all_that_they_are() {
    let directory = directory();
    let ann = outcome(Some(&directory), &caller("users"), &[("user", "ann")]).await.unwrap();
    assert_eq!(ann, directory.known_as("ann").unwrap());
    let more = outcome(Some(&directory), &caller("all"), &[("user", "ann"), ("group", "more"), ("uid", "u")]).await.unwrap();
    assert_eq!((more.caller, more.user.uid.as_str()), (ann.caller, "u"));
    assert!(more.user.in_group("sso") && more.user.in_group("more"));
    let team = outcome(Some(&directory), &caller("users"), &[("user", "loft:team:devs")]).await.unwrap();
    assert_eq!(team, directory.known_as("loft:team:devs").unwrap());
    let gone = outcome(Some(&directory), &caller("users"), &[("user", "gone")]).await.unwrap();
    assert_eq!(told(&gone), "gone  [system:authenticated] {}", "who is locked out is nobody");
}

#[tokio::test]
async fn nobody_becomes_more_than_they_are() {
    let directory = directory();
    let known = |name: &str, groups: &str| {
        let mut identity = directory.known_as(name).unwrap();
        Arc::make_mut(&mut identity.user).groups.extend(groups.split_whitespace().map(str::to_owned));
        identity
    };
    // as whom, by somebody who may impersonate, by one with the role of an admin, by one of system:masters
    type Case = (&'static [(&'static str, &'static str)], [Option<u16>; 3]);
    let table: &[Case] = &[
        (&[("user", "ann")], [None, None, None]),
        (&[("user", "admin")], [Some(403), None, None]),
        (&[("user", "loft:team:ops")], [Some(403), None, None]),
        (&[("user", "master")], [Some(403), Some(403), None]),
        (&[("user", "ann"), ("group", GROUP_MASTERS)], [Some(403), Some(403), None]),
        (&[("user", "ann"), ("joined-group", "a,system:masters")], [Some(403), Some(403), None]),
        (&[("user", "ann"), ("extra-management.loft.sh%2Faccess-key", "k")], [Some(403), Some(403), Some(403)]),
    ];
    for (list, want) in table {
        for (caller, want) in [known("ann", "all"), known("admin", "all"), known("master", "all")].iter().zip(want) {
            assert_eq!(outcome(Some(&directory), caller, list).await.err(), *want, "{list:?} by {}", caller.user.name);
        }
    }
}

#[tokio::test]
async fn whoever_acts_for_others_still_comes_with_their_own_key() {
    let directory = directory();
    let mut admin = directory.known_as("admin").unwrap();
    let user = Arc::make_mut(&mut admin.user);
    user.groups.push("all".into());
    user.extra.insert(EXTRA_ACCESS_KEY.into(), vec!["short-lived".into()]);
    user.extra.insert("said-of-admin".into(), vec!["x".into()]);
    Arc::make_mut(&mut admin.caller).access_key = Some("short-lived".into());
    for name in ["ann", "admin", "nobody"] {
        let acting = outcome(Some(&directory), &admin, &[("user", name)]).await.unwrap();
        assert_eq!(acting.caller.access_key.as_deref(), Some("short-lived"), "as {name}");
        assert!(acting.user.extra.is_empty(), "nothing that was said of the caller is said of {name}: {:?}", acting.user.extra);
    }
}
