//! Objects that lie encrypted in the store: what a key rotation and a wrong key mean to readers and writers.

use apiserver_meta::options::{DeleteOptions, DryRun, GetOptions, ListOptions, WriteOptions};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, Principal, RequestContext, Subresource, User};
use apiserver_registry::{CacheConfig, Registry};
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use apiserver_store::{Key, Revision, Store};
use apiserver_store_encryption::{Encrypted, Rules};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    registry: Arc<Registry>,
    encrypted: Arc<Encrypted>,
    /// What lies below.
    inner: Arc<EmbeddedStore>,
    folder: tempfile::TempDir,
    _stop: tokio_util::sync::DropGuard,
}

/// A configuration by the letters of its keys; `-` is plain text.
fn rules(folder: &Path, keys: &str) -> Rules {
    let provider = |key: char| match key {
        '-' => json!({"identity": {}}),
        key => {
            // 16 equal bytes.
            let secret = format!("{}==", String::from(key).repeat(21) + "A");
            json!({"aesgcm": {"keys": [{"name": key.to_string(), "secret": secret}]}})
        }
    };
    let providers: Vec<_> = keys.chars().map(provider).collect();
    let file = folder.join("enc.json");
    let text = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["*.library.example.com"], "providers": providers}],
    });
    std::fs::write(&file, text.to_string()).expect("a file");
    Rules::read(&file).expect("a good configuration")
}

impl Rig {
    async fn start(keys: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inner = Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store"));
        let encrypted = Arc::new(Encrypted::new(Arc::clone(&inner) as _, "/registry/", rules(folder.path(), keys)));
        let stop = tokio_util::sync::CancellationToken::new();
        let config = CacheConfig { check_period: Duration::from_millis(20), ..CacheConfig::standard() };
        let kind = apiserver_meta::testing::books();
        let registry = Registry::start(kind, Arc::clone(&encrypted), Vec::new(), config, stop.clone());
        registry.cache().ready().await;
        Self { registry, encrypted, inner, folder, _stop: stop.drop_guard() }
    }

    fn configure(&self, keys: &str) {
        self.encrypted.replace(rules(self.folder.path(), keys));
    }

    async fn create(&self, name: &str) -> Object {
        let value =
            json!({"apiVersion": "library.example.com/v1", "kind": "Book", "metadata": {"name": name}, "spec": {"displayName": "hidden"}});
        let object = Object::from_value(value).expect("an object");
        let written = self.registry.create(&context(), "shelf", object, &WriteOptions::default()).await.expect("created");
        parsed(&written.bytes)
    }

    async fn update(&self, object: &Object, dry_run: DryRun) -> Object {
        let options = WriteOptions { dry_run, ..WriteOptions::default() };
        let updated =
            self.registry.update(&context(), &object.key(), Subresource::Main, object.clone(), &options, &ObjectFilter::All).await;
        parsed(&updated.expect("updated").bytes)
    }

    async fn get(&self, name: &str) -> Result<Object, ApiError> {
        let got = self.registry.get(&context(), &ObjectKey::new("shelf", name), &GetOptions::default(), &ObjectFilter::All).await;
        got.map(|item| parsed(&item.bytes))
    }

    /// The letter of the key that an object lies under, and the revision that wrote it.
    async fn stored(&self, name: &str) -> (String, Revision) {
        let key = Key::new(format!("library.example.com/books/shelf/{name}"));
        let entry = self.inner.get(&key).await.expect("a store").expect("it is there");
        let hidden = !String::from_utf8_lossy(&entry.value).contains("hidden");
        assert_eq!(hidden, entry.encrypted_with().is_some());
        (entry.encrypted_with().map_or("-", |with| with.rsplit(':').next().unwrap_or_default()).to_owned(), entry.revision)
    }

