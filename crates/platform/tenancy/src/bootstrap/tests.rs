#![allow(clippy::unwrap_used)]
use super::*;
use crate::directory::Directory;
use crate::kubeconfig::token_of;
use apiserver_meta::ObjectFilter;
use apiserver_meta::options::ListOptions;
use apiserver_registry::CacheConfig;
use apiserver_server::StoreUse;
use apiserver_store::Store;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use std::path::{Path, PathBuf};
use tokio_util::sync::{CancellationToken, DropGuard};
use vci_management::access::Caller;

const FILE: &str = "
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: ann}
spec: {groups: ['system:masters']}
---
---
apiVersion: management.loft.sh/v1
kind: Team
metadata: {name: devs}
spec: {users: [ann]}
--- # YAML 1.1 would take the next name for a boolean
apiVersion: management.loft.sh/v1
kind: Team
metadata: {name: off}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: a}
spec: {owner: {user: ann}}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: ann}
spec: {user: ann, key: the-key-of-ann}
";

/// One start of a server, as far as its objects go. Dropping it ends its caches.
struct Start {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    registries: Registries,
    _end: DropGuard,
}

async fn start(store: &Arc<dyn Store>) -> Start {
    let stop = CancellationToken::new();
    let directory = Arc::new(Directory::default());
    let resources = vci_management::resources();
    let registry = |resource| Registry::start(resource, Arc::clone(store), Vec::new(), CacheConfig::standard(), stop.clone());
    let all: Vec<Arc<Registry>> = resources.into_iter().map(registry).collect();
    let feed = IdentityInformer::start(&directory, &all, &stop);
    let ready = async {
        for registry in &all {
            registry.cache().ready().await;
        }
        feed.filled().await;
    };
    tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap();
    Start { store: Arc::clone(store), directory, registries: Registries { all, feed }, _end: stop.drop_guard() }
}

fn new_store(dir: &Path) -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::open(dir.join("store"), &EmbeddedConfig::standard()).unwrap())
}

impl Start {
    /// Runs [`first_objects`] with these manifests and a kubeconfig in `dir`.
    async fn begin(&self, dir: &Path, server: &str, store_use: StoreUse, manifests: Vec<Manifest>) -> Option<PathBuf> {
        let kubeconfig = dir.join("admin.kubeconfig");
        let administrator = Administrator { kubeconfig: &kubeconfig, server, ca_certificate: "PEM", store_use };
        first_objects(&self.registries, &self.directory, manifests, administrator, 0).await.unwrap()
    }

    async fn administrator(&self, dir: &Path, server: &str, store_use: StoreUse) -> Option<PathBuf> {
        self.begin(dir, server, store_use, Vec::new()).await
    }

    async fn names(&self, plural: &str) -> Vec<String> {
        let ctx = loopback::context(CREATE_TIMEOUT);
        let list = self.registries.find(plural).unwrap().list(&ctx, "", &ListOptions::default(), &ObjectFilter::All).await.unwrap();
        list.items.iter().map(|item| item.name().to_owned()).collect()
    }
}

