#![allow(clippy::unwrap_used)]
use super::releases::{self, State};
use super::*;
use axum::Router;
use axum::extract::State as AppState;
use axum::http::{HeaderMap, StatusCode, Uri};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use vci_testkit::kube::{KubeApiserver, Programs};
use vci_testkit::program::cached;

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("helm");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_helm_that_cannot_be_used_is_named() {
    let missing = Helm::new("/nowhere/helm".into(), Limits::default()).await.unwrap_err();
    assert!(missing.reason() == "HelmMissing" && missing.to_string().contains("/nowhere/helm"), "{missing}");
    let folder = TempDir::new().unwrap();
    let old = Helm::new(script(folder.path(), "echo v2.17.0"), Limits::default()).await.unwrap_err();
    assert!(old.to_string().contains("helm \"v2.17.0\" is not supported; install helm 3.14"), "{old}");
}

#[test]
fn versions_are_compared() {
    for (said, good) in [
        ("v3.22.0", true),
        ("v3.22", true),
        ("v3.14.0\n", true),
        ("v3.14.0-rc.1+g1", true),
        ("v3.13.9", false),
        ("v2.17.0", false),
        ("v4.0.0", false),
        ("", false),
        ("hello", false),
    ] {
        assert_eq!(check_version(said).is_ok(), good, "{said}");
    }
}

#[test]
fn names_that_could_be_options_or_paths_are_refused() {
    let release = |name: &str, namespace: &str| {
        let kubeconfig = Kubeconfig(String::new());
        check_release(&Release { name: name.into(), namespace: namespace.into(), kubeconfig }).is_ok()
    };
    assert!(release("a-1", "loft-p-v-n") && release(&"a".repeat(53), &"b".repeat(63)));
    for bad in ["", "-a", "--post-renderer=x", "a-", "A", "a/b", "a b", "a.b", "a\n", "ä"] {
        assert!(!release(bad, "n") && !release("a", bad), "{bad:?}");
    }
    assert!(!release(&"a".repeat(54), "n") && !release("a", &"b".repeat(64)));
}

/// Files of charts below this folder, as the argument says them.
fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

const SCHEMA: &str = r#"{"type": "object", "properties": {"size": {"type": "integer"}}, "additionalProperties": false}"#;
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {size: {{ .Values.size | quote }}}\n";
const EXTRA: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n";
/// Nothing runs Jobs here, so helm waits for it.
const HOOK: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: hook, annotations: {helm.sh/hook: post-install}}\n\
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n";

/// Charts, and an archive of the first in a repository.
fn charts(folder: &Path, helm: &Path) {
    write(
        folder,
        &[
            ("app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n"),
            ("app/values.yaml", "size: 1\n"),
            ("app/values.schema.json", SCHEMA),
            ("app/templates/map.yaml", MAP),
            ("slow/Chart.yaml", "apiVersion: v2\nname: slow\nversion: 1.0.0\n"),
            ("slow/templates/extra.yaml", EXTRA),
            ("slow/templates/hook.yaml", HOOK),
        ],
    );
    let packed = Command::new(helm).args(["package", "app"]).env("HOME", folder).current_dir(folder).output().unwrap();
    assert!(packed.status.success(), "{packed:?}");
    let index = "apiVersion: v1\nentries: {app: [{apiVersion: v2, name: app, version: 1.0.0, urls: [app-1.0.0.tgz]}]}\n";
    fs::write(folder.join("index.yaml"), index).unwrap();
}

