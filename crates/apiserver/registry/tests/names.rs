//! Names that the server makes, where each is taken at the last moment.

use apiserver_meta::options::WriteOptions;
use apiserver_meta::{ApiError, Object, ObjectKey, Principal, Reason, RequestContext, User, testing};
use apiserver_registry::{Admission, AdmissionRequest, CacheConfig, Registry, storage_key};
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use apiserver_store::{Expect, Store};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Whenever a name is decided, stores another object under it: as often as it is told to.
#[derive(Debug)]
struct Thief {
    store: Arc<dyn Store>,
    thefts: AtomicUsize,
    most: usize,
}

#[async_trait]
impl Admission for Thief {
    async fn validate(&self, _: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let object = object.expect("a create");
        if self.thefts.load(Ordering::SeqCst) < self.most {
            self.thefts.fetch_add(1, Ordering::SeqCst);
            let key = storage_key(request.descriptor, &ObjectKey::new(object.namespace(), object.name()));
            self.store.put(&key, Bytes::from(object.to_bytes()), Expect::Absent).await.expect("a new name");
        }
        Ok(())
    }
}

async fn create_among_thieves(most: usize) -> (Result<String, ApiError>, usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store: Arc<dyn Store> =
        Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store"));
    let thief = Arc::new(Thief { store: Arc::clone(&store), thefts: AtomicUsize::new(0), most });
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let admission: Vec<Arc<dyn Admission>> = vec![thief.clone()];
    let registry = Registry::start(testing::books(), store, admission, CacheConfig::standard(), stop);
    registry.cache().ready().await;
    let context = RequestContext::new(Arc::new(User::default()), Principal::default(), Instant::now() + Duration::from_secs(20), "".into());
    let object = json!({"apiVersion": "library.example.com/v1", "kind": "Book", "metadata": {"generateName": "gen-"}, "spec": {}});
    let object = Object::from_value(object).expect("an object");
    let options = WriteOptions { field_manager: "m".into(), ..WriteOptions::default() };
    let written = registry.create(&context, "shelf", object, &options).await;
    let name = |bytes: &[u8]| Object(serde_json::from_slice(bytes).expect("JSON")).name().to_owned();
    (written.map(|written| name(&written.bytes)).map_err(ApiError::from), thief.thefts.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_name_is_drawn_again_when_it_is_taken() {
    let (made, thefts) = create_among_thieves(7).await;
    assert!(made.expect("the eighth name").starts_with("gen-"));
    assert_eq!(thefts, 7);
}

#[tokio::test]
async fn eight_names_are_enough() {
    let (made, thefts) = create_among_thieves(usize::MAX).await;
    let refused = made.expect_err("every name is taken");
    assert_eq!((refused.reason, thefts), (Reason::AlreadyExists, 8));
    assert!(refused.message.ends_with("already exists, the server was not able to generate a unique name for the object"), "{refused}");
    assert_eq!(refused.details.expect("details").retry_after_seconds, 1);
}
