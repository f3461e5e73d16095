#![allow(clippy::unwrap_used)]
use super::*;
use crate::namespace_prefix::NamespacePrefix;
use apiserver_meta::ObjectKey;
use apiserver_meta::options::{DeleteOptions, DryRun, GetOptions, WriteOptions};
use apiserver_registry::Registries;
use apiserver_registry::loopback;
use apiserver_registry::{CacheConfig, Patch, PatchKind};
use apiserver_store::Store;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use apiserver_store::flaky::Flaky;
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use vci_management::project::Quotas;

const FORCE: &str = "sleepmode.loft.sh/force";

/// One server's registries, as far as quotas are concerned.
pub(super) struct Replica {
    pub(super) projects: Arc<Registry>,
    pub(super) instances: Arc<Registry>,
    store: Arc<dyn Store>,
    _end: DropGuard,
}

pub(super) fn new_store() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).unwrap();
    (Arc::new(store), folder)
}

pub(super) async fn replica(store: &Arc<dyn Store>) -> Replica {
    let stop = CancellationToken::new();
    let config = CacheConfig { freshness_timeout: Duration::from_millis(200), ..CacheConfig::standard() };
    let start = |resource, admission| Registry::start(resource, Arc::clone(store), admission, config.clone(), stop.clone());
    let projects = start(vci_management::projects(), Vec::new());
    let registries = Registries::default();
    registries.fill(std::slice::from_ref(&projects));
    let quotas: Arc<dyn Admission> = Arc::new(ProjectQuotas::new(Projects::new(registries, NamespacePrefix::default())));
    let instances = start(vci_management::virtual_cluster_instances(), vec![quotas]);
    projects.cache().ready().await;
    instances.cache().ready().await;
    Replica { projects, instances, store: Arc::clone(store), _end: stop.drop_guard() }
}

pub(super) fn context() -> RequestContext {
    loopback::context(Duration::from_secs(60))
}

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

fn instance(name: &str, owner: &Value, template: &str) -> Object {
    let reference = if template.is_empty() { json!({}) } else { json!({"name": template}) };
    object(json!({"metadata": {"name": name}, "spec": {"owner": owner, "templateRef": reference}}))
}

impl Replica {
    pub(super) async fn set_quotas(&self, quotas: Value) {
        let project = object(json!({"metadata": {"name": "p"}, "spec": {"quotas": quotas}}));
        let created = self.projects.create(&context(), "", project.clone(), &WriteOptions::default()).await;
        if created.is_ok_and(|written| written.created) {
            return;
        }
        let patch = Patch {
            kind: PatchKind::Json,
            body: json!([{"op": "add", "path": "/spec/quotas", "value": quotas}]).to_string().into(),
            create_denial: None,
            mask: None,
        };
        self.projects
            .patch(&context(), &ObjectKey::new("", "p"), Subresource::Main, patch, &Default::default(), &ObjectFilter::All)
            .await
            .unwrap();
    }

    pub(super) async fn create(&self, instance: Object) -> Result<(), String> {
        let written = self.instances.create(&context(), "loft-p-p", instance, &WriteOptions::default()).await;
        written.map(|_| ()).map_err(|failure| failure.to_string())
    }

    pub(super) async fn patch(&self, name: &str, subresource: Subresource, patch: Value) -> Result<(), String> {
        let key = ObjectKey::new("loft-p-p", name);
        let patch = Patch { kind: PatchKind::Merge, body: patch.to_string().into(), create_denial: None, mask: None };
        let written = self.instances.patch(&context(), &key, subresource, patch, &Default::default(), &ObjectFilter::All).await;
        written.map(|_| ()).map_err(|failure| failure.to_string())
    }

    pub(super) async fn delete(&self, name: &str) {
        let key = ObjectKey::new("loft-p-p", name);
        self.instances.delete(&context(), &key, &DeleteOptions::default(), &ObjectFilter::All).await.unwrap();
    }

    async fn count(&self) -> usize {
        self.instances.list(&context(), "loft-p-p", &ListOptions::default(), &ObjectFilter::All).await.unwrap().items.len()
    }

