#![allow(clippy::unwrap_used)]

use super::*;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};

fn fresh() -> (Arc<dyn Store>, Arc<dyn Source>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(folder.path().join("s"), &EmbeddedConfig::standard()).unwrap());
    let resource = apiserver_meta::testing::shelves();
    let (store, calls) = InstrumentedStore::around(store, [resource.descriptor()]);
    (store, calls, folder)
}

// What is counted stays a store.
apiserver_store::conformance_suite!(async {
    let (store, _, folder) = fresh();
    (store, folder)
});

#[tokio::test]
async fn calls_count_by_kind_and_conflicts_are_no_errors() {
    let (store, calls, _folder) = fresh();
    let key = Key::new("library.example.com/shelves/a");
    let revision = store.put(&key, Bytes::from_static(b"1"), Expect::Absent).await.unwrap();
    assert!(matches!(store.put(&key, Bytes::from_static(b"2"), Expect::Absent).await, Err(WriteError::Conflict(_))));
    store.put(&key, Bytes::from_static(b"3"), Expect::Revision(revision)).await.unwrap();
    store.get(&key).await.unwrap();
    store.revision().await.unwrap();
    let future = RangeRequest { prefix: "library.example.com/shelves/".into(), at: Some(revision + 1000), ..RangeRequest::default() };
    assert!(store.range(&future).await.is_err());
    let mut text = Text::default();
    calls.write(&mut text);
    let text = text.into_string();
    let of_shelves = |operation| format!(r#"{{group="library.example.com",operation="{operation}",resource="shelves"}}"#);
    for line in [
        format!("etcd_requests_total{} 2", of_shelves("create")),
        format!("etcd_requests_total{} 1", of_shelves("update")),
        format!("etcd_requests_total{} 1", of_shelves("get")),
        format!("etcd_request_duration_seconds_count{} 1", of_shelves("list")),
        format!("etcd_request_errors_total{} 1", of_shelves("list")),
        r#"etcd_requests_total{group="",operation="get",resource=""} 1"#.to_owned(),
    ] {
        assert!(text.lines().any(|written| written == line), "{line}\n{text}");
    }
    assert_eq!(text.matches("etcd_request_errors_total{").count(), 1, "{text}");
}