fn token(path: &Path) -> String {
    token_of(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_makes_an_administrator_and_a_restart_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let first = start(&store).await;
    let path = first.administrator(dir.path(), "https://a:1", StoreUse::Alone).await.unwrap();
    let key = token(&path);
    assert_eq!(key.len(), 64, "256 bits");
    let identity = first.directory.identify(&key, 0).unwrap();
    assert!(identity.user.in_group("system:masters"));
    for (plural, want) in [("users", "admin"), ("projects", "my-project"), ("ownedaccesskeys", "admin-kubeconfig")] {
        assert_eq!(first.names(plural).await, [want]);
    }
    for registry in &first.registries.all {
        let list = registry.list(&loopback::context(CREATE_TIMEOUT), "", &ListOptions::default(), &ObjectFilter::All).await.unwrap();
        let stored = list.items.iter().map(|item| String::from_utf8_lossy(&item.bytes).into_owned()).collect::<String>();
        assert!(!stored.contains(&key), "the key stands in the kubeconfig only");
    }

    let revision = store.revision().await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let again = start(&store).await;
    again.administrator(dir.path(), "https://a:1", StoreUse::Alone).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), revision);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    again.administrator(dir.path(), "https://a:2", StoreUse::Alone).await.unwrap();
    assert_eq!(token(&path), key, "another address, the same key");
    assert!(std::fs::read_to_string(&path).unwrap().contains("https://a:2"));
    assert_eq!(store.revision().await.unwrap(), revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_kubeconfig_is_replaced_and_its_key_is_worth_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let server = start(&store).await;
    let path = server.administrator(dir.path(), "https://a:1", StoreUse::Alone).await.unwrap();
    let lost = token(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.administrator(dir.path(), "https://a:1", StoreUse::Shared).await, None, "others use the store as well");
    server.administrator(dir.path(), "https://a:1", StoreUse::Alone).await.unwrap();
    assert_ne!(token(&path), lost);
    assert!(server.directory.identify(&token(&path), 0).is_some());
    assert!(server.directory.identify(&lost, 0).is_none());
    assert_eq!(server.names("ownedaccesskeys").await, ["admin-kubeconfig"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_created_once_beside_the_administrator() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let file = dir.path().join("objects.yaml");
    std::fs::write(&file, FILE).unwrap();
    let read = || read_manifests(&file, &vci_management::resources()).unwrap();
    let server = start(&store).await;
    let path = server.begin(dir.path(), "https://a:1", StoreUse::Alone, read()).await.unwrap();
    let identity = server.directory.identify("the-key-of-ann", 0).unwrap();
    assert_eq!(Caller::of(&identity.principal).teams, ["devs"]);
    assert!(server.directory.identify(&token(&path), 0).is_some());
    assert_eq!(server.names("projects").await, ["a", "my-project"]);
    assert_eq!(server.names("teams").await, ["devs", "off"]);
    let revision = store.revision().await.unwrap();
    server.begin(dir.path(), "https://a:1", StoreUse::Alone, read()).await.unwrap();
    assert_eq!(server.store.revision().await.unwrap(), revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_from_a_file_is_the_files_and_keeps_the_files_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let file = dir.path().join("objects.yaml");
    std::fs::write(&file, FILE.replace("ann", "admin")).unwrap();
    let server = start(&store).await;
    let manifests = read_manifests(&file, &vci_management::resources()).unwrap();
    let path = server.begin(dir.path(), "https://a:1", StoreUse::Alone, manifests).await.unwrap();
    for key in ["the-key-of-admin", &token(&path)] {
        assert_eq!(server.directory.identify(key, 0).unwrap().user.name, "admin");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_servers_that_share_a_store_one_has_the_key() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let store = new_store(dirs[0].path());
    let (one, two) = (start(&store).await, start(&store).await);
    let first = one.administrator(dirs[0].path(), "https://a:1", StoreUse::Shared).await.unwrap();
    assert_eq!(two.administrator(dirs[1].path(), "https://b:1", StoreUse::Shared).await, None);
    let second = std::fs::read_to_string(dirs[1].path().join("admin.kubeconfig")).unwrap();
    assert!(second.contains("https://b:1") && token_of(&second).is_none(), "{second}");
    wait_for(|| two.directory.identify(&token(&first), 0).is_some()).await;
    let revision = store.revision().await.unwrap();
    assert_eq!(one.administrator(dirs[0].path(), "https://a:1", StoreUse::Shared).await, Some(first));
    assert_eq!(store.revision().await.unwrap(), revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_replica_writes_is_known_here() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let (here, there) = (start(&store).await, start(&store).await);
    let file = dir.path().join("objects.yaml");
    std::fs::write(&file, FILE).unwrap();
    let manifests = read_manifests(&file, &vci_management::resources()).unwrap();
    there.begin(dir.path(), "https://a:1", StoreUse::Alone, manifests).await.unwrap();
    wait_for(|| here.directory.identify("the-key-of-ann", 0).is_some()).await;
    let keys = there.registries.find("ownedaccesskeys").unwrap();
    keys.delete(&loopback::context(CREATE_TIMEOUT), &ObjectKey::new("", "ann"), &Default::default(), &ObjectFilter::All).await.unwrap();
    wait_for(|| here.directory.identify("the-key-of-ann", 0).is_none()).await;
}

async fn wait_for(holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not within two seconds");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_file_of_no_use_is_named_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("objects.yaml");
    let good = "apiVersion: management.loft.sh/v1\nkind: User\nmetadata: {name: ann}\n";
    let cases = [
        ("kind: Secret\napiVersion: v1", "document 1: \"Secret\""),
        ("apiVersion: management.loft.sh/v1\nkind: VirtualClusterInstance\nmetadata: {name: x}", "\"VirtualClusterInstance\""),
        ("apiVersion: management.loft.sh/v2\nkind: User\nmetadata: {name: x}", "management.loft.sh/v2"),
        (&format!("{good}---\n{good}spec: {{disabld: true}}"), "document 2: unknown field \"spec.disabld\""),
        (&format!("{good}---\n{good}spec: {{disabled: 7}}"), "document 2: "),
        ("apiVersion: management.loft.sh/v1\nkind: User\nmetadata: {}", "metadata.name"),
        (&format!("{good}kind: Team"), "document 1: duplicate field \"kind\""),
        ("just text", "document 1"),
        ("a: [", "document 1"),
        ("- a\n- b", "document 1"),
    ];
    for (text, want) in cases {
        std::fs::write(&file, text).unwrap();
        let error = read_manifests(&file, &vci_management::resources()).unwrap_err().to_string();
        assert!(error.contains("objects.yaml") && error.contains(want) && !error.contains('\n'), "{text}: {error}");
    }
    let error = read_manifests(&dir.path().join("none.yaml"), &[]).unwrap_err().to_string();
    assert!(error.contains("none.yaml") && !error.contains('\n'), "{error}");
}
