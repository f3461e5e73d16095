//! The garbage collector over real registries: what goes, what stays, and what holds up nothing else.

use apiserver_meta::options::{DeleteOptions, PatchOptions, Propagation, WriteOptions};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, Principal, RequestContext, Subresource, User, Verb};
use apiserver_registry::{Admission, AdmissionRequest, CacheConfig, Patch, PatchKind, Registry, garbage_collector, storage_key};
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use apiserver_store::{Expect, Store};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

const API: &str = "library.example.com/v1";

/// Refuses to delete and to change what has `kept` in its name, for as long as it does.
#[derive(Debug, Default)]
struct Keeper {
    is_off: AtomicBool,
    refused: AtomicUsize,
}

#[async_trait]
impl Admission for Keeper {
    async fn validate(&self, _: &RequestContext, request: AdmissionRequest<'_>, _: Option<&Object>) -> Result<(), ApiError> {
        if request.verb == Verb::Create || !request.key.name.contains("kept") || self.is_off.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        Err(ApiError::forbidden(request.descriptor.group_resource(), &request.key.name, "it is kept"))
    }
}

/// Teams, readers and books in one store; the keeper guards the readers.
struct Rig {
    shelves: Arc<Registry>,
    readers: Arc<Registry>,
    books: Arc<Registry>,
    keeper: Arc<Keeper>,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    _stops: DropGuard,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn new(config: CacheConfig) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store");
        let store: Arc<dyn Store> = Arc::new(store);
        let (stop, keeper) = (CancellationToken::new(), Arc::new(Keeper::default()));
        let start = |plural: &str, admission| {
            let kind = apiserver_meta::testing::resources().into_iter().find(|kind| kind.descriptor().plural == plural);
            Registry::start(kind.expect("a kind"), Arc::clone(&store), admission, config.clone(), stop.clone())
        };
        let (shelves, books) = (start("shelves", Vec::new()), start("books", Vec::new()));
        let readers = start("readers", vec![Arc::clone(&keeper) as Arc<dyn Admission>]);
        for registry in [&shelves, &readers, &books] {
            registry.cache().ready().await;
        }
        Self { shelves, readers, books, keeper, store, _stops: stop.clone().drop_guard(), stop, _folder: folder }
    }

    /// The same, with the collector at work.
    async fn collecting() -> Self {
        let rig = Self::new(CacheConfig::standard()).await;
        rig.collect();
        rig
    }

    fn collect(&self) {
        let all = vec![Arc::clone(&self.shelves), Arc::clone(&self.readers), Arc::clone(&self.books)];
        tokio::spawn(garbage_collector::collect(all, self.stop.clone()));
    }
}

fn context() -> RequestContext {
    RequestContext::new(Arc::new(User::default()), Principal::default(), Instant::now() + Duration::from_secs(60), "audit".into())
}

/// Creates an object that refers to others; answers its UID.
async fn create(registry: &Arc<Registry>, name: &str, references: Value) -> String {
    let metadata = json!({"name": name, "ownerReferences": references});
    let body = json!({"apiVersion": API, "kind": registry.descriptor().kind, "metadata": metadata, "spec": {}});
    let namespace = if registry.descriptor().plural == "books" { "ns" } else { "" };
    let object = Object::from_value(body).expect("an object");
    let written = registry.create(&context(), namespace, object, &WriteOptions::default()).await.expect("created");
    let object: Value = serde_json::from_slice(&written.bytes).expect("JSON");
    object["metadata"]["uid"].as_str().expect("a UID").to_owned()
}

fn shelf(name: &str, uid: &str) -> Value {
    json!({"apiVersion": API, "kind": "Shelf", "name": name, "uid": uid})
}

fn blocking(mut reference: Value) -> Value {
    reference["blockOwnerDeletion"] = true.into();
    reference
}

async fn delete(registry: &Arc<Registry>, name: &str, propagation: Propagation) {
    let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
    registry.delete(&context(), &ObjectKey::new("", name), &options, &ObjectFilter::All).await.expect("deleted");
}

async fn patch(registry: &Arc<Registry>, name: &str, body: Value) {
    let patch = Patch { kind: PatchKind::Merge, body: body.to_string().into(), create_denial: None, mask: None };
    let (key, options) = (ObjectKey::new("", name), PatchOptions::default());
    registry.patch(&context(), &key, Subresource::Main, patch, &options, &ObjectFilter::All).await.expect("patched");
}

