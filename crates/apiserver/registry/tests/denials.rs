//! Somebody who is asked about a write may deny it with any reason. It is the answer, and nothing is concluded from it.

use apiserver_meta::options::{DeleteOptions, ListOptions, PatchOptions, WriteOptions};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, Principal, RequestContext, Subresource, User, Verb};
use apiserver_registry::{Admission, AdmissionRequest, CacheConfig, Patch, PatchKind, Registry, WriteFailure};
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Denies a verb with words that would otherwise be the registry's own.
#[derive(Debug)]
struct Denier {
    verb: Verb,
    denial: fn() -> ApiError,
    asked: AtomicUsize,
}

#[async_trait]
impl Admission for Denier {
    async fn validate(&self, _: &RequestContext, request: AdmissionRequest<'_>, _: Option<&Object>) -> Result<(), ApiError> {
        if request.verb != self.verb || request.key.name == "let-through" {
            return Ok(());
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        Err((self.denial)())
    }
}

fn missing() -> ApiError {
    ApiError::not_found(what(), "w")
}

fn taken() -> ApiError {
    ApiError::already_exists(what(), "w")
}

fn changed() -> ApiError {
    ApiError::modified(what(), "w")
}

fn what() -> apiserver_meta::error::GroupResource<'static> {
    apiserver_meta::testing::books().descriptor().group_resource()
}

struct Rig {
    registry: Arc<Registry>,
    denier: Arc<Denier>,
    _stop: DropGuard,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn denying(verb: Verb, denial: fn() -> ApiError) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store"));
        let (denier, stop) = (Arc::new(Denier { verb, denial, asked: AtomicUsize::new(0) }), CancellationToken::new());
        let admission = vec![Arc::clone(&denier) as Arc<dyn Admission>];
        let registry = Registry::start(apiserver_meta::testing::books(), store, admission, CacheConfig::standard(), stop.clone());
        registry.cache().ready().await;
        Self { registry, denier, _stop: stop.drop_guard(), _folder: folder }
    }

    async fn create(&self, name: &str) -> Result<(), ApiError> {
        let object = Object::from_value(body(name, "first")).expect("an object");
        self.registry.create(&context(), "ns", object, &WriteOptions::default()).await?;
        Ok(())
    }

    async fn apply(&self) -> Result<(), ApiError> {
        let patch = Patch { kind: PatchKind::Apply, body: body("w", "second").to_string().into(), create_denial: None, mask: None };
        let options = PatchOptions { write: WriteOptions { field_manager: "me".into(), ..WriteOptions::default() }, force: Some(true) };
        let key = ObjectKey::new("ns", "w");
        self.registry.patch(&context(), &key, Subresource::Main, patch, &options, &ObjectFilter::All).await?;
        Ok(())
    }

    fn asked(&self) -> usize {
        self.denier.asked.load(Ordering::SeqCst)
    }
}

fn body(name: &str, shown: &str) -> serde_json::Value {
    json!({"apiVersion": "library.example.com/v1", "kind": "Book", "metadata": {"name": name}, "spec": {"displayName": shown}})
}

fn context() -> RequestContext {
    RequestContext::new(Arc::new(User::default()), Principal::default(), Instant::now() + Duration::from_secs(30), "audit".into())
}

#[tokio::test]
async fn an_apply_that_is_denied_as_if_the_object_were_missing_creates_nothing() {
    for denial in [missing as fn() -> ApiError, taken, changed] {
        let rig = Rig::denying(Verb::Update, denial).await;
        rig.create("w").await.expect("created");
        let error = rig.apply().await.expect_err("denied");
        assert_eq!((error.reason, error.message), (denial().reason, denial().message));
        // Once for what the cache had, and once more if that was old.
        assert!((1..=2).contains(&rig.asked()), "asked {} times", rig.asked());
    }
}

#[tokio::test]
async fn an_apply_whose_creation_is_denied_as_if_the_object_were_there_is_not_tried_again() {
    let rig = Rig::denying(Verb::Create, taken).await;
    assert_eq!(rig.apply().await.expect_err("denied").message, taken().message);
    assert_eq!(rig.asked(), 1);
}

#[tokio::test]
async fn a_deletion_that_is_denied_as_if_the_object_were_missing_has_failed() {
    let rig = Rig::denying(Verb::Delete, missing).await;
    rig.create("w").await.expect("created");
    let (options, all) = (DeleteOptions::default(), ListOptions::default());
    let deleted = rig.registry.delete_collection(&context(), "ns", &all, &options, &ObjectFilter::All).await;
    assert!(matches!(&deleted, Err(WriteFailure::Refused(error)) if error.code() == 404), "{deleted:?}");
    let denied = rig.registry.delete(&context(), &ObjectKey::new("ns", "w"), &options, &ObjectFilter::All).await;
    assert!(matches!(denied, Err(WriteFailure::Refused(_))), "{denied:?}");
    let absent = rig.registry.delete(&context(), &ObjectKey::new("ns", "let-through"), &options, &ObjectFilter::All).await;
    assert!(matches!(absent, Err(WriteFailure::Missing(_))), "{absent:?}");
}

#[tokio::test]
async fn each_failure_is_told_from_the_others() {
    let rig = Rig::denying(Verb::Create, taken).await;
    rig.create("let-through").await.expect("created");
    let object = || Object::from_value(body("let-through", "first")).expect("an object");
    let again = rig.registry.create(&context(), "ns", object(), &WriteOptions::default()).await;
    assert!(matches!(again, Err(WriteFailure::Exists(_))), "{again:?}");
    let denied =
        rig.registry.create(&context(), "ns", Object::from_value(body("w", "")).expect("an object"), &WriteOptions::default()).await;
    assert!(matches!(denied, Err(WriteFailure::Refused(_))), "{denied:?}");
    let key = ObjectKey::new("ns", "let-through");
    for options in [
        DeleteOptions { uid: Some("another".into()), ..DeleteOptions::default() },
        DeleteOptions { resource_version: Some("1".into()), ..DeleteOptions::default() },
    ] {
        let stale = rig.registry.delete(&context(), &key, &options, &ObjectFilter::All).await;
        assert!(matches!(stale, Err(WriteFailure::Stale(_))), "{stale:?}");
    }
    let mut old = object();
    old.set_meta_str("resourceVersion", "1");
    let stale = rig.registry.update(&context(), &key, Subresource::Main, old, &WriteOptions::default(), &ObjectFilter::All).await;
    assert!(matches!(stale, Err(WriteFailure::Stale(_))), "{stale:?}");
}
