//! The server by itself, as README.md says.

use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use vci_testkit::client::Protocol;
use vci_testkit::program::cached;
use vci_testkit::server::{ServerOptions, TestServer};

const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

async fn start() -> TestServer {
    let mut options = ServerOptions::new(env!("CARGO_BIN_EXE_widget"));
    options.subcommand = None;
    TestServer::start(options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_local_administrator_may_do_anything() {
    let mut server = start().await;
    let mode = std::fs::metadata(server.kubeconfig_path()).expect("a kubeconfig").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let anonymous = server.anonymous(Protocol::Http2);
    assert_eq!(anonymous.get(WIDGETS).await.status, 401);
    assert_eq!(anonymous.bearer("guessed").get(WIDGETS).await.status, 401);
    let admin = server.admin(Protocol::Http2);
    admin.post(WIDGETS, &json!({"metadata": {"name": "hinge"}, "spec": {}})).await.expect(201);

    assert!(server.stop().await.success());
    server.restart().await;
    assert_eq!(admin.get(WIDGETS).await.status, 401, "the token ends with the process");
    let list = server.admin(Protocol::Http2).get(WIDGETS).await.expect(200).json();
    assert_eq!(list["items"][0]["metadata"]["name"], "hinge");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_with_the_kubeconfig_that_the_server_writes() {
    let Some(kubectl) = cached("bin/kubectl-1.36") else { return };
    let (server, home) = (start().await, tempfile::tempdir().expect("a home"));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&kubectl);
        command.arg("--kubeconfig").arg(server.kubeconfig_path()).env("HOME", home.path());
        let output = command.args(arguments).output().expect("kubectl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/widgets.yaml")]);
    let tables = run(&["get", "widgets,factories"]);
    let lines: Vec<Vec<&str>> = tables.lines().map(|line| line.split_whitespace().collect()).collect();
    let [widgets, hinge, _, factories, ulm] = &lines[..] else { panic!("{tables}") };
    assert_eq!((&widgets[..], &hinge[..2]), (&["NAME", "WIDTH", "PHASE", "AGE"][..], &["widget.example.com/hinge", "10"][..]));
    assert_eq!((&factories[..], &ulm[..2]), (&["NAME", "CITY", "AGE"][..], &["factory.example.com/ulm", "Ulm"][..]));
}
