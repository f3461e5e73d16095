//! Every kind of management.loft.sh keeps the promises of every kind.

use apiserver_meta::Resource;
use apiserver_registry::suite::{Sample, Subject};
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tempfile::TempDir;

/// A suite for each kind; each case has an embedded store of its own.
macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        $(
            mod $kind {
                apiserver_registry::resource_suite!(super::on_embedded(vci_management::$kind(), super::sample(stringify!($kind))));
            }
        )*

        #[test]
        fn no_kind_is_forgotten() {
            let tried = BTreeSet::from([$(vci_management::$kind().descriptor().plural),*]);
            let served = vci_management::resources().iter().map(|resource| resource.descriptor().plural).collect::<BTreeSet<_>>();
            assert_eq!(tried, served);
        }
    };
}

kinds!(clusters, owned_access_keys, project_secrets, projects, teams, users, virtual_cluster_instances, virtual_cluster_templates);

async fn on_embedded(resource: Arc<dyn Resource>, sample: Sample) -> (Subject, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let store = EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store");
    (Subject::start(resource, Arc::new(store), sample).await, folder)
}

/// A good object of each kind, with something in its lists.
fn sample(kind: &str) -> Sample {
    let spec = match kind {
        "clusters" => json!({
            "displayName": "Europe",
            "config": {"secretName": "eu", "secretNamespace": "vci", "key": "config"},
            "access": [{"name": "all", "verbs": ["get"], "users": ["bob"]}],
        }),
        "owned_access_keys" => json!({"displayName": "CI", "user": "ann", "key": "a-secret-of-this-test", "ttl": 3600}),
        "project_secrets" => json!({
            "displayName": "Registry",
            "data": {"username": "YW5u", "password": "czNjcmV0"},
            "access": [{"name": "all", "verbs": ["get"], "users": ["bob"]}],
        }),
        "projects" => json!({
            "displayName": "Payments",
            "owner": {"user": "ann"},
            "members": [{"kind": "User", "name": "*", "clusterRole": "loft-management-project-user"}],
            "allowedTemplates": [{"kind": "VirtualClusterTemplate", "group": "storage.loft.sh", "name": "*"}],
        }),
        "teams" => json!({"displayName": "Payments", "users": ["ann", "bob"], "groups": ["payments"]}),
        "users" => json!({"displayName": "Ann", "email": "ann@example.com", "groups": ["payments"]}),
        "virtual_cluster_instances" => json!({
            "displayName": "Staging",
            "owner": {"team": "payments"},
            "templateRef": {"name": "isolated", "version": "1.x.x"},
            "clusterRef": {"cluster": "eu"},
            "parameters": "size: 3\n",
            "access": [{"name": "all", "verbs": ["get"], "users": ["bob"]}],
        }),
        "virtual_cluster_templates" => json!({
            "displayName": "Isolated",
            "owner": {"team": "payments"},
            "parameters": [{"variable": "size", "type": "number", "min": 1}],
            "versions": [{"version": "1.0.0", "template": {"helmRelease": {"chart": {"name": "vcluster", "version": "0.27.0"}}}}],
            "access": [{"name": "all", "verbs": ["get"], "users": ["*"]}],
        }),
        other => panic!("no sample of {other}"),
    };
    Sample {
        object: json!({ "spec": spec }),
        change: json!({"spec": {"displayName": "changed"}}),
        status: json!({ "status": status(kind) }),
    }
}

fn status(kind: &str) -> Value {
    let condition = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    match kind {
        "owned_access_keys" => json!({"lastActivity": "2026-01-01T00:00:00Z"}),
        "virtual_cluster_templates" => json!({"apps": [{"name": "ingress"}]}),
        "clusters" => json!({"phase": "Initialized", "online": true, "conditions": [condition]}),
        "users" => json!({"teams": ["payments"]}),
        "project_secrets" | "projects" => json!({ "conditions": [condition] }),
        "virtual_cluster_instances" => json!({"phase": "Ready", "conditions": [condition]}),
        _ => json!({}),
    }
}

/// The suite's `computed_fields_are_never_stored` tries the fields that a kind lists.
#[test]
fn computed_fields_are_listed() {
    let kinds = vci_management::resources();
    let fields =
        kinds.iter().flat_map(|kind| kind.descriptor().extended.iter().map(|field| (kind.descriptor().plural, field.path.join("."))));
    let want = ["status.canUse", "status.canUpdate"].map(|path| ("virtualclusterinstances", path.to_owned()));
    assert_eq!(fields.collect::<Vec<_>>(), want);
}

