//! Registered, discovered, documented; stopped and started again.

use super::stand::{self, API_SERVICE, available};
use crate::common::MERGE;
use serde_json::{Value, json};
use vci_testkit::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_serves_the_group_as_its_own() {
    for stand in stand::of_each_version().await {
        let admin = stand.admin();
        let found = admin.get(API_SERVICE).await.expect(200).json();
        let available = &found["status"]["conditions"][0];
        assert_eq!((&available["type"], &available["reason"]), (&Value::from("Available"), &Value::from("Passed")), "{found}");

        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let aggregated = admin.header(http::header::ACCEPT, accept);
        wait_for("aggregated discovery", async || {
            let groups = aggregated.get("/apis").await.expect(200).json();
            let group =
                groups["items"].as_array().into_iter().flatten().find(|group| group["metadata"]["name"] == "management.loft.sh").cloned();
            let Some(group) = group else { return false };
            let version = &group["versions"][0];
            let resources = version["resources"].as_array().cloned().unwrap_or_default();
            version["freshness"] == "Current" && resources.iter().any(|resource| resource["resource"] == "virtualclusterinstances")
        })
        .await;
        wait_for("OpenAPI v3 of the group", async || {
            let paths = admin.get("/openapi/v3").await.expect(200).json();
            let url = paths["paths"]["apis/management.loft.sh/v1"]["serverRelativeURL"].as_str().map(str::to_owned);
            let Some(url) = url else { return false };
            let document = admin.get(&url).await.expect(200).json();
            document["components"]["schemas"]
                .as_object()
                .is_some_and(|schemas| schemas.keys().any(|name| name.ends_with("VirtualClusterInstance")))
        })
        .await;
        wait_for("OpenAPI v2 with the group in it", async || {
            let document = admin.get("/openapi/v2").await.expect(200).json();
            let paths = document["paths"].as_object().cloned().unwrap_or_default();
            paths.keys().any(|path| path.starts_with("/apis/management.loft.sh/v1/"))
        })
        .await;
    }
}

/// A scraper has no role in any project.
#[tokio::test(flavor = "multi_thread")]
async fn rbac_of_the_cluster_says_who_scrapes() {
    let Some(stand) = stand::shared().await else { return };
    let (admin, scraper) = (stand.admin(), stand.direct("scraper"));
    // An answer holds for a while: somebody else is asked about first.
    stand.direct("stranger").get("/metrics").await.expect(403);
    let role = json!({"metadata": {"name": "scrape"}, "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]});
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).await.expect(201);
    let binding = json!({
        "metadata": {"name": "scrape"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "scrape"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "scraper"}],
    });
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await.expect(201);
    wait_for("the scraper to be let in", async || scraper.get("/metrics").await.status.as_u16() == 200).await;
    scraper.get("/metrics/slis").await.expect(403);
    scraper.get("/apis/management.loft.sh/v1/projects").await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_recovers_by_itself_when_the_server_comes_back() {
    let Some(mut stand) = stand::alone().await else { return };
    let place = stand.project("recovers", &[]).await;
    let admin = stand.admin();
    admin.post(&place.path(""), &crate::common::instance("one")).await.expect(201);

    stand.server.kill();
    // kube-apiserver looks twice a minute, and at once when the APIService changes.
    let touch = json!({"metadata": {"annotations": {"test": "look"}}});
    admin.patch(API_SERVICE, MERGE, &touch).await.expect(200);
    wait_for("the APIService to be unavailable", async || !available(&admin).await).await;
    assert_eq!(admin.get(&place.path("one")).await.status, 503);
    // A namespace that goes while nobody can say what is in it.
    let namespace = format!("/api/v1/namespaces/{}", place.namespace);
    admin.delete(&namespace).await.expect(200);
    stand.restart().await;
    stand.available().await;
    wait_for("the namespace to be gone", async || admin.get(&namespace).await.status == 404).await;
    assert_eq!(stand.server.admin(vci_testkit::client::Protocol::Http2).get(&place.path("one")).await.status, 404);
}
