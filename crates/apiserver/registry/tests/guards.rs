//! Admission's guards: a write whose guard moves is decided again, by what is so now.

use apiserver_meta::options::{DryRun, PatchOptions, WriteOptions};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, Principal, RequestContext, Subresource, User};
use apiserver_registry::{Admission, AdmissionRequest, CacheConfig, Consistency, Guards, Patch, PatchKind, Registry, WriteFailure};
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use apiserver_store::{Key, Revision, Store};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const GUARD: &str = "guards/test";

/// Puts up a guard, and moves it under the feet of the first `meddling` attempts of every write.
#[derive(Debug)]
struct Meddler {
    store: Arc<EmbeddedStore>,
    meddling: usize,
    asked: Mutex<Vec<Consistency>>,
}

impl Meddler {
    fn asked(&self) -> Vec<Consistency> {
        std::mem::take(&mut self.asked.lock().expect("no panic"))
    }

    async fn guard(&self) -> Option<Revision> {
        self.store.get(&Key::new(GUARD)).await.expect("a store").map(|entry| entry.revision)
    }
}

#[async_trait::async_trait]
impl Admission for Meddler {
    async fn guards(
        &self,
        _: &RequestContext,
        registry: &Registry,
        request: AdmissionRequest<'_>,
        object: &Object,
        consistency: Consistency,
    ) -> Result<Guards, ApiError> {
        assert!(request.old.is_none() || request.old.map(Object::uid) == Some(object.uid()));
        let guard = registry.exclusive_guard(Key::new(GUARD)).await?;
        let attempt = {
            let mut asked = self.asked.lock().expect("no panic");
            asked.push(consistency);
            asked.len()
        };
        if attempt <= self.meddling {
            self.store.put(&guard.key, "meddled".into(), guard.expect).await.expect("it is as it was read");
        }
        Ok(Guards { guards: vec![guard], ..Guards::default() })
    }
}

fn context(time: Duration) -> RequestContext {
    RequestContext::new(Arc::new(User::default()), Principal::default(), Instant::now() + time, "audit".into())
}

fn object(name: &str) -> Object {
    let value = json!({"apiVersion": "library.example.com/v1", "kind": "Book", "metadata": {"name": name}, "spec": {}});
    Object::from_value(value).expect("an object")
}

async fn start(meddling: usize) -> (Arc<Registry>, Arc<Meddler>, tempfile::TempDir, tokio_util::sync::DropGuard) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store"));
    let meddler = Arc::new(Meddler { store: Arc::clone(&store), meddling, asked: Mutex::default() });
    let stop = tokio_util::sync::CancellationToken::new();
    let admission = vec![Arc::clone(&meddler) as Arc<dyn Admission>];
    let registry = Registry::start(apiserver_meta::testing::books(), store, admission, CacheConfig::standard(), stop.clone());
    registry.cache().ready().await;
    (registry, meddler, folder, stop.drop_guard())
}

async fn rename(registry: &Arc<Registry>, name: &str, dry_run: DryRun) -> Result<(), ApiError> {
    let patch =
        Patch { kind: PatchKind::Merge, body: json!({"spec": {"displayName": name}}).to_string().into(), create_denial: None, mask: None };
    let options = PatchOptions { write: WriteOptions { dry_run, ..WriteOptions::default() }, ..PatchOptions::default() };
    let key = ObjectKey::new("shelf", "w");
    let ctx = context(Duration::from_secs(20));
    registry.patch(&ctx, &key, Subresource::Main, patch, &options, &ObjectFilter::All).await?;
    Ok(())
}

#[tokio::test]
async fn what_was_decided_behind_a_moved_guard_is_decided_again() {
    use Consistency::{Cached, Linearizable};
    let (registry, meddler, _folder, _stop) = start(2).await;
    let ctx = context(Duration::from_secs(20));
    registry.create(&ctx, "shelf", object("w"), &WriteOptions::default()).await.expect("created");
    assert_eq!(meddler.asked(), [Cached, Linearizable, Linearizable]);
    rename(&registry, "x", DryRun::No).await.expect("updated");
    // The first state may have come from the cache or from the store.
    let asked = meddler.asked();
    assert_eq!((asked.len(), &asked[1..]), (3, &[Linearizable, Linearizable][..]));
    // Who loses to the object itself is told so, whatever the guard does.
    let taken = registry.create(&ctx, "shelf", object("w"), &WriteOptions::default()).await.expect_err("it is there");
    assert!(matches!(taken, WriteFailure::Exists(_)), "{taken}");
}

#[tokio::test]
async fn a_dry_run_asks_and_moves_nothing() {
    let (registry, meddler, _folder, _stop) = start(0).await;
    let ctx = context(Duration::from_secs(20));
    let dry = WriteOptions { dry_run: DryRun::All, ..WriteOptions::default() };
    registry.create(&ctx, "shelf", object("w"), &dry).await.expect("would be created");
    assert_eq!((meddler.asked().len(), meddler.guard().await), (1, None));
    registry.create(&ctx, "shelf", object("w"), &WriteOptions::default()).await.expect("created");
    let guard = meddler.guard().await;
    assert!(guard.is_some());
    rename(&registry, "x", DryRun::All).await.expect("would be updated");
    assert_eq!(meddler.guard().await, guard);
    rename(&registry, "x", DryRun::No).await.expect("updated");
    assert!(meddler.guard().await > guard);
    // A write that changes nothing is none.
    let guard = meddler.guard().await;
    rename(&registry, "x", DryRun::No).await.expect("nothing to do");
    assert_eq!(meddler.guard().await, guard);
}

#[tokio::test]
async fn a_guard_that_never_rests_ends_with_the_deadline() {
    let (registry, meddler, _folder, _stop) = start(usize::MAX).await;
    let error = registry.create(&context(Duration::from_millis(200)), "shelf", object("w"), &WriteOptions::default()).await;
    assert_eq!(ApiError::from(error.expect_err("no attempt can succeed")).code(), 504);
    registry.drain().await;
    let asked = meddler.asked();
    assert!(asked.len() > 1);
    assert_eq!(meddler.store.get(&Key::new("library.example.com/books/shelf/w")).await.expect("a store"), None);
}