    async fn guard(&self) -> Option<Revision> {
        self.store.get(&guard_key("loft-p-p")).await.unwrap().map(|entry| entry.revision)
    }
}

fn ann() -> Value {
    json!({"user": "ann"})
}

#[test]
fn expressions_of_other_resources_are_not_asked() {
    let quotas = Quotas {
        project: [
            "virtualclusterinstances",
            "virtualclusterinstances.active",
            "virtualclusterinstances.template=t",
            "virtualclusterinstances.template=",
            "virtualclusterinstances.other",
            "spaceinstances",
            "count/pods",
        ]
        .map(|name| (name.to_owned(), "1".to_owned()))
        .into(),
        ..Quotas::default()
    };
    let names: Vec<&str> = limits(&quotas).map(|limit| limit.name).collect();
    assert_eq!(names, ["virtualclusterinstances", "virtualclusterinstances.active", "virtualclusterinstances.template=t"]);
}

/// (quotas, what is there, what is created, why not)
#[tokio::test]
async fn creates() {
    let exceeded = |limits: &str| Some(format!("cannot create virtualclusterinstance, because {limits} would be exceeded"));
    let (bob, devs, both) = (json!({"user": "bob"}), json!({"team": "devs"}), json!({"user": "ann", "team": "devs"}));
    let table = [
        (json!({}), vec![(ann(), "")], (ann(), ""), None),
        (json!({"project": {"virtualclusterinstances": "2"}}), vec![(ann(), "")], (bob.clone(), ""), None),
        (
            json!({"project": {"virtualclusterinstances": "1"}}),
            vec![(ann(), "")],
            (bob.clone(), ""),
            exceeded("project virtualclusterinstances limit of 1"),
        ),
        (
            json!({"project": {"virtualclusterinstances": "0"}}),
            vec![],
            (bob.clone(), ""),
            exceeded("project virtualclusterinstances limit of 0"),
        ),
        (json!({"project": {"spaceinstances": "0", "count/pods": "0"}}), vec![], (bob.clone(), ""), None),
        (json!({"user": {"virtualclusterinstances": "1"}}), vec![(ann(), "")], (bob.clone(), ""), None),
        (
            json!({"user": {"virtualclusterinstances": "1"}}),
            vec![(ann(), "")],
            (ann(), ""),
            exceeded("per-user virtualclusterinstances limit of 1"),
        ),
        (json!({"user": {"virtualclusterinstances": "1"}}), vec![(devs.clone(), "")], (ann(), ""), None),
        (json!({"user": {"virtualclusterinstances": "1"}}), vec![(ann(), "")], (both.clone(), ""), None),
        (
            json!({"user": {"virtualclusterinstances": "1"}}),
            vec![(both, "")],
            (devs.clone(), ""),
            exceeded("per-team virtualclusterinstances limit of 1"),
        ),
        (json!({"project": {"virtualclusterinstances.template=t": "1"}}), vec![(ann(), "t")], (bob.clone(), "u"), None),
        (json!({"project": {"virtualclusterinstances.template=t": "1"}}), vec![(ann(), "t"), (ann(), "")], (bob.clone(), ""), None),
        (
            json!({"project": {"virtualclusterinstances.template=t": "1"}}),
            vec![(ann(), "t")],
            (bob.clone(), "t"),
            exceeded("project virtualclusterinstances.template=t limit of 1"),
        ),
        (json!({"user": {"virtualclusterinstances.template=t": "1"}}), vec![(ann(), "t")], (bob.clone(), "t"), None),
        (
            json!({"project": {"virtualclusterinstances.active": "1"}}),
            vec![(ann(), "")],
            (bob, ""),
            exceeded("project virtualclusterinstances.active limit of 1"),
        ),
    ];
    for (quotas, there, (owner, template), want) in table {
        let (store, _folder) = new_store();
        let replica = replica(&store).await;
        replica.set_quotas(json!({})).await;
        for (number, (owner, template)) in there.iter().enumerate() {
            replica.create(instance(&format!("there-{number}"), owner, template)).await.unwrap();
        }
        replica.set_quotas(quotas.clone()).await;
        let created = replica.create(instance("new", &owner, template)).await;
        let want = want.map(|why| format!("VirtualClusterInstance.management.loft.sh \"new\" is invalid: metadata.name: Forbidden: {why}"));
        assert_eq!(created.err(), want, "{quotas} with {there:?}");
    }
}