/// The object as it is, if it is there.
async fn find(registry: &Arc<Registry>, name: &str) -> Option<Value> {
    let namespace = if registry.descriptor().plural == "books" { "ns" } else { "" };
    let item = registry.find(&context(), &ObjectKey::new(namespace, name)).await.expect("a store");
    item.map(|item| serde_json::from_slice(&item.bytes).expect("JSON"))
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn goes(registry: &Arc<Registry>, name: &str) {
    until(&format!("{name} goes"), async || find(registry, name).await.is_none()).await;
}

/// More references than a write may give an object, and as many as it has room for; an older server may have let them through.
/// Each is to be looked up, and nearly all name an object that is there by wrong UIDs.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_object_full_of_references_is_collected_as_soon_as_its_owners_are_gone() {
    let rig = Rig::collecting().await;
    let owner = create(&rig.shelves, "a", json!([])).await;
    create(&rig.shelves, "t", json!([])).await;
    let mut references: Vec<Value> = (0..18_000).map(|uid| shelf("t", &uid.to_string())).collect();
    references.insert(7_000, shelf("a", &owner));
    let metadata = json!({"name": "b", "ownerReferences": references, "uid": "uid-of-b"});
    let object = json!({"apiVersion": API, "kind": "Reader", "metadata": metadata, "spec": {}}).to_string();
    let at = storage_key(rig.readers.descriptor(), &ObjectKey::new("", "b"));
    rig.store.put(&at, object.into(), Expect::Absent).await.expect("stored");
    until("it is seen", async || find(&rig.readers, "b").await.is_some()).await;
    let start = Instant::now();
    delete(&rig.shelves, "a", Propagation::Background).await;
    // One thread does all: whoever else wants it gets it.
    let (mut longest, mut last) = (Duration::ZERO, Instant::now());
    while find(&rig.readers, "b").await.is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        longest = longest.max(last.elapsed());
        last = Instant::now();
        assert!(start.elapsed() < Duration::from_secs(60), "not collected");
    }
    assert!(longest < Duration::from_secs(10), "nobody else got a turn for {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependent_that_cannot_be_deleted_holds_up_no_other() {
    let rig = Rig::collecting().await;
    let owner = create(&rig.shelves, "owner", json!([])).await;
    for name in ["a", "b-kept", "c", "d"] {
        create(&rig.readers, name, json!([shelf("owner", &owner)])).await;
    }
    delete(&rig.shelves, "owner", Propagation::Background).await;
    for name in ["a", "c", "d"] {
        goes(&rig.readers, name).await;
    }
    until("the kept one is tried again", async || rig.keeper.refused.load(Ordering::SeqCst) > 2).await;
    assert!(find(&rig.readers, "b-kept").await.is_some());
    rig.keeper.is_off.store(true, Ordering::SeqCst);
    goes(&rig.readers, "b-kept").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreground_and_orphan_are_held_up_by_one_dependent_and_the_others_are_not() {
    let rig = Rig::collecting().await;
    for (owner, policy) in [("front", Propagation::Foreground), ("parent", Propagation::Orphan)] {
        let uid = create(&rig.shelves, owner, json!([])).await;
        let names = ["a", "b-kept", "c"].map(|name| format!("{owner}-{name}"));
        for name in &names {
            create(&rig.readers, name, json!([blocking(shelf(owner, &uid))])).await;
        }
        rig.keeper.is_off.store(false, Ordering::SeqCst);
        delete(&rig.shelves, owner, policy).await;
        let is_done = async |name: &str| match find(&rig.readers, name).await {
            Some(object) => policy == Propagation::Orphan && object["metadata"].get("ownerReferences").is_none(),
            None => policy == Propagation::Foreground,
        };
        until("the others are done", async || is_done(&names[0]).await && is_done(&names[2]).await).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(find(&rig.shelves, owner).await.is_some() && !is_done(&names[1]).await, "{owner} waits for the last");
        rig.keeper.is_off.store(true, Ordering::SeqCst);
        until("the last is done", async || is_done(&names[1]).await).await;
        goes(&rig.shelves, owner).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_with_another_owner_stays_and_no_longer_refers_to_the_one_that_goes() {
    let rig = Rig::collecting().await;
    let (one, two) = (create(&rig.shelves, "one", json!([])).await, create(&rig.shelves, "two", json!([])).await);
    create(&rig.readers, "shared", json!([blocking(shelf("one", &one)), shelf("two", &two)])).await;
    create(&rig.readers, "own", json!([blocking(shelf("one", &one))])).await;
    delete(&rig.shelves, "one", Propagation::Foreground).await;
    goes(&rig.shelves, "one").await;
    goes(&rig.readers, "own").await;
    let shared = find(&rig.readers, "shared").await.expect("it has an owner");
    assert_eq!(shared["metadata"]["ownerReferences"], json!([shelf("two", &two)]));
    delete(&rig.shelves, "two", Propagation::Background).await;
    goes(&rig.readers, "shared").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_own_each_other_do_not_wait_for_each_other() {
    let rig = Rig::collecting().await;
    let one = create(&rig.shelves, "one", json!([])).await;
    let two = create(&rig.shelves, "two", json!([blocking(shelf("one", &one))])).await;
    patch(&rig.shelves, "one", json!({"metadata": {"ownerReferences": [blocking(shelf("two", &two))]}})).await;
    delete(&rig.shelves, "one", Propagation::Foreground).await;
    goes(&rig.shelves, "one").await;
    goes(&rig.shelves, "two").await;
}

/// Whether such an owner is there nobody here can know.
#[tokio::test(flavor = "multi_thread")]
async fn what_refers_to_kinds_that_are_not_served_or_cannot_be_named_stays() {
    let rig = Rig::collecting().await;
    let owner = create(&rig.shelves, "owner", json!([])).await;
    let elsewhere = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "1"});
    let inside = json!({"apiVersion": API, "kind": "Book", "name": "i", "uid": "2"});
    create(&rig.readers, "elsewhere", json!([shelf("owner", &owner), elsewhere])).await;
    create(&rig.readers, "inside", json!([shelf("owner", &owner), inside])).await;
    // From inside of a namespace it can be named, and is not there.
    create(&rig.books, "neighbour", json!([shelf("owner", &owner), inside])).await;
    create(&rig.readers, "plain", json!([shelf("owner", &owner)])).await;
    delete(&rig.shelves, "owner", Propagation::Background).await;
    goes(&rig.readers, "plain").await;
    goes(&rig.books, "neighbour").await;
    assert!(find(&rig.readers, "elsewhere").await.is_some() && find(&rig.readers, "inside").await.is_some());
}

/// Of the name of the owner, and made after it was gone.
#[tokio::test(flavor = "multi_thread")]
async fn another_object_of_the_owners_name_is_not_the_owner() {
    let rig = Rig::collecting().await;
    let owner = create(&rig.shelves, "owner", json!([])).await;
    rig.keeper.is_off.store(false, Ordering::SeqCst);
    create(&rig.readers, "kept", json!([shelf("owner", &owner)])).await;
    delete(&rig.shelves, "owner", Propagation::Background).await;
    create(&rig.shelves, "owner", json!([])).await;
    rig.keeper.is_off.store(true, Ordering::SeqCst);
    goes(&rig.readers, "kept").await;
    assert!(find(&rig.shelves, "owner").await.is_some());
}

/// Watches that end every few milliseconds, some of them with 410; and an owner that was deleted while nobody followed.
#[tokio::test(flavor = "multi_thread")]
async fn no_deletion_is_lost_between_two_watches() {
    let short = CacheConfig { min_watch: Duration::from_millis(2), history_events: 2, ..CacheConfig::standard() };
    let rig = Rig::new(short).await;
    let before = create(&rig.shelves, "before", json!([])).await;
    create(&rig.readers, "old", json!([shelf("before", &before)])).await;
    delete(&rig.shelves, "before", Propagation::Background).await;
    rig.collect();
    goes(&rig.readers, "old").await;
    for round in 0..30 {
        let (owner, dependent) = (format!("o{round}"), format!("d{round}"));
        let uid = create(&rig.shelves, &owner, json!([])).await;
        create(&rig.readers, &dependent, json!([shelf(&owner, &uid)])).await;
        delete(&rig.shelves, &owner, Propagation::Background).await;
    }
    until("all dependents go", async || rig.readers.cache().items().is_empty()).await;
}