/// What nobody but the creator of an access key is shown, and only once.
#[tokio::test]
async fn the_secret_of_an_access_key_is_in_no_other_place() {
    use apiserver_meta::options::{DryRun, GetOptions, ListOptions, PatchOptions, WriteOptions};
    use apiserver_meta::{Object, ObjectFilter, ObjectKey, Principal, RequestContext, Subresource, User};
    use apiserver_registry::{CacheConfig, Patch, PatchKind, Registry};
    use apiserver_store::{RangeRequest, Store};

    const SECRETS: [&str; 3] = ["first-secret-of-this-test", "second-secret-of-this-test", "third-secret-of-this-test"];
    const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let folder = TempDir::new().expect("a temporary folder");
    let store: Arc<dyn Store> =
        Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store"));
    let stop = tokio_util::sync::CancellationToken::new();
    let keys = Registry::start(vci_management::owned_access_keys(), Arc::clone(&store), Vec::new(), CacheConfig::standard(), stop.clone());
    let ctx = || {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        RequestContext::new(Arc::new(User::default()), Principal::default(), deadline, "test".into())
    };
    let body = |name: &str, secret: &str| {
        let spec = json!({"user": "ann", "key": secret});
        let metadata = json!({"name": name, "annotations": {APPLIED: json!({ "spec": spec }).to_string()}});
        Object::from_value(json!({
            "apiVersion": "management.loft.sh/v1", "kind": "OwnedAccessKey", "metadata": metadata, "spec": spec,
        }))
        .expect("an object")
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    let dry = WriteOptions { dry_run: DryRun::All, ..WriteOptions::default() };
    let answer = keys.create(&ctx(), "", body("k", SECRETS[0]), &dry).await.expect("a dry run");
    assert!(!text(&answer.bytes).contains("-secret-of-"), "a dry run shows what would be kept: {}", text(&answer.bytes));

    let answer = keys.create(&ctx(), "", body("k", SECRETS[0]), &WriteOptions::default()).await.expect("a key");
    let shown: Value = serde_json::from_slice(&answer.bytes).expect("JSON");
    assert_eq!((&shown["spec"]["key"], &shown["metadata"]["annotations"]), (&json!(SECRETS[0]), &Value::Null));
    assert_eq!(text(&answer.bytes).matches("-secret-of-").count(), 1);

    let applied = body("applied", SECRETS[1]);
    let patch = |kind, body: &Value| Patch { kind, body: body.to_string().into(), create_denial: None, mask: None };
    let options = PatchOptions { write: WriteOptions { field_manager: "m".into(), ..WriteOptions::default() }, force: None };
    let (name, main) = (ObjectKey::new("", "applied"), Subresource::Main);
    let apply = patch(PatchKind::Apply, &applied.clone().into_value());
    let answer = keys.patch(&ctx(), &name, main, apply.clone(), &options, &ObjectFilter::All).await.expect("an apply that creates");
    assert!(answer.created && text(&answer.bytes).contains(SECRETS[1]));
    let again = keys.patch(&ctx(), &name, main, apply, &options, &ObjectFilter::All).await.expect("the same apply");
    assert!(!again.created && !text(&again.bytes).contains("-secret-of-"));
    let version = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON")["metadata"]["resourceVersion"].clone();
    assert_eq!(version(&again.bytes), version(&answer.bytes), "the same key again changes nothing");

    let hash = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON")["status"]["keyHash"].clone();
    let rotation = patch(PatchKind::Merge, &json!({"spec": {"key": SECRETS[2]}}));
    let rotated = keys.patch(&ctx(), &name, main, rotation, &options, &ObjectFilter::All).await.expect("another secret");
    assert_ne!(hash(&rotated.bytes), hash(&answer.bytes));
    assert!(!text(&rotated.bytes).contains("-secret-of-"));

    keys.cache().ready().await;
    let got = keys.get(&ctx(), &name, &GetOptions::default(), &ObjectFilter::All).await.expect("the key");
    assert!(!text(&got.bytes).contains("-secret-of-"));
    let list = keys.list(&ctx(), "", &ListOptions::default(), &ObjectFilter::All).await.expect("a list");
    assert!(list.items.len() == 2 && list.items.iter().all(|item| !text(&item.bytes).contains("-secret-of-")));
    let range = store.range(&RangeRequest { prefix: String::new(), ..RangeRequest::default() }).await.expect("the store");
    assert!(range.entries.len() == 2 && range.entries.iter().all(|entry| !text(&entry.value).contains("-secret-of-")));
    stop.cancel();
    drop((keys, store));
    let file = std::fs::read(folder.path().join("store")).expect("the store's file");
    assert!(!file.windows(11).any(|window| window == b"-secret-of-"), "history neither");
}