/// With one active instance of ann that follows t, and each limit at 1: (what the other one is, what is patched, why not).
#[tokio::test]
async fn updates() {
    let (bob, devs) = (json!({"user": "bob"}), json!({"team": "devs"}));
    let asleep = json!({"metadata": {"annotations": {FORCE: "true"}}});
    let awake = json!({"metadata": {"annotations": {FORCE: null}}});
    let patch = |spec: Value| json!({"spec": spec});
    let all = "virtualclusterinstances";
    let (active, template) = ("virtualclusterinstances.active", "virtualclusterinstances.template=t");
    let table = [
        ("user", all, &bob, "", None, patch(json!({"displayName": "x"})), None),
        ("user", all, &bob, "", None, patch(json!({"owner": {"user": "ann"}})), Some("per-user")),
        ("user", all, &bob, "", None, patch(json!({"owner": {"user": "cat"}})), None),
        ("user", all, &bob, "", None, patch(json!({"owner": {"team": "devs"}})), None),
        ("user", all, &devs, "", None, patch(json!({"owner": {"team": null, "user": "ann"}})), Some("per-user")),
        ("project", all, &bob, "", None, patch(json!({"owner": {"user": "ann"}})), None),
        ("project", template, &bob, "u", None, patch(json!({"templateRef": {"name": "t"}})), Some("project")),
        ("user", template, &bob, "u", None, patch(json!({"templateRef": {"name": "t"}})), None),
        ("user", template, &bob, "t", None, patch(json!({"owner": {"user": "ann"}})), Some("per-user")),
        ("project", active, &bob, "", Some(&asleep), awake.clone(), Some("project")),
        ("project", active, &bob, "", Some(&asleep), patch(json!({"displayName": "x"})), None),
        ("user", active, &bob, "", Some(&asleep), awake.clone(), None),
        ("user", active, &bob, "", Some(&asleep), patch(json!({"owner": {"user": "ann"}})), None),
        ("project", active, &bob, "", None, asleep.clone(), None),
    ];
    for (scope, limit, owner, template, before, step, want) in table {
        let (store, _folder) = new_store();
        let replica = replica(&store).await;
        replica.set_quotas(json!({})).await;
        replica.create(instance("there", &ann(), "t")).await.unwrap();
        replica.create(instance("other", owner, template)).await.unwrap();
        if let Some(before) = before {
            replica.patch("other", Subresource::Main, before.clone()).await.unwrap();
        }
        replica.set_quotas(json!({scope: {limit: "1"}})).await;
        let guard = replica.guard().await;
        let patched = replica.patch("other", Subresource::Main, step.clone()).await;
        let want = want.map(|scope| {
            format!("VirtualClusterInstance.management.loft.sh \"other\" is invalid: metadata.name: Forbidden: cannot update virtualclusterinstance, because {scope} {limit} limit of 1 would be exceeded")
        });
        assert_eq!(patched.err(), want, "{scope} {limit}: {step}");
        assert!(guard.is_none(), "a write moved a guard where there was no quota");
    }
}

#[tokio::test]
async fn a_status_is_never_refused_and_waking_is_refused_while_the_phase_lags() {
    let (store, _folder) = new_store();
    let replica = replica(&store).await;
    replica.set_quotas(json!({"project": {"virtualclusterinstances.active": "1"}})).await;
    replica.create(instance("a", &ann(), "")).await.unwrap();
    replica.patch("a", Subresource::Main, json!({"metadata": {"annotations": {FORCE: "true"}}})).await.unwrap();
    replica.patch("a", Subresource::Status, json!({"status": {"phase": "Sleeping"}})).await.unwrap();
    replica.create(instance("b", &ann(), "")).await.unwrap();
    let wake = json!({"metadata": {"annotations": {FORCE: null, "sleepmode.loft.sh/last-activity": "1700000000"}}});
    assert!(replica.patch("a", Subresource::Main, wake.clone()).await.unwrap_err().contains("cannot update"));
    replica.patch("a", Subresource::Main, json!({"metadata": {"annotations": {FORCE: null}}})).await.unwrap_err();
    replica.delete("b").await;
    replica.patch("a", Subresource::Main, wake).await.unwrap();
    // It counts before it has woken.
    replica.create(instance("c", &ann(), "")).await.unwrap_err();
    replica.patch("a", Subresource::Status, json!({"status": {"phase": "Ready"}})).await.unwrap();
    replica.patch("a", Subresource::Status, json!({"status": {"phase": "Sleeping"}})).await.unwrap();
}

