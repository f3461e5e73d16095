//! Callers by certificate, and by the word of a front proxy.

use crate::common::{BINARY, COLLECTION};
use serde_json::{Value, json};
use vci_testkit::certs::{Authority, Issued};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::server::{ServerOptions, TestServer};
use vci_testkit::wait_for;

const BOOTSTRAP: &str = "
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: ann}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: ann}
spec: {user: ann, key: key-of-ann-for-this-test}
";

/// A server, whom it trusts, and whom it does not.
struct Stand {
    clients: Authority,
    proxies: Authority,
    strangers: Authority,
    server: TestServer,
}

impl Stand {
    async fn new() -> Self {
        let [clients, proxies, strangers] = ["clients", "proxies", "strangers"].map(Authority::new);
        let mut options = ServerOptions::new(BINARY);
        options.bootstrap = Some(BOOTSTRAP.into());
        let files = [("--client-ca-file", &clients), ("--requestheader-client-ca-file", &proxies)];
        options.flags = files.iter().flat_map(|(flag, authority)| [(*flag).to_owned(), authority.file().display().to_string()]).collect();
        options.flags.extend(["--requestheader-allowed-names", "front-proxy"].map(str::to_owned));
        let server = TestServer::start(options).await;
        Self { clients, proxies, strangers, server }
    }

    fn client(&self, certificate: &Issued) -> Client {
        Client::with_certificate(self.server.base_url(), &self.server.ca_pem(), Protocol::Http2, certificate)
    }
}

/// The caller's name and groups, or the code of the refusal.
async fn who(client: &Client) -> Result<(String, Vec<String>), u16> {
    let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &question).await;
    if answer.status.as_u16() != 201 {
        return Err(answer.status.as_u16());
    }
    let user = answer.json()["status"]["userInfo"].clone();
    let texts = |value: &Value| value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect();
    Ok((user["username"].as_str().unwrap_or_default().to_owned(), texts(&user["groups"])))
}

fn remote(client: &Client, user: &str, group: &str) -> Client {
    let name = |text: &'static str| http::HeaderName::from_static(text);
    client.header(name("x-remote-user"), user).header(name("x-remote-group"), group)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_is_calling_if_somebody_vouches_for_it() {
    let stand = Stand::new().await;
    let ann = stand.client(&stand.clients.client("ann", &["dev"]));
    let (name, groups) = who(&ann).await.expect("somebody who is known");
    assert_eq!(name, "ann");
    for group in ["dev", "system:authenticated", "loft:user:ann"] {
        assert!(groups.iter().any(|known| known == group), "{group} is not in {groups:?}");
    }
    assert_eq!(ann.get(COLLECTION).await.status, 403, "no member of the project");
    let root = stand.client(&stand.clients.client("root", &["system:masters"]));
    assert_eq!(root.get(COLLECTION).await.status, 200);

    let stranger = stand.client(&stand.strangers.client("root", &["system:masters"]));
    assert_eq!(who(&stranger).await, Err(401));
    let with_key = stranger.bearer("key-of-ann-for-this-test");
    assert_eq!(who(&with_key).await.expect("somebody who is known").0, "ann", "a good key outweighs a certificate that says nothing");
    let wrong_key = ann.bearer("nobody's-key");
    assert_eq!(who(&wrong_key).await.expect("somebody who is known").0, "ann", "and the other way round");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_say_who_is_calling_only_if_the_front_proxy_sends_them() {
    let stand = Stand::new().await;
    let proxy = stand.client(&stand.proxies.client("front-proxy", &[]));
    assert_eq!(who(&remote(&proxy, "ann", "ops")).await.expect("somebody who is known").0, "ann");
    let (name, groups) = who(&remote(&proxy, "bob", "ops")).await.expect("somebody who is known");
    assert_eq!((name.as_str(), groups), ("bob", vec!["ops".to_owned(), "system:authenticated".to_owned()]));
    assert_eq!(remote(&proxy, "bob", "system:masters").get(COLLECTION).await.status, 200);
    assert_eq!(remote(&proxy, "bob", "ops").get(COLLECTION).await.status, 403);
    assert_eq!(who(&proxy).await, Err(401), "the proxy itself is nobody");

    let cases = [
        ("another name", stand.client(&stand.proxies.client("front-proxy-2", &[])), Err(401)),
        ("a stranger", stand.client(&stand.strangers.client("front-proxy", &[])), Err(401)),
        ("a client", stand.client(&stand.clients.client("ann", &[])), Ok("ann")),
        ("a key", stand.server.anonymous(Protocol::Http1).bearer("key-of-ann-for-this-test"), Ok("ann")),
        ("nothing", stand.server.anonymous(Protocol::Http1), Err(401)),
    ];
    for (case, client, want) in cases {
        let got = who(&remote(&client, "root", "system:masters")).await;
        assert_eq!(got.as_ref().map(|(name, _)| name.as_str()).map_err(|code| *code), want, "{case}");
        if let Ok((_, groups)) = got {
            assert!(!groups.iter().any(|group| group == "system:masters"), "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_anonymous_stays_so_whoever_vouches_for_them() {
    let stand = Stand::new().await;
    let proxy = stand.client(&stand.proxies.client("front-proxy", &[]));
    let master = stand.client(&stand.clients.client("root", &["system:masters"]));
    let acting = |user: &str, group: &str| {
        let name = |text: &'static str| http::HeaderName::from_static(text);
        master.header(name("impersonate-user"), user).header(name("impersonate-group"), group)
    };
    let (anonymous, nobody) = ("system:anonymous", "system:unauthenticated");
    let cases = [
        ("by a front proxy", remote(&proxy, anonymous, nobody)),
        ("by a front proxy, under a name", remote(&proxy, "ann", nobody)),
        ("by a certificate", stand.client(&stand.clients.client(anonymous, &[]))),
        ("by a certificate, under a name", stand.client(&stand.clients.client("bob", &[nobody]))),
        ("by somebody who acts for them", acting(anonymous, nobody)),
        ("by somebody who acts for them, under a name", acting("bob", nobody)),
    ];
    for (case, client) in cases {
        client.get("/version").await.expect(200);
        assert_eq!(who(&client).await, Err(401), "{case}");
        for path in ["/openapi/v2", "/openapi/v3", COLLECTION, "/api/v1/namespaces", "/metrics"] {
            assert_eq!(client.get(path).await.status, 401, "{case}: {path}");
        }
        assert_eq!(client.post("/apis/management.loft.sh/v1/selves", &json!({})).await.status, 401, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_are_read_again_when_their_file_changes() {
    let stand = Stand::new().await;
    let (old, new) = (stand.clients.client("ann", &[]), Authority::new("new clients"));
    let newcomer = stand.client(&new.client("ben", &[]));
    let held = stand.client(&old);
    assert_eq!((who(&held).await.is_ok(), who(&newcomer).await), (true, Err(401)));
    std::fs::write(stand.clients.file(), "not a certificate").expect("the file");
    std::fs::write(stand.clients.file(), new.pem()).expect("the file");
    wait_for("the new authority to be trusted", || async { who(&newcomer).await.is_ok() }).await;
    assert_eq!(who(&held).await, Err(401), "on the open connection too");
}
