//! Admission's fences: a write whose fence moves is decided again, by what is so now.

use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vci_meta::options::{DryRun, PatchOptions, WriteOptions};
use vci_meta::{ApiError, Caller, Object, ObjectKey, RequestContext, Subresource, User, View};
use vci_registry::{Admission, AdmissionRequest, CacheConfig, Fences, Knowledge, Patch, PatchKind, Registry};
use vci_store::embedded::{EmbeddedConfig, EmbeddedStore};
use vci_store::{Key, Revision, Store};

const FENCE: &str = "fences/test";

/// Puts up a fence, and moves it under the feet of the first `meddling` attempts of every write.
#[derive(Debug)]
struct Meddler {
    store: Arc<EmbeddedStore>,
    meddling: usize,
    asked: Mutex<Vec<Knowledge>>,
}

impl Meddler {
    fn asked(&self) -> Vec<Knowledge> {
        std::mem::take(&mut self.asked.lock().expect("no panic"))
    }

    async fn fence(&self) -> Option<Revision> {
        self.store.get(&Key::new(FENCE)).await.expect("a store").map(|entry| entry.revision)
    }
}

#[async_trait::async_trait]
impl Admission for Meddler {
    async fn fences(
        &self,
        _: &RequestContext,
        registry: &Registry,
        request: AdmissionRequest<'_>,
        object: &Object,
        knowledge: Knowledge,
    ) -> Result<Fences, ApiError> {
        assert!(request.old.is_none() || request.old.map(Object::uid) == Some(object.uid()));
        let fence = registry.exclusive_fence(Key::new(FENCE)).await?;
        let attempt = {
            let mut asked = self.asked.lock().expect("no panic");
            asked.push(knowledge);
            asked.len()
        };
        if attempt <= self.meddling {
            self.store.put(&fence.key, "meddled".into(), fence.expect).await.expect("it is as it was read");
        }
        Ok(Fences { fences: vec![fence], ..Fences::default() })
    }
}

fn context(time: Duration) -> RequestContext {
    RequestContext::new(Arc::new(User::default()), Arc::new(Caller::default()), Instant::now() + time, "audit".into())
}

fn object(name: &str) -> Object {
    let value = json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "metadata": {"name": name}, "spec": {}});
    Object::from_value(value).expect("an object")
}

async fn start(meddling: usize) -> (Arc<Registry>, Arc<Meddler>, tempfile::TempDir, tokio_util::sync::DropGuard) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store"));
    let meddler = Arc::new(Meddler { store: Arc::clone(&store), meddling, asked: Mutex::default() });
    let stop = tokio_util::sync::CancellationToken::new();
    let admission = vec![Arc::clone(&meddler) as Arc<dyn Admission>];
    let registry = Registry::start(vci_management::virtual_cluster_instances(), store, admission, CacheConfig::standard(), stop.clone());
    registry.cache().ready().await;
    (registry, meddler, folder, stop.drop_guard())
}

async fn rename(registry: &Arc<Registry>, name: &str, dry_run: DryRun) -> Result<(), ApiError> {
    let patch = Patch { kind: PatchKind::Merge, body: json!({"spec": {"displayName": name}}).to_string().into(), create_denial: None };
    let options = PatchOptions { write: WriteOptions { dry_run, ..WriteOptions::default() }, ..PatchOptions::default() };
    let key = ObjectKey::new("shelf", "w");
    let ctx = context(Duration::from_secs(20));
    registry.patch(&ctx, &key, Subresource::Main, patch, &options, &View::All).await.map(|_| ())
}

#[tokio::test]
async fn what_was_decided_behind_a_moved_fence_is_decided_again() {
    use Knowledge::{Cached, Live};
    let (registry, meddler, _folder, _stop) = start(2).await;
    let ctx = context(Duration::from_secs(20));
    registry.create(&ctx, "shelf", object("w"), &WriteOptions::default()).await.expect("created");
    assert_eq!(meddler.asked(), [Cached, Live, Live]);
    rename(&registry, "x", DryRun::No).await.expect("updated");
    // The first state may have come from the cache or from the store.
    let asked = meddler.asked();
    assert_eq!((asked.len(), &asked[1..]), (3, &[Live, Live][..]));
    // Who loses to the object itself is told so, whatever the fence does.
    let taken = registry.create(&ctx, "shelf", object("w"), &WriteOptions::default()).await.expect_err("it is there");
    assert_eq!(taken.code(), 409);
}

#[tokio::test]
async fn a_dry_run_asks_and_moves_nothing() {
    let (registry, meddler, _folder, _stop) = start(0).await;
    let ctx = context(Duration::from_secs(20));
    let dry = WriteOptions { dry_run: DryRun::All, ..WriteOptions::default() };
    registry.create(&ctx, "shelf", object("w"), &dry).await.expect("would be created");
    assert_eq!((meddler.asked().len(), meddler.fence().await), (1, None));
    registry.create(&ctx, "shelf", object("w"), &WriteOptions::default()).await.expect("created");
    let fence = meddler.fence().await;
    assert!(fence.is_some());
    rename(&registry, "x", DryRun::All).await.expect("would be updated");
    assert_eq!(meddler.fence().await, fence);
    rename(&registry, "x", DryRun::No).await.expect("updated");
    assert!(meddler.fence().await > fence);
    // A write that changes nothing is none.
    let fence = meddler.fence().await;
    rename(&registry, "x", DryRun::No).await.expect("nothing to do");
    assert_eq!(meddler.fence().await, fence);
}

#[tokio::test]
async fn a_fence_that_never_rests_ends_with_the_deadline() {
    let (registry, meddler, _folder, _stop) = start(usize::MAX).await;
    let error = registry.create(&context(Duration::from_millis(200)), "shelf", object("w"), &WriteOptions::default()).await;
    assert_eq!(error.expect_err("no attempt can succeed").code(), 504);
    registry.drain().await;
    let asked = meddler.asked();
    assert!(asked.len() > 1);
    assert_eq!(meddler.store.get(&Key::new("management.loft.sh/virtualclusterinstances/shelf/w")).await.expect("a store"), None);
}