#[tokio::test]
async fn what_is_over_the_limit_stays_and_can_be_changed() {
    let (store, _folder) = new_store();
    let replica = replica(&store).await;
    replica.set_quotas(json!({})).await;
    for name in ["a", "b", "c"] {
        replica.create(instance(name, &ann(), "")).await.unwrap();
    }
    replica.set_quotas(json!({"project": {"virtualclusterinstances": "1"}, "user": {"virtualclusterinstances": "1"}})).await;
    replica.patch("a", Subresource::Main, json!({"spec": {"displayName": "x"}})).await.unwrap();
    let refused = replica.create(instance("d", &ann(), "")).await.unwrap_err();
    assert!(refused.contains("[metadata.name: Forbidden: cannot create virtualclusterinstance, because project virtualclusterinstances limit of 1 would be exceeded, metadata.name: Forbidden: "), "{refused}");
    // Being deleted is not being gone.
    replica.patch("a", Subresource::Main, json!({"metadata": {"finalizers": ["example.com/hold"]}})).await.unwrap();
    for name in ["a", "b", "c"] {
        replica.delete(name).await;
    }
    replica.create(instance("d", &ann(), "")).await.unwrap_err();
    replica.patch("a", Subresource::Main, json!({"metadata": {"finalizers": null}})).await.unwrap();
    replica.create(instance("d", &ann(), "")).await.unwrap();
    assert_eq!(replica.count().await, 1);
}

#[tokio::test]
async fn a_dry_run_is_refused_alike_and_moves_nothing() {
    let (store, _folder) = new_store();
    let replica = replica(&store).await;
    replica.set_quotas(json!({"project": {"virtualclusterinstances": "1"}})).await;
    let options = WriteOptions { dry_run: DryRun::All, ..WriteOptions::default() };
    for _ in 0..2 {
        replica.instances.create(&context(), "loft-p-p", instance("a", &ann(), ""), &options).await.unwrap();
    }
    assert_eq!((replica.guard().await, replica.count().await), (None, 0));
    replica.create(instance("a", &ann(), "")).await.unwrap();
    let guard = replica.guard().await;
    assert!(guard.is_some());
    let refused = replica.instances.create(&context(), "loft-p-p", instance("b", &ann(), ""), &options).await.unwrap_err();
    assert_eq!((ApiError::from(refused).code(), replica.guard().await), (422, guard));
}

#[tokio::test]
async fn a_limit_that_is_no_number_allows_nothing_more() {
    let (store, _folder) = new_store();
    let replica = replica(&store).await;
    // Written by somebody who does not validate.
    let project = object(json!({
        "apiVersion": "management.loft.sh/v1", "kind": "Project", "metadata": {"name": "p", "uid": "u"},
        "spec": {"quotas": {"project": {"virtualclusterinstances": "many"}}}, "status": {},
    }));
    store.put(&Key::new("management.loft.sh/projects/p"), project.to_bytes().into(), Expect::Absent).await.unwrap();
    let refused = replica.create(instance("a", &ann(), "")).await.unwrap_err();
    assert!(refused.ends_with("because project virtualclusterinstances limit \"many\" is not a whole number"), "{refused}");
}

