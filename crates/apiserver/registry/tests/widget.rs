//! The example's kind keeps the promises of every kind, and its server serves it.

#[allow(dead_code, unreachable_pub, reason = "an example is a program")]
#[path = "../examples/widget.rs"]
mod widget;

use apiserver_registry::suite::{Sample, Subject};
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

apiserver_registry::resource_suite!(on_embedded());

async fn on_embedded() -> (Subject, TempDir) {
    let (store, folder) = store();
    let sample = Sample {
        object: json!({"spec": {"material": "brass"}}),
        change: json!({"spec": {"width": 20}}),
        status: json!({"status": {"phase": "Polished"}}),
    };
    (Subject::start(Arc::new(widget::Widgets::default()), store, sample).await, folder)
}

fn store() -> (Arc<EmbeddedStore>, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let store = EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store");
    (Arc::new(store), folder)
}

#[tokio::test]
async fn widgets_are_served() {
    let ((store, _folder), stop) = (store(), CancellationToken::new());
    let _stop = stop.clone().drop_guard();
    let router = widget::serve(store, stop).await;
    let send = async |method: &str, path: &str, body: Value| {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let response =
            router.clone().oneshot(request.body(axum::body::Body::from(body.to_string())).expect("a request")).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice::<Value>(&body).expect("JSON"))
    };
    let collection = "/apis/example.com/v1/namespaces/shelf/widgets";
    let (status, made) = send("POST", collection, json!({"metadata": {"name": "w"}, "spec": {}})).await;
    assert_eq!((status, &made["spec"]["width"]), (201, &json!(10)));
    let (status, refused) = send("POST", collection, json!({"metadata": {"name": "x"}, "spec": {"width": -1}})).await;
    assert_eq!((status, &refused["details"]["causes"][0]["field"]), (422, &json!("spec.width")));
    let (status, list) = send("GET", collection, Value::Null).await;
    assert_eq!((status, &list["items"][0]["metadata"]["uid"]), (200, &made["metadata"]["uid"]));
    let (status, discovery) = send("GET", "/apis/example.com/v1", Value::Null).await;
    assert_eq!((status, &discovery["resources"][0]["shortNames"]), (200, &json!(["wd"])));
}
