//! What curl shows of a refusal: its status, whichever it is and however much of the body was still to be sent.
//!
//! A server that answers before it has read a body can lose its answer in many ways: over HTTP/2 by a reset, over HTTP/1.1 by
//! a socket that is closed with unread bytes in it.

use crate::common::{BINARY, COLLECTION, instance, path};
use std::path::Path;
use std::process::{Command, Stdio};
use tokio::io::AsyncWriteExt as _;
use vci_testkit::client::Protocol;
use vci_testkit::server::{ServerOptions, TestServer};

/// How often each request is sent: a status that is lost is lost in some of them.
const TIMES: usize = 10;

const BOOTSTRAP: &str = "\
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: ann}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: blue}
spec:
  members:
  - {kind: User, group: storage.loft.sh, name: ann, clusterRole: loft-management-project-admin}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: ann}
spec: {user: ann, key: the-key-of-ann-which-is-long}
";
const KEY: &str = "the-key-of-ann-which-is-long";
const BLUE: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";

/// A request that is refused.
struct Case {
    status: u16,
    path: String,
    key: String,
    headers: &'static [&'static str],
    /// JSON at the beginning of the body, which goes on with spaces.
    begins: String,
    /// Whether the refusal needs the body: a body that is too large is refused for that then.
    is_read: bool,
}

/// Sends it so often, by processes of curl at once, and gives what is not as it should be.
async fn send(server: &TestServer, case: &Case, protocol: &str, body: &Path, status: u16) -> Vec<String> {
    let headers = case.headers.iter().flat_map(|header| ["-H", *header]);
    let arguments: Vec<&str> = headers.collect();
    let run = || {
        Command::new("curl")
            .args(["-sSk", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", protocol, "--max-time", "60"])
            .args(["--data-binary", &format!("@{}", body.display())])
            .args(["-H", &format!("Authorization: Bearer {}", case.key)])
            .args(&arguments)
            .arg(format!("{}{}", server.base_url(), case.path))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("curl runs")
    };
    let mut wrong = Vec::new();
    for _ in 0..TIMES.div_ceil(2) {
        for curl in [run(), run()] {
            let output = curl.wait_with_output().expect("curl ends");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if !output.status.success() || text != status.to_string() {
                wrong.push(format!("{text}, {}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
            }
        }
    }
    wrong
}

fn cases(server: &TestServer) -> Vec<Case> {
    const JSON: &[&str] = &["Content-Type: application/json"];
    let admin = server.admin_token();
    let case = |status, path: &str, key: &str, headers, begins: &str, is_read| Case {
        status,
        path: path.into(),
        key: key.into(),
        headers,
        begins: begins.into(),
        is_read,
    };
    let existing = instance("existing").to_string();
    vec![
        case(401, COLLECTION, "wrong", JSON, "{}", false),
        case(403, COLLECTION, KEY, JSON, "{}", false),
        case(404, "/nothing", &admin, JSON, "{}", false),
        case(404, "/apis/management.loft.sh/v1/nothing", &admin, JSON, "{}", false),
        case(405, &path("existing"), &admin, JSON, "{}", false),
        case(406, COLLECTION, &admin, &["Content-Type: application/json", "Accept: text/html"], "{}", false),
        case(409, COLLECTION, &admin, JSON, &existing, true),
        case(415, COLLECTION, &admin, &["Content-Type: application/json", "Content-Encoding: gzip"], "{}", false),
        case(415, COLLECTION, &admin, &["Content-Type: text/plain"], "{}", true),
        case(422, COLLECTION, &admin, JSON, "{}", true),
    ]
}

async fn check(server: &TestServer, cases: &[Case]) {
    let folder = tempfile::tempdir().expect("a folder");
    let body = folder.path().join("body");
    let mut wrong = Vec::new();
    for case in cases {
        for size in [20, 60_000, 4_000_000] {
            let padding = size.max(case.begins.len()) - case.begins.len();
            std::fs::write(&body, format!("{}{}", case.begins, " ".repeat(padding))).expect("a file");
            let status = if case.is_read && size > 3 << 20 { 413 } else { case.status };
            for protocol in ["--http2", "--http1.1"] {
                let found = send(server, case, protocol, &body, status).await;
                wrong.extend(found.into_iter().map(|found| format!("{status} {} {protocol} {size}: {found}", case.path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_shows_the_status_of_every_refusal() {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    let server = TestServer::start(options).await;
    server.admin(Protocol::Http2).post(COLLECTION, &instance("existing")).await.expect(201);
    check(&server, &cases(&server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_shows_that_it_is_to_come_back() {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(BOOTSTRAP.to_owned());
    options.flags = vec!["--max-mutating-requests-inflight".into(), "1".into()];
    let server = TestServer::start(options).await;
    // The one permit that there is.
    let mut held = crate::bad_input::connect(&server).await;
    let head = format!("POST {BLUE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 9\r\n\r\n");
    held.write_all(head.as_bytes()).await.expect("the server reads");
    let ann = server.anonymous(Protocol::Http1).bearer(KEY);
    vci_testkit::wait_for("the permit to be taken", async || ann.post(BLUE, &instance("x")).await.status == 429).await;
    let case = Case { status: 429, path: BLUE.into(), key: KEY.into(), headers: &[], begins: "{}".into(), is_read: false };
    check(&server, &[case]).await;
}
