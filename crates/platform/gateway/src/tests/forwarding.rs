//! What arrives at a virtual cluster, and as whose.

use super::cluster::Cluster;
use super::rig::{OBJECT, PROXY, Rig, request};
use axum::body::Body;
use http::{Method, Version};
use http_body_util::BodyExt as _;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_arrives_as_it_was_sent_but_for_who_it_is_from() {
    let rig = Rig::start().await;
    let sent = request("PATCH", "owner", &format!("{PROXY}/api/v1/namespaces/a%2Fb/pods/x?fieldManager=k%20l&x=%2B"))
        .header("content-type", "application/vnd.kubernetes.protobuf")
        .header("accept", "application/json;as=Table")
        .header("cookie", "s3cret")
        .header("x-remote-user", "root")
        .header("x-other", "1")
        .body(Body::from(vec![0, 1, 2, 255]))
        .unwrap();
    let response = rig.send(sent).await;
    assert_eq!(response.status(), 200);
    assert_eq!((response.headers()["x-of-cluster"].to_str().unwrap(), response.headers().get("set-cookie")), ("1", None));
    let arrived = rig.cluster.last();
    assert_eq!((&arrived.method, arrived.path_and_query()), (&Method::PATCH, "/api/v1/namespaces/a%2Fb/pods/x?fieldManager=k%20l&x=%2B"));
    assert!(arrived.by_certificate && arrived.version == Version::HTTP_2, "{arrived:?}");
    for (name, want) in [("content-type", "application/vnd.kubernetes.protobuf"), ("accept", "application/json;as=Table"), ("x-other", "1")]
    {
        assert_eq!(arrived.headers[name], want);
    }
    assert_eq!(arrived.headers["audit-id"], response.headers()["audit-id"]);
    for name in ["authorization", "cookie", "x-remote-user"] {
        assert!(!arrived.headers.contains_key(name), "{name}");
    }
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), r#"{"path":"/api/v1/namespaces/a%2Fb/pods/x"}"#);
    assert_eq!(rig.cluster.connections(), 1);
    rig.client("owner").get(PROXY).await.expect(200);
    assert_eq!((rig.cluster.last().path_and_query(), rig.cluster.connections()), ("/", 1), "the connection is shared");
    rig.client("owner").get(&format!("/kubernetes/management{PROXY}/version")).await.expect(200);
    assert_eq!(rig.cluster.last().path_and_query(), "/version");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_and_as_whom() {
    let rig = Rig::start().await;
    let roles = json!({"spec": {"extraAccessRules": [{"users": ["guest"], "clusterRole": "view"}]}});
    for (user, code) in [("root", 200), ("admin", 200), ("owner", 200), ("guest", 403), ("stranger", 403), ("nobody", 401)] {
        rig.client(user).get(&format!("{PROXY}/version")).await.expect(code);
    }
    rig.anonymous().get(&format!("{PROXY}/version")).await.expect(401);
    assert_eq!(rig.cluster.arrived().len(), 3, "those who may not are not heard of");
    rig.patch(OBJECT, &roles).await;
    for (user, role) in
        [("root", "system:masters"), ("admin", "system:masters"), ("owner", "system:masters"), ("guest", "loft:clusterrole:view")]
    {
        rig.client(user).get(&format!("{PROXY}/version")).await.expect(200);
        let (name, groups) = rig.cluster.last().impersonated();
        assert_eq!(name, user);
        assert!(
            groups.iter().any(|group| group == role) && groups.iter().any(|group| group == "system:authenticated"),
            "{user}: {groups:?}"
        );
        let of_kubernetes: Vec<_> = groups.iter().filter(|group| group.starts_with("system:")).collect();
        assert_eq!(of_kubernetes.len(), 1 + usize::from(role == "system:masters"), "{groups:?}");
        assert_eq!(groups.iter().any(|group| group == "devs"), user != "root", "{groups:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn impersonation_is_asked_of_this_server_and_decided_here() {
    let rig = Rig::start().await;
    let acting = |client: vci_testkit::client::Client, user: &str| client.header(http::HeaderName::from_static("impersonate-user"), user);
    acting(rig.client("root"), "owner").get(&format!("{PROXY}/version")).await.expect(200);
    assert_eq!(rig.cluster.last().impersonated().0, "owner");
    acting(rig.client("root"), "stranger").get(&format!("{PROXY}/version")).await.expect(403);
    acting(rig.client("owner"), "root").get(&format!("{PROXY}/version")).await.expect(403);
    assert_eq!(rig.cluster.arrived().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_looks_as_it_does_elsewhere() {
    let rig = Rig::start().await;
    for (user, path, code) in [
        ("owner", "/kubernetes/project/blue/virtualcluster/none/api", 404),
        ("stranger", "/kubernetes/project/blue/virtualcluster/none/api", 403),
        ("owner", "/kubernetes/project/none/virtualcluster/my-vc/api", 403),
        ("root", "/kubernetes/project/none/virtualcluster/my-vc/api", 404),
        ("root", "/kubernetes/project/blue/space/my-vc/api", 404),
        ("owner", "/kubernetes/project/blue/virtualcluster/%6dy-vc/api", 403),
    ] {
        rig.client(user).get(path).await.expect(code);
    }
    assert!(rig.cluster.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_not_ready_says_so() {
    let rig = Rig::start().await;
    rig.set_status(&json!({"phase": "Pending", "serviceUID": "", "reason": "HelmFailed", "message": "no such chart"})).await;
    let response = rig.client("owner").get(&format!("{PROXY}/version")).await.expect(503);
    assert_eq!(response.header("retry-after"), "5");
    let status = response.json();
    assert_eq!(status["message"], r#"virtual cluster "my-vc" is not ready: phase Pending (HelmFailed): no such chart"#);
    assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("ServiceUnavailable")));
    assert!(rig.cluster.arrived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_host_cluster_that_is_said_to_those_who_may() {
    let rig = Rig::without_host().await;
    let status = rig.client("owner").get(&format!("{PROXY}/version")).await.expect(503).json();
    assert!(status["message"].as_str().unwrap().contains("--kubeconfig"), "{status}");
    rig.client("guest").get(&format!("{PROXY}/version")).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_refused_are_read_again() {
    let rig = Rig::start().await;
    rig.client("owner").get(&format!("{PROXY}/version")).await.expect(200);
    rig.cluster.know_administrator(false);
    rig.client("owner").get(&format!("{PROXY}/version")).await.expect(200);
    assert_eq!(rig.cluster.connections(), 2, "another connection, with other credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_cluster_that_speaks_only_http1_is_spoken_to() {
    let rig = Rig::with(Cluster::start(&["http/1.1"]).await).await;
    rig.client("owner").get(&format!("{PROXY}/version")).await.expect(200);
    assert_eq!(rig.cluster.last().version, Version::HTTP_11);
    assert_eq!(rig.cluster.last().headers["host"], "my-vc.loft-blue-v-my-vc");
}