/// Serves a folder over plain HTTP to who knows the password.
async fn repository(folder: &Path) -> String {
    let answer = |AppState(folder): AppState<Arc<PathBuf>>, headers: HeaderMap, uri: Uri| async move {
        // ann:s3cret
        if headers.get("authorization").is_none_or(|value| value != "Basic YW5uOnMzY3JldA==") {
            return (StatusCode::UNAUTHORIZED, Vec::new());
        }
        let name = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        fs::read(folder.join(name)).map_or((StatusCode::NOT_FOUND, Vec::new()), |bytes| (StatusCode::OK, bytes))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/charts", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(Arc::new(folder.to_owned()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// A cluster, a helm that writes down what it was run with, and charts.
struct World {
    cluster: KubeApiserver,
    client: Client,
    helm: Arc<Helm>,
    folder: TempDir,
    url: String,
}

impl World {
    async fn new() -> Option<Self> {
        let (programs, helm) = (Programs::find()?, cached("bin/helm")?);
        let folder = TempDir::new().unwrap();
        charts(folder.path(), &helm);
        let log = folder.path().join("log");
        let wrapper = format!("echo \"$0 $*\" >>{log}; env >>{log}; exec {helm} \"$@\"", log = log.display(), helm = helm.display());
        fs::create_dir(folder.path().join("bin")).unwrap();
        let helm = Helm::new(script(&folder.path().join("bin"), &wrapper), Limits::default()).await.unwrap();
        let cluster = KubeApiserver::start(&programs, &[]).await;
        let kubeconfig = kube::config::Kubeconfig::read_from(cluster.kubeconfig("admin", &["system:masters"])).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let namespace = serde_json::from_value(json!({"metadata": {"name": "space"}})).unwrap();
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        let url = repository(folder.path()).await;
        Some(Self { cluster, client, helm: Arc::new(helm), folder, url })
    }

    fn release(&self, name: &str, user: &str, groups: &[&str]) -> Release {
        let kubeconfig = Kubeconfig(fs::read_to_string(self.cluster.kubeconfig(user, groups)).unwrap());
        Release { name: name.into(), namespace: "space".into(), kubeconfig }
    }

    fn upgrade(&self, name: &str, chart: Chart, values: &str) -> Upgrade {
        let release = self.release(name, "admin", &["system:masters"]);
        Upgrade { release, chart, values: values.into(), wait: false, timeout: None }
    }

    fn app(&self, name: &str, version: &str, password: &str) -> Chart {
        Chart::remote(name, &self.url, version).unwrap().with(Credentials::new("ann", password), false)
    }

    fn local(&self, name: &str) -> Chart {
        Chart::local(self.folder.path().join(name))
    }

    async fn size_of(&self, name: &str) -> Option<String> {
        let map = Api::<ConfigMap>::namespaced(self.client.clone(), "space").get_opt(name).await.unwrap()?;
        Some(map.data.unwrap_or_default().remove("size").unwrap_or_default())
    }

    async fn state(&self, name: &str) -> Option<(u64, State)> {
        let last = releases::last(&self.client, "space", name).await.unwrap();
        last.map(|revision| (revision.number, revision.state))
    }

    async fn reason(&self, upgrade: &Upgrade) -> &'static str {
        let error = self.helm.upgrade(upgrade).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.len() < 2000 && !text.contains("s3cret") && !text.contains("/vci-helm-"), "{text}");
        error.reason()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_installs_and_tells_why_it_does_not() {
    let Some(world) = World::new().await else { return };
    from_a_repository(&world).await;
    what_goes_wrong(&world).await;
    what_a_killed_run_left(&world).await;
    uninstall(&world).await;
}

async fn from_a_repository(world: &World) {
    assert_eq!(world.state("one").await, None);
    let upgrade = world.upgrade("one", world.app("app", "v1.0.0", "s3cret"), "size: 5");
    world.helm.upgrade(&upgrade).await.unwrap();
    assert_eq!((world.size_of("one").await.as_deref(), world.state("one").await), (Some("5"), Some((1, State::Deployed))));
    world.helm.upgrade(&Upgrade { values: String::new(), ..upgrade }).await.unwrap();
    assert_eq!((world.size_of("one").await.as_deref(), world.state("one").await), (Some("1"), Some((2, State::Deployed))));
    let log = fs::read_to_string(world.folder.path().join("log")).unwrap();
    assert!(log.contains("upgrade one repo/app --install") && log.contains("HELM_PLUGINS="), "{log}");
    for secret in ["s3cret", "client-key", "CARGO", "size: 5"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

async fn what_goes_wrong(world: &World) {
    let app = || world.app("app", "1.0.0", "s3cret");
    let gone = Chart::remote("app", "http://127.0.0.1:1/charts", "").unwrap();
    let unknown = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n";
    let with = |release: Release| Upgrade { release, ..world.upgrade("two", app(), "") };
    let table = [
        (world.upgrade("two", world.app("app", "1.0.0", "wrong"), ""), "ChartRepositoryUnauthorized"),
        (world.upgrade("two", world.app("app", "9.9.9", "s3cret"), ""), "ChartNotFound"),
        (world.upgrade("two", world.app("other", "", "s3cret"), ""), "ChartNotFound"),
        (world.upgrade("two", gone, ""), "ChartRepositoryUnreachable"),
        (world.upgrade("two", world.local("nowhere"), ""), "ChartNotFound"),
        (world.upgrade("two", app(), "size: large"), "ChartValuesRefused"),
        (world.upgrade("two", app(), "other: 1"), "ChartValuesRefused"),
        (world.upgrade("two", app(), "size: [1"), "ChartValuesRefused"),
        (world.upgrade("two", app(), "- size"), "ChartValuesRefused"),
        (with(world.release("two", "nobody", &[])), "Forbidden"),
        (with(Release { namespace: "nowhere".into(), ..world.release("two", "admin", &["system:masters"]) }), "NamespaceGone"),
        (with(Release { kubeconfig: Kubeconfig(unknown.into()), ..world.release("two", "admin", &[]) }), "ClusterUnreachable"),
        // Somebody else's.
        (world.upgrade("two", world.local("taken"), ""), "ResourceConflict"),
    ];
    write(
        world.folder.path(),
        &[
            ("taken/Chart.yaml", "apiVersion: v2\nname: taken\nversion: 1.0.0\n"),
            ("taken/templates/a.yaml", &MAP.replace("{{ .Release.Name }}", "one")),
        ],
    );
    for (upgrade, want) in table {
        assert_eq!(world.reason(&upgrade).await, want, "{upgrade:?}");
    }
    assert_eq!(world.size_of("two").await, None);
}

async fn what_a_killed_run_left(world: &World) {
    // Killed in the middle of an installation.
    let slow = world.upgrade("three", world.local("slow"), "");
    let helm = Arc::clone(&world.helm);
    let running = tokio::spawn(async move { helm.upgrade(&slow).await });
    vci_testkit::wait_for("the first half", async || world.size_of("extra").await.is_some()).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(world.state("three").await, Some((1, State::Pending)));
    let next = world.upgrade("three", world.local("app"), "size: 7");
    assert_eq!(world.reason(&next).await, "HelmInProgress");
    releases::recover(&world.client, "space", "three").await.unwrap();
    assert_eq!(world.state("three").await, Some((1, State::Failed)));
    world.helm.upgrade(&next).await.unwrap();
    assert_eq!((world.size_of("three").await.as_deref(), world.state("three").await), (Some("7"), Some((2, State::Deployed))));
    // What the killed run had made is not forgotten.
    assert_eq!(world.size_of("extra").await, None);

    // Whatever is not pending is left alone.
    releases::recover(&world.client, "space", "three").await.unwrap();
    releases::recover(&world.client, "space", "nothing").await.unwrap();
    assert_eq!(world.state("three").await, Some((2, State::Deployed)));

    // A record that cannot be read.
    let secrets = Api::<Secret>::namespaced(world.client.clone(), "space");
    let broken = json!({"metadata": {"labels": {"status": "pending-upgrade"}}, "data": {"release": "anVuaw=="}});
    secrets.patch("sh.helm.release.v1.three.v2", &PatchParams::default(), &Patch::Merge(broken)).await.unwrap();
    let error = releases::recover(&world.client, "space", "three").await.unwrap_err();
    assert!(error.to_string().contains("remove the Secret sh.helm.release.v1.three.v2"), "{error}");
}

async fn uninstall(world: &World) {
    let release = world.release("one", "admin", &["system:masters"]);
    for _ in 0..2 {
        world.helm.uninstall(&release).await.unwrap();
        assert_eq!((world.size_of("one").await, world.state("one").await), (None, None));
    }
    let nowhere = Release { namespace: "nowhere".into(), ..release };
    world.helm.uninstall(&nowhere).await.unwrap();
}
