//! Into virtual clusters: a real kube-apiserver as the virtual cluster, and one as the host whose port-forward API leads to it.

mod kubelet;
mod stand;

use http::Method;
use serde_json::{Value, json};
use stand::{PROXY, Stand};
use std::process::{Command, Stdio};
use vci_testkit::program::cached;
use vci_testkit::wait_for;

const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// Who somebody is inside.
async fn whoami(stand: &Stand, user: &str) -> (String, Vec<String>) {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = stand.client(user).post(&format!("{PROXY}{REVIEW}"), &review).await.expect(201).json();
    let info = &answer["status"]["userInfo"];
    let groups = info["groups"].as_array().expect("groups").iter().map(|group| group.as_str().expect("text").to_owned()).collect();
    (info["username"].as_str().expect("a name").to_owned(), groups)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_an_administrator_inside_and_a_guest_has_their_role() {
    let Some(stand) = Stand::start().await else { return };
    let version = stand.client("owner").get(&format!("{PROXY}/version")).await.expect(200).json();
    assert!(version["gitVersion"].as_str().is_some_and(|version| version.starts_with("v1.")), "{version}");
    let (name, groups) = whoami(&stand, "owner").await;
    assert!(name == "owner" && groups.iter().any(|group| group == "system:masters"), "{name} {groups:?}");

    stand.client("guest").get(&format!("{PROXY}/version")).await.expect(403);
    stand.share("guest", "view").await;
    let (name, groups) = whoami(&stand, "guest").await;
    assert!(name == "guest" && !groups.iter().any(|group| group == "system:masters"), "{name} {groups:?}");
    let maps = format!("{PROXY}/api/v1/namespaces/default/configmaps");
    // The controller binds the roles.
    stand.client("guest").get(&maps).await.expect(403);
    stand.bind("view").await;
    wait_for("the role to be known", || async { stand.client("guest").get(&maps).await.status == 200 }).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}});
    stand.client("guest").post(&maps, &map).await.expect(403);
    stand.client("guest").get(&format!("{PROXY}/api/v1/namespaces/default/secrets")).await.expect(403);
    stand.client("owner").post(&maps, &map).await.expect(201);
    stand.client("guest").get(&format!("{maps}/m")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_and_upgrades_come_from_the_virtual_cluster_and_end_with_access() {
    let Some(stand) = Stand::start().await else { return };
    stand.share("guest", "view").await;
    stand.bind("view").await;
    let maps = format!("{PROXY}/api/v1/namespaces/default/configmaps");
    wait_for("the role to be known", || async { stand.client("guest").get(&maps).await.status == 200 }).await;
    let mut watch = stand.client("guest").watch(&format!("{maps}?watch=1&fieldSelector=metadata.name%3Dseen")).await;
    assert_eq!(watch.status, 200);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seen"}});
    stand.client("owner").post(&maps, &map).await.expect(201);
    assert_eq!(watch.next().await.expect("an event")["object"]["metadata"]["name"], "seen");
    let mut socket = stand.websocket("guest", "/api/v1/namespaces?watch=1").await;
    assert!(socket.next_text().await.expect("a frame").contains("\"ADDED\""), "the watch of a kube-apiserver over a WebSocket");
    stand.share("nobody", "view").await;
    while watch.next().await.is_some() {}
    while socket.next_text().await.is_some() {}
    stand.client("guest").get(&maps).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_with_the_address_of_the_proxy() {
    let Some(kubectl) = cached("bin/kubectl-1.36") else { return };
    let Some(stand) = Stand::start().await else { return };
    let kubeconfig = stand.kubeconfig("owner").await;
    let run = |args: &[&str], input: &str| {
        let mut command = Command::new(&kubectl);
        command.arg("--kubeconfig").arg(&kubeconfig).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl runs");
        std::io::Write::write_all(&mut child.stdin.take().expect("an input"), input.as_bytes()).expect("an input");
        let output = child.wait_with_output().expect("kubectl ends");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {text}");
        text
    };
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: default}\ndata: {a: b}\n";
    assert!(run(&["apply", "--server-side", "-f", "-"], manifest).contains("serverside-applied"));
    assert!(run(&["apply", "-f", "-"], manifest).contains("configmap/m"));
    assert_eq!(run(&["get", "configmap", "m", "-o", "jsonpath={.data.a}"], ""), "b");
    assert!(run(&["get", "namespaces"], "").contains("kube-system"));
    assert!(run(&["api-resources"], "").contains("deployments"));
    assert!(run(&["auth", "can-i", "*", "*"], "").contains("yes"));
    assert!(run(&["delete", "configmap", "m"], "").contains("deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_audited_and_counted_without_their_bodies() {
    let Some(stand) = Stand::start().await else { return };
    let secrets = format!("{PROXY}/api/v1/namespaces/default/secrets");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "a-secret-text"}});
    let answer = stand.client("owner").post(&secrets, &secret).await.expect(201);
    let id = answer.header("audit-id").to_owned();
    let event = stand.audited(&id).await;
    assert_eq!(
        (&event["verb"], &event["user"]["username"], &event["responseStatus"]["code"]),
        (&json!("create"), &json!("owner"), &json!(201))
    );
    assert_eq!(event["requestURI"], secrets);
    let object = &event["objectRef"];
    assert_eq!(
        (&object["resource"], &object["subresource"], &object["name"]),
        (&json!("virtualclusterinstances"), &json!("proxy"), &json!("my-vc"))
    );
    assert!(!stand.audit_log().contains("a-secret-text"));
    let metrics = stand.client("root").get("/metrics").await.expect(200).text();
    let line = metrics.lines().find(|line| {
        line.starts_with("apiserver_request_total{") && line.contains(r#"subresource="proxy""#) && line.contains(r#"verb="POST""#)
    });
    assert!(line.is_some_and(|line| line.contains(r#"resource="virtualclusterinstances""#)), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_goes_is_said_and_another_is_found() {
    let Some(stand) = Stand::start().await else { return };
    let version = format!("{PROXY}/version");
    stand.client("owner").get(&version).await.expect(200);
    stand.set_pod_ready(false).await;
    stand.end_connections();
    let path = version.clone();
    wait_for("the end of the connection", || async { stand.client("owner").get(&path).await.status == 503 }).await;
    let status: Value = stand.client("owner").request(Method::GET, &version, None, "").await.expect(503).json();
    assert!(status["message"].as_str().is_some_and(|message| message.contains("no pod of the virtual cluster is ready")), "{status}");
    stand.set_pod_ready(true).await;
    wait_for("the pod", || async { stand.client("owner").get(&version).await.status == 200 }).await;
}
