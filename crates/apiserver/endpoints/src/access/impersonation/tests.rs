#![allow(clippy::unwrap_used)]
use super::*;
use apiserver_auth::Decision;
use apiserver_auth::Unmapped;
use apiserver_meta::Principal;
use async_trait::async_trait;
use http::HeaderValue;

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
        if granted { Decision::Allow(ObjectFilter::All) } else { Decision::NoOpinion("deny by default".into()) }
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
    Identity::of_user(User { name: "dev".into(), groups, ..User::default() })
}

async fn outcome(identities: &dyn IdentityMapper, caller: &Identity, list: &[(&str, &str)]) -> Result<Identity, u16> {
    let granted = async {
        let request = ImpersonationRequest::read(&headers(list))?.expect("a wish");
        request.grant(&[Arc::new(ByGroup)], identities, caller).await
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
        ("users groups extra:other", &[("user", "boss"), ("extra-scopes", "scope-a")], Err(403)),
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
        let got = outcome(&Unmapped, &caller(groups), list).await;
        assert_eq!(got.as_ref().map(told).map_err(|code| *code), want.map(str::to_owned), "{groups:?} wish {list:?}");
    }
}

/// Knows ann, who is in sso, master, who is one of system:masters, and admin, who may do everything here. What somebody acts with
/// stays theirs.
#[derive(Debug)]
struct Known;

impl IdentityMapper for Known {
    fn identity_of(&self, mut user: User) -> Identity {
        match user.name.as_str() {
            "ann" => user.groups.insert(0, "sso".into()),
            "master" => user.groups.push(GROUP_MASTERS.into()),
            _ => {}
        }
        Identity::of_user(user)
    }

    fn impersonated(&self, user: User, caller: &Identity) -> Identity {
        Identity { principal: caller.principal.clone(), ..self.identity_of(user) }
    }

    fn is_admin(&self, identity: &Identity) -> bool {
        identity.user.name == "admin" || identity.user.in_group(GROUP_MASTERS)
    }

    fn is_reserved_extra(&self, key: &str) -> bool {
        key == "example.com/said-by-the-server"
    }
}

/// Somebody who is known, in more groups.
fn known(name: &str, groups: &str) -> Identity {
    let groups = groups.split_whitespace().map(str::to_owned).collect();
    Known.identity_of(User { name: name.into(), groups, ..User::default() })
}

#[tokio::test]
async fn whoever_is_known_is_acted_for_with_all_that_they_are() {
    let ann = outcome(&Known, &caller("users"), &[("user", "ann")]).await.unwrap();
    assert!(ann.user.in_group("sso"), "{ann:?}");
    let more = outcome(&Known, &caller("all"), &[("user", "ann"), ("group", "more"), ("uid", "u")]).await.unwrap();
    assert_eq!(more.user.uid, "u");
    assert!(more.user.in_group("sso") && more.user.in_group("more"));
}

#[tokio::test]
async fn nobody_becomes_more_than_they_are() {
    // as whom, by somebody who may impersonate, by one who may do everything here, by one of system:masters
    type Case = (&'static [(&'static str, &'static str)], [Option<u16>; 3]);
    let table: &[Case] = &[
        (&[("user", "ann")], [None, None, None]),
        (&[("user", "admin")], [Some(403), None, None]),
        (&[("user", "master")], [Some(403), Some(403), None]),
        (&[("user", "ann"), ("group", GROUP_MASTERS)], [Some(403), Some(403), None]),
        (&[("user", "ann"), ("joined-group", "a,system:masters")], [Some(403), Some(403), None]),
        (&[("user", "ann"), ("extra-example.com%2Fsaid-by-the-server", "k")], [Some(403), Some(403), Some(403)]),
    ];
    for (list, want) in table {
        for (caller, want) in [known("ann", "all"), known("admin", "all"), known("master", "all")].iter().zip(want) {
            assert_eq!(outcome(&Known, caller, list).await.err(), *want, "{list:?} by {}", caller.user.name);
        }
    }
}

#[tokio::test]
async fn what_bounds_the_caller_bounds_whom_they_act_for() {
    let mut admin = known("admin", "all");
    Arc::make_mut(&mut admin.user).extra.insert("said-of-admin".into(), vec!["x".into()]);
    admin.principal = Principal::new("short-lived".to_owned());
    for name in ["ann", "admin", "nobody"] {
        let acting = outcome(&Known, &admin, &[("user", name)]).await.unwrap();
        assert_eq!(acting.principal, admin.principal, "as {name}");
        assert!(acting.user.extra.is_empty(), "nothing that was said of the caller is said of {name}: {:?}", acting.user.extra);
    }
}
