#![allow(clippy::unwrap_used)]
use super::*;
use crate::identity_informer::IdentityInformer;
use apiserver_meta::options::{GetOptions, WriteOptions};
use apiserver_registry::CacheConfig;
use apiserver_store::Store;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use serde_json::json;

struct Rig {
    activity: KeyActivity,
    feed: IdentityInformer,
    stop: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    async fn start(store: &Arc<dyn Store>) -> Self {
        let stop = CancellationToken::new();
        let start = |resource| Registry::start(resource, Arc::clone(store), Vec::new(), CacheConfig::standard(), stop.clone());
        let registries = [start(vci_management::owned_access_keys()), start(vci_management::users())];
        let directory = Arc::new(Directory::default());
        let feed = IdentityInformer::start(&directory, &registries, &stop);
        feed.filled().await;
        let [keys, users] = registries;
        let rig = Self { activity: KeyActivity::new(directory, keys), feed, stop };
        rig.create(&users, json!({ "metadata": { "name": "ann" } }), "users").await;
        rig
    }

    async fn create(&self, registry: &Arc<Registry>, object: serde_json::Value, plural: &str) {
        let made =
            registry.create(&loopback::context(WRITE_TIMEOUT), "", Object::from_value(object).unwrap(), &WriteOptions::default()).await;
        // A second rig finds the objects of the first.
        let revision = made.map_or(0, |written| revision(&written.bytes));
        self.feed.reached(plural, revision).await;
    }

    async fn key(&self, name: &str, ttl: i64) {
        let spec = json!({ "user": "ann", "key": name, "ttl": ttl, "ttlAfterLastActivity": true });
        self.create(&self.activity.keys, json!({ "metadata": { "name": name }, "spec": spec }), "ownedaccesskeys").await;
    }

    fn used(&self, name: &str, at: i64) {
        assert!(self.activity.directory.authenticate(name, at).is_some());
    }

    /// resourceVersion and `status.lastActivity`.
    async fn stored(&self, name: &str) -> (u64, String) {
        let (ctx, key) = (loopback::context(WRITE_TIMEOUT), ObjectKey::new("", name));
        let item = self.activity.keys.get(&ctx, &key, &GetOptions::default(), &ObjectFilter::All).await.unwrap();
        let object: serde_json::Value = serde_json::from_slice(&item.bytes).unwrap();
        (
            object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap(),
            object["status"]["lastActivity"].as_str().unwrap_or("").into(),
        )
    }
}

fn revision(bytes: &[u8]) -> u64 {
    let object: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

fn store() -> (tempfile::TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).unwrap();
    (folder, Arc::new(store))
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test]
async fn what_is_stored_moves_forward_only_and_once() {
    let (_folder, store) = store();
    let (one, two) = (Rig::start(&store).await, Rig::start(&store).await);
    one.key("k", 1000).await;
    let now = now();
    let time = |at: i64| jiff::Timestamp::from_second(at).unwrap().to_string();
    one.used("k", now + 5);
    one.activity.finish().await;
    let (first, at) = one.stored("k").await;
    assert_eq!(at, time(now + 5));
    one.activity.finish().await;
    one.activity.store("k", now + 5).await.unwrap();
    assert_eq!(one.stored("k").await.0, first, "written once");

    // Another replica has seen an earlier use, then a later one.
    two.feed.reached("ownedaccesskeys", first).await;
    two.used("k", now + 3);
    two.activity.finish().await;
    two.activity.store("k", now + 3).await.unwrap();
    assert_eq!(one.stored("k").await.0, first, "not taken back");
    two.used("k", now + 9);
    two.activity.finish().await;
    assert_eq!(two.stored("k").await.1, time(now + 9));
}

#[tokio::test]
async fn a_key_in_use_is_written_about_once_in_its_period() {
    let (_folder, store) = store();
    let rig = Rig::start(&store).await;
    for (name, ttl, least, most) in [("short", 8, 2, 3), ("long", 100_000, PERIOD, PERIOD * 5 / 4), ("tiny", 1, 1, 1)] {
        rig.key(name, ttl).await;
        let period = rig.activity.directory.key(name).unwrap();
        let period = rig.activity.period(&period);
        assert!((least..=most).contains(&period), "{name}: {period}");
    }
    let task = tokio::spawn(rig.activity.clone().run(rig.stop.clone()));
    let begin = now();
    let mut versions = std::collections::BTreeSet::new();
    while now() < begin + 5 {
        rig.used("short", now());
        versions.insert(rig.stored("short").await.0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Made, and two or three times written in five seconds of use.
    assert!((2..=4).contains(&versions.len()), "{versions:?}");
    rig.stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_gone_is_nobodys_trouble() {
    let (_folder, store) = store();
    let rig = Rig::start(&store).await;
    rig.key("k", 1000).await;
    rig.key("other", 1000).await;
    rig.activity.store_all(vec![("gone".into(), now()), ("k".into(), now())]).await.unwrap();
    assert_ne!(rig.stored("k").await.1, "");
    assert_eq!(rig.stored("other").await.1, "");
}

#[tokio::test]
async fn what_could_not_be_stored_is_not_forgotten() {
    use apiserver_store::flaky::{Calls, Fault, Flaky};
    let (_folder, store) = store();
    let flaky = Arc::new(Flaky::new(store));
    let store: Arc<dyn Store> = Arc::clone(&flaky) as _;
    let rig = Rig::start(&store).await;
    rig.key("k", 1000).await;
    let used = now() + 5;
    rig.used("k", used);
    for _ in 0..2 {
        flaky.plan(Calls::Writes, 0, Fault::Refused);
        let due = rig.activity.directory.last_uses(BATCH, |_, _| true);
        assert_eq!(due, [("k".to_owned(), used)]);
        assert!(rig.activity.store_all(due).await.is_err());
        assert_eq!(rig.stored("k").await.1, "");
    }
    rig.activity.finish().await;
    assert_eq!(rig.stored("k").await.1, jiff::Timestamp::from_second(used).unwrap().to_string());
}