#[tokio::test]
async fn a_limit_holds_at_once_on_every_server() {
    let (store, _folder) = new_store();
    let (one, two) = (replica(&store).await, replica(&store).await);
    one.set_quotas(json!({})).await;
    for round in 0..20 {
        let name = format!("a-{round}");
        one.set_quotas(json!({})).await;
        two.create(instance(&name, &ann(), "")).await.unwrap();
        one.set_quotas(json!({"project": {"virtualclusterinstances": "1"}})).await;
        two.create(instance("b", &ann(), "")).await.unwrap_err();
        // Room that was made a moment ago is there on every server too.
        one.delete(&name).await;
        two.create(instance("c", &ann(), "")).await.unwrap();
        one.delete("c").await;
    }
}

#[tokio::test]
async fn nothing_is_created_where_there_is_no_project_any_more() {
    let (store, _folder) = new_store();
    let (one, two) = (replica(&store).await, replica(&store).await);
    one.set_quotas(json!({})).await;
    two.create(instance("a", &ann(), "")).await.unwrap();
    one.projects.delete(&context(), &ObjectKey::new("", "p"), &DeleteOptions::default(), &ObjectFilter::All).await.unwrap();
    assert_eq!(two.create(instance("b", &ann(), "")).await.unwrap_err(), "namespaces \"loft-p-p\" not found");
    two.patch("a", Subresource::Main, json!({"spec": {"owner": {"user": "bob"}}})).await.unwrap();
}

/// Many creators over two servers: exactly as many succeed as there is room, for the project and for each owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_race_has_as_many_winners_as_there_is_room() {
    let (store, _folder) = new_store();
    let replicas = [replica(&store).await, replica(&store).await].map(Arc::new);
    for (quotas, owners, want) in [
        (json!({"project": {"virtualclusterinstances": "5"}}), 1, 5),
        (json!({"user": {"virtualclusterinstances": "2"}}), 4, 8),
        (json!({"project": {"virtualclusterinstances": "7"}, "user": {"virtualclusterinstances": "3"}}), 2, 6),
        (json!({"project": {"virtualclusterinstances": "30"}}), 1, 30),
    ] {
        replicas[0].set_quotas(quotas.clone()).await;
        for round in 0..5 {
            let creators = (0..32).map(|number| {
                let (replica, owner) = (Arc::clone(&replicas[number % 2]), json!({"user": format!("u{}", number % owners)}));
                tokio::spawn(async move { replica.create(instance(&format!("i-{number}"), &owner, "")).await })
            });
            let outcomes = futures::future::try_join_all(creators).await.unwrap();
            let (created, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
            assert_eq!((created.len(), refused.len()), (want, 32 - want), "{quotas} round {round}");
            assert!(refused.iter().all(|error| error.as_ref().is_err_and(|text| text.contains("would be exceeded"))), "{refused:?}");
            assert_eq!(replicas[0].count().await, want);
            let list = replicas[1].instances.list(&context(), "", &ListOptions::default(), &ObjectFilter::All).await.unwrap();
            for item in list.items {
                replicas[1].delete(item.name()).await;
            }
        }
    }
}

/// A server that hears nothing of what others write is told by the guards that it knows too little.
#[tokio::test]
async fn a_server_that_lags_behind_decides_by_what_is_stored() {
    let (inner, _folder) = new_store();
    let one = replica(&inner).await;
    one.set_quotas(json!({})).await;
    let flaky = Arc::new(Flaky::new(inner));
    let two = replica(&(Arc::clone(&flaky) as Arc<dyn Store>)).await;
    flaky.hold_watches();
    one.create(instance("a", &ann(), "")).await.unwrap();
    one.set_quotas(json!({"project": {"virtualclusterinstances": "1"}})).await;
    let refused = two.create(instance("b", &ann(), "")).await.unwrap_err();
    assert!(refused.contains("would be exceeded"), "{refused}");
    one.delete("a").await;
    two.create(instance("b", &ann(), "")).await.unwrap();
    one.set_quotas(json!({"project": {"virtualclusterinstances": "2"}})).await;
    two.create(instance("c", &json!({"user": "bob"}), "")).await.unwrap();
    one.create(instance("d", &ann(), "")).await.unwrap_err();
    one.set_quotas(json!({"user": {"virtualclusterinstances": "1"}})).await;
    let handed = json!({"spec": {"owner": {"user": "ann"}}});
    assert!(two.patch("c", Subresource::Main, handed).await.unwrap_err().contains("per-user"));
}