    async fn eventually(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so().await {
            assert!(Instant::now() < deadline, "waited for {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn parsed(bytes: &[u8]) -> Object {
    Object::from_value(serde_json::from_slice(bytes).expect("JSON")).expect("an object")
}

fn context() -> RequestContext {
    RequestContext::new(Arc::new(User::default()), Principal::default(), Instant::now() + PATIENCE, "audit".into())
}

/// upstream: TestTransformationFailure's companion, `origState.stale` of GuaranteedUpdate.
#[tokio::test]
async fn a_write_that_changes_nothing_brings_a_value_under_the_first_key() {
    let rig = Rig::start("-").await;
    let mut object = rig.create("a").await;
    let mut before = ("-".to_owned(), rig.stored("a").await.1);
    assert_eq!(rig.stored("a").await, before);
    // The cache has the object from before the change of keys: it is the store that knows how it lies there.
    for (keys, first) in [("B-", "B"), ("BC-", "B"), ("CB-", "C"), ("C", "C"), ("-C", "-")] {
        rig.configure(keys);
        let unchanged = rig.update(&object, DryRun::All).await;
        assert_eq!((&unchanged, rig.stored("a").await), (&object, before.clone()), "a dry run under {keys}");
        let written = rig.update(&object, DryRun::No).await;
        let (letter, revision) = rig.stored("a").await;
        assert_eq!(letter, first, "under {keys}");
        assert_eq!(revision > before.1, first != before.0, "under {keys}: written anew exactly when the key is another");
        assert_eq!(written.resource_version(), revision.to_string());
        object = written;
        before = (letter, revision);
        // What lies as it should is not written again, be the object cached or live.
        assert_eq!(rig.update(&object, DryRun::No).await, object);
        rig.eventually("the cache to hear of it", async || rig.registry.cache().stats().revision >= revision).await;
        assert_eq!(rig.update(&object, DryRun::No).await, object);
        assert_eq!(rig.stored("a").await, before);
    }
}

#[tokio::test]
async fn without_its_key_an_object_is_unreadable_until_the_key_is_back() {
    let rig = Rig::start("B").await;
    let hidden = rig.create("hidden").await;
    rig.configure("CB");
    let shown = rig.create("shown").await;
    rig.eventually("a comparison of cache and store", async || rig.registry.cache().stats().checks.success > 0).await;
    assert_eq!(rig.registry.cache().stats().checks.mismatch, 0, "what is decrypted again is the same");

    // The comparison of cache and store finds what has changed about readability.
    rig.configure("C");
    rig.eventually("the object to be unreadable", async || rig.get("hidden").await.is_err_and(|error| error.code() == 500)).await;
    assert_eq!(rig.get("shown").await.expect("readable"), shown);
    let list = rig.registry.list(&context(), "shelf", &ListOptions::default(), &ObjectFilter::All).await;
    assert_eq!(list.expect_err("one cannot be read").code(), 500);
    let (ctx, key) = (context(), ObjectKey::new("shelf", "hidden"));
    let deleted = rig.registry.delete(&ctx, &key, &DeleteOptions::default(), &ObjectFilter::All).await;
    let refused = apiserver_meta::ApiError::from(deleted.expect_err("unreadable"));
    let told = refused.source.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(told.contains("shelf/hidden (k8s:enc:aesgcm:v1:B): ") && told.contains("no such provider and key"), "{told}");
    assert!(!refused.message.contains("k8s:enc"), "clients are not told: {}", refused.message);

    rig.configure("CB");
    rig.eventually("the object to be readable", async || rig.get("hidden").await.is_ok()).await;
    assert_eq!(rig.get("hidden").await.expect("readable"), hidden);
}

#[tokio::test]
async fn plain_text_that_somebody_puts_into_the_store_is_not_believed() {
    let rig = Rig::start("B").await;
    rig.create("a").await;
    let key = Key::new("library.example.com/books/shelf/a");
    let good = rig.encrypted.get(&key).await.expect("a store").expect("it is there");
    rig.inner.put(&key, good.value, apiserver_store::Expect::Revision(good.revision)).await.expect("written past the registry");
    rig.eventually("the object to be unreadable", async || rig.get("a").await.is_err_and(|error| error.code() == 500)).await;
    let list = rig.registry.list(&context(), "", &ListOptions::default(), &ObjectFilter::All).await;
    assert_eq!(list.expect_err("it cannot be read").code(), 500);
}
