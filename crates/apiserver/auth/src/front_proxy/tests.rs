#![allow(clippy::unwrap_used)]
use super::*;
use crate::Unmapped;
use crate::authorities::tests::Authority;

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn config(user: &[&str], uid: &[&str], group: &[&str], extra: &[&str]) -> RequestHeaderConfig {
    RequestHeaderConfig {
        allowed_names: Vec::new(),
        username_headers: texts(user),
        uid_headers: texts(uid),
        group_headers: texts(group),
        extra_header_prefixes: texts(extra),
    }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Name, UID, groups, extra.
type Named<'a> = (&'a str, &'a str, &'a [&'a str], &'a [(&'a str, &'a [&'a str])]);
/// Configuration, headers, the user that they name.
type NamedBy<'a> = (RequestHeaderConfig, &'a [(&'a str, &'a str)], Option<Named<'a>>);

#[test]
fn headers_name_a_user() {
    const ALL: &str = "system:authenticated";
    let std = RequestHeaderConfig::default;
    let extra = || config(&["X-Remote-User"], &[], &[], &["X-Remote-Extra-1-", "X-Remote-Extra-2-"]);
    let table: &[NamedBy<'_>] = &[
        (std(), &[], None),
        (std(), &[("X-Remote-User", "")], None),
        (std(), &[("X-Remote-Group", "system:masters")], None),
        (std(), &[("X-Remote-User", "Bob")], Some(("Bob", "", &[ALL], &[]))),
        (std(), &[("x-remote-user", "bob"), ("x-REMOTE-uid", "7")], Some(("bob", "7", &[ALL], &[]))),
        (config(&["A-User"], &[], &[], &[]), &[("X-Remote-User", "Bob")], None),
        (config(&["A-User", "X-Remote-User"], &[], &[], &[]), &[("X-Remote-User", "Bob")], Some(("Bob", "", &[ALL], &[]))),
        (config(&["A-User", "B-User"], &[], &[], &[]), &[("A-User", ""), ("B-User", "Bob")], Some(("Bob", "", &[ALL], &[]))),
        (config(&["A-User", "B-User"], &[], &[], &[]), &[("B-User", "Bob"), ("A-User", "Ann")], Some(("Ann", "", &[ALL], &[]))),
        (std(), &[("X-Remote-User", "Bob"), ("X-Remote-User", "Ann")], Some(("Bob", "", &[ALL], &[]))),
        (
            config(&["U"], &[], &["G-1", "G-2"], &[]),
            &[("U", "Bob"), ("G-1", "one-a"), ("G-1", "one-b"), ("G-1", ""), ("G-2", "two")],
            Some(("Bob", "", &["one-a", "one-b", "two", ALL], &[])),
        ),
        (std(), &[("X-Remote-User", "Bob"), ("X-Remote-Group", ALL)], Some(("Bob", "", &[ALL], &[]))),
        (config(&["U"], &["I-1", "I-2"], &[], &[]), &[("U", "Bob"), ("I-2", "two")], Some(("Bob", "two", &[ALL], &[]))),
        (
            extra(),
            &[
                ("X-Remote-User", "Bob"),
                ("X-Remote-extra-1-Key1", "alfa"),
                ("X-Remote-Extra-1-key1", "bravo"),
                ("X-Remote-Extra-1-key2", "charlie"),
                ("X-Remote-Extra-2-Key3", "delta"),
                ("X-Remote-Other", "echo"),
            ],
            Some(("Bob", "", &[ALL], &[("key1", &["alfa", "bravo"]), ("key2", &["charlie"]), ("key3", &["delta"])])),
        ),
        (
            std(),
            &[("X-Remote-User", "Bob"), ("X-Remote-Extra-example.org%2ffoo", "a"), ("X-Remote-Extra-100%-sure", "b")],
            Some(("Bob", "", &[ALL], &[("100%-sure", &["b"]), ("example.org/foo", &["a"])])),
        ),
        // Who is anonymous there is so here.
        (
            std(),
            &[("X-Remote-User", "system:anonymous"), ("X-Remote-Group", "system:unauthenticated")],
            Some(("system:anonymous", "", &["system:unauthenticated"], &[])),
        ),
        (std(), &[("X-Remote-User", "system:anonymous")], Some(("system:anonymous", "", &[], &[]))),
        (
            std(),
            &[("X-Remote-User", "Bob"), ("X-Remote-Group", "system:unauthenticated")],
            Some(("Bob", "", &["system:unauthenticated"], &[])),
        ),
    ];
    for (config, given, want) in table {
        let got = config.user(&headers(given));
        let want = want.map(|(name, uid, groups, extra)| User {
            name: name.into(),
            uid: uid.into(),
            groups: texts(groups),
            extra: extra.iter().map(|(key, values)| ((*key).to_owned(), texts(values))).collect(),
        });
        assert_eq!(got, want, "{given:?}");
    }
}

#[test]
fn headers_that_name_somebody_are_known_by_name() {
    let config = config(&["X-User"], &["X-Uid"], &["X-Group"], &["X-Extra-"]);
    for (name, want) in [("x-user", true), ("X-UID", true), ("x-group", true), ("x-extra-a", true), ("x-extr", false), ("accept", false)] {
        assert_eq!(config.names(&name.parse().unwrap()), want, "{name}");
    }
}

#[derive(Debug, PartialEq)]
enum Want {
    NotRequested,
    Failed,
    Known(String),
}

/// The authenticator, the certificates and headers it is shown, its answer.
type Trusted<'a> = (FrontProxy, &'a [Arc<[u8]>], &'a HeaderMap, Want);

#[tokio::test]
async fn headers_count_only_from_an_allowed_proxy() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let authorities = Arc::new(Authorities::new(authority.pem().as_bytes()).unwrap());
    let allowing = |names: &[&str]| {
        let config = RequestHeaderConfig { allowed_names: texts(names), ..RequestHeaderConfig::default() };
        FrontProxy::new(Arc::clone(&authorities), config, Arc::new(Unmapped))
    };
    let (proxy, other) = (authority.client("proxy", &[]), stranger.client("proxy", &[]));
    let ann = headers(&[("X-Remote-User", "ann")]);
    let bob = headers(&[("X-Remote-User", "bob")]);
    let table: [Trusted<'_>; 8] = [
        (allowing(&[]), &[], &ann, Want::NotRequested),
        (allowing(&[]), &[other], &ann, Want::Failed),
        (allowing(&[]), std::slice::from_ref(&proxy), &ann, Want::Known("ann".into())),
        (allowing(&["x", "proxy"]), std::slice::from_ref(&proxy), &ann, Want::Known("ann".into())),
        (allowing(&["x"]), std::slice::from_ref(&proxy), &ann, Want::Failed),
        (allowing(&["Proxy"]), std::slice::from_ref(&proxy), &ann, Want::Failed),
        (allowing(&[]), std::slice::from_ref(&proxy), &bob, Want::Known("bob".into())),
        (allowing(&[]), std::slice::from_ref(&proxy), &HeaderMap::new(), Want::NotRequested),
    ];
    for (number, (authenticator, certificates, headers, want)) in table.into_iter().enumerate() {
        let got = match authenticator.authenticate(Credentials { headers, certificates }).await {
            Authentication::NotRequested => Want::NotRequested,
            Authentication::Failed(_) | Authentication::Undetermined(_) => Want::Failed,
            Authentication::Authenticated(identity) => Want::Known(identity.user.name.clone()),
        };
        assert_eq!(got, want, "case {number}");
    }
}

#[tokio::test]
async fn whose_word_counts_may_change_at_any_time() {
    let (old, new) = (Authority::new(), Authority::new());
    let proxy = FrontProxy::new(Arc::new(Authorities::none()), RequestHeaderConfig::default(), Arc::new(Unmapped));
    let chains = [old.client("proxy", &[]), new.client("proxy", &[])];
    let headers = headers(&[("X-Remote-User", "ann"), ("X-User", "bob")]);
    let who = async || {
        let mut names = Vec::new();
        for chain in &chains {
            let credentials = Credentials { headers: &headers, certificates: std::slice::from_ref(chain) };
            names.push(match proxy.authenticate(credentials).await {
                Authentication::Authenticated(identity) => Some(identity.user.name.clone()),
                _ => None,
            });
        }
        names
    };
    assert_eq!(who().await, [None, None], "no proxy is trusted yet");
    proxy.replace(Arc::new(Authorities::new(old.pem().as_bytes()).unwrap()), RequestHeaderConfig::default());
    assert_eq!(who().await, [Some("ann".to_owned()), None]);
    let config = config(&["X-User"], &[], &[], &[]);
    proxy.replace(Arc::new(Authorities::new(new.pem().as_bytes()).unwrap()), config);
    assert_eq!(who().await, [None, Some("bob".to_owned())]);
    assert!(proxy.is_credential(&"x-user".parse().unwrap()));
}