fn status_of(replica: &Replica) -> QuotaStatus {
    QuotaStatus::new(Arc::clone(&replica.projects), Arc::clone(&replica.instances), NamespacePrefix::default())
}

async fn project(replica: &Replica) -> Value {
    let item = replica.projects.get(&context(), &ObjectKey::new("", "p"), &GetOptions::default(), &ObjectFilter::All).await.unwrap();
    serde_json::from_slice(&item.bytes).unwrap()
}

/// One look at the project, by a server whose caches have heard of everything.
async fn refresh(replica: &Replica) {
    project(replica).await;
    replica.count().await;
    status_of(replica).refresh("p").await.unwrap();
}

#[tokio::test]
async fn the_status_tells_limits_and_use_and_is_written_when_it_differs() {
    let (store, _folder) = new_store();
    let (one, two) = (replica(&store).await, replica(&store).await);
    one.set_quotas(json!({
        "project": {"virtualclusterinstances": "9", "virtualclusterinstances.active": "8", "virtualclusterinstances.template=u": "7", "count/pods": "6"},
        "user": {"virtualclusterinstances": "5", "virtualclusterinstances.template=t": "4"},
    }))
    .await;
    one.create(instance("a", &ann(), "t")).await.unwrap();
    one.create(instance("b", &ann(), "")).await.unwrap();
    one.create(instance("c", &json!({"user": "bob", "team": "devs"}), "")).await.unwrap();
    one.patch("a", Subresource::Main, json!({"metadata": {"annotations": {FORCE: "true"}}})).await.unwrap();
    refresh(&one).await;
    let told = project(&one).await;
    let want = json!({
        "project": {
            "limit": {"virtualclusterinstances": "9", "virtualclusterinstances.active": "8", "virtualclusterinstances.template=u": "7", "count/pods": "6"},
            "used": {"virtualclusterinstances": "3", "virtualclusterinstances.active": "2", "virtualclusterinstances.template=u": "0"},
        },
        "user": {
            "limit": {"virtualclusterinstances": "5", "virtualclusterinstances.template=t": "4"},
            "used": {
                "users": {"ann": {"virtualclusterinstances": "2", "virtualclusterinstances.template=t": "1"}},
                "teams": {"devs": {"virtualclusterinstances": "1"}},
            },
        },
    });
    assert_eq!(told["status"]["quotas"], want);
    // The kind's types write it in the same way.
    let typed: vci_management::project::Project = serde_json::from_value(told.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap()["status"]["quotas"], want);
    // Who finds it right writes nothing.
    refresh(&one).await;
    refresh(&two).await;
    assert_eq!(project(&two).await["metadata"]["resourceVersion"], told["metadata"]["resourceVersion"]);

    one.set_quotas(json!({"user": {"virtualclusterinstances": "5"}})).await;
    for name in ["a", "b", "c"] {
        one.delete(name).await;
    }
    refresh(&one).await;
    assert_eq!(project(&one).await["status"]["quotas"], json!({"user": {"limit": {"virtualclusterinstances": "5"}, "used": {}}}));
    one.set_quotas(json!({})).await;
    refresh(&one).await;
    assert_eq!(project(&one).await["status"], json!({}));
}

/// Two servers keep one status: it becomes right, and then nobody writes any more.
#[tokio::test]
async fn servers_agree_on_the_status() {
    let (store, _folder) = new_store();
    let (one, two) = (replica(&store).await, replica(&store).await);
    let stop = CancellationToken::new();
    for replica in [&one, &two] {
        tokio::spawn(status_of(replica).run(stop.clone()));
    }
    one.set_quotas(json!({"project": {"virtualclusterinstances": "9"}})).await;
    for number in 0..4 {
        one.create(instance(&format!("i-{number}"), &ann(), "")).await.unwrap();
    }
    let used = async || project(&one).await["status"]["quotas"]["project"]["used"]["virtualclusterinstances"].clone();
    let patience = async {
        while used().await != "4" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience).await.unwrap();
    let written = project(&one).await["metadata"]["resourceVersion"].clone();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(project(&one).await["metadata"]["resourceVersion"], written);
    stop.cancel();
}
