//! Clients of every sort: what they list and watch ends with exactly the server's set.

use crate::common::{COLLECTION, MERGE, embedded, instance, path};
use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::reflector::Store;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use vci_testkit::PATIENCE;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::program::{Program, cached};
use vci_testkit::proxy::{Network, Proxy};
use vci_testkit::server::TestServer;

const NAMESPACE: &str = "loft-p-my-project";
const WRITERS: u64 = 4;
const WRITES: u64 = 75;

const PYTHON: &str = "python/bin/python";
const PYTHON_CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/client.py");

#[tokio::test(flavor = "multi_thread")]
async fn informers_end_with_the_servers_set() {
    let mut server = embedded().await;
    let authority = server.base_url().trim_start_matches("https://").to_owned();
    let proxy = Proxy::to(&authority).await;
    let kubeconfig = kubeconfig_through(&server, &authority, &proxy.authority());
    let mut informers = informers(&kubeconfig);
    for (name, informer) in &mut informers {
        assert_eq!(informer.line().await, "ready", "{name}");
    }
    let reflectors = [Lists::Plain, Lists::Streamed].map(|lists| Reflector::start(&kubeconfig, lists));
    for reflector in &reflectors {
        reflector.ready().await;
    }
    // Half of it on the watches that are open, then a broken network in the middle of writes, then another server process.
    write(&server, 0).await;
    proxy.turn(Network::Down);
    write(&server, 1).await;
    proxy.turn(Network::Up);
    tokio::join!(write(&server, 2), async {
        proxy.turn(Network::Down);
        proxy.turn(Network::Up)
    });
    server.restart().await;
    write(&server, 3).await;

    let list = server.admin(Protocol::Http2).get(COLLECTION).await.expect(200).json();
    let want: BTreeMap<String, String> = list["items"].as_array().expect("items").iter().map(named).collect();
    assert!(want.len() > 5, "hardly anything is left: {want:?}");
    for reflector in &reflectors {
        reflector.ends_with(&want).await;
    }
    for (name, informer) in &mut informers {
        end_with(name, informer, &want).await;
    }
}

/// How a reflector gets the state.
#[derive(Clone, Copy, Debug)]
enum Lists {
    Plain,
    Streamed,
}

/// kube-rs, in this process.
struct Reflector {
    lists: Lists,
    known: Store<DynamicObject>,
    task: tokio::task::JoinHandle<()>,
}

impl Reflector {
    fn start(kubeconfig: &tempfile::NamedTempFile, lists: Lists) -> Self {
        let text = std::fs::read_to_string(kubeconfig.path()).expect("a kubeconfig");
        let kubeconfig = Kubeconfig::from_yaml(&text).expect("a good kubeconfig");
        let kind = kube::api::GroupVersionKind::gvk("management.loft.sh", "v1", "VirtualClusterInstance");
        let resource = ApiResource::from_gvk_with_plural(&kind, "virtualclusterinstances");
        let writer = reflector::store::Writer::<DynamicObject>::new(resource.clone());
        let known = writer.as_reader();
        let task = tokio::spawn(async move {
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
            let client = kube::Client::try_from(config).expect("a client");
            let api = kube::Api::<DynamicObject>::namespaced_with(client, NAMESPACE, &resource);
            let config = match lists {
                Lists::Plain => watcher::Config::default(),
                Lists::Streamed => watcher::Config::default().streaming_lists(),
            };
            reflector(writer, watcher(api, config)).default_backoff().touched_objects().for_each(|_| async {}).await;
        });
        Self { lists, known, task }
    }

    async fn ready(&self) {
        tokio::time::timeout(PATIENCE, self.known.wait_until_ready()).await.expect("in time").expect("a reflector that lives");
    }

    async fn ends_with(&self, want: &BTreeMap<String, String>) {
        let known = || self.known.state().iter().map(|object| named(&json!({ "metadata": &object.metadata }))).collect::<BTreeMap<_, _>>();
        let start = Instant::now();
        while known() != *want {
            assert!(start.elapsed() < PATIENCE, "kube-rs, {:?} lists, has {:?}, the server {want:?}", self.lists, known());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Asks until everything that the program follows is the wanted set.
pub(crate) async fn end_with(name: &str, informer: &mut Program, want: &BTreeMap<String, String>) {
    let start = Instant::now();
    loop {
        let told: Value = serde_json::from_str(&informer.ask("state").await).expect("JSON");
        let states = told.as_object().expect("an object");
        if states.values().all(|state| state["objects"] == json!(want)) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{name} has {told}, the server {want:?}\n{}", informer.errors());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_does_everything() {
    let Some(python) = cached(PYTHON) else { return };
    let server = embedded().await;
    let mut program = Program::spawn(Command::new(python).args([PYTHON_CLIENT, "crud"]).arg(server.kubeconfig_path()).arg(NAMESPACE));
    assert_eq!(program.line().await, "good");
}

/// Those that this machine has, running.
fn informers(kubeconfig: &tempfile::NamedTempFile) -> Vec<(&'static str, Program)> {
    let run = |binary: PathBuf, arguments: &[&str], streaming: &str| {
        let mut command = Command::new(binary);
        command.args(arguments).arg(kubeconfig.path()).arg(NAMESPACE).env("KUBE_FEATURE_WatchListClient", streaming);
        Program::spawn(&mut command)
    };
    let go = cached("bin/client-go").into_iter().flat_map(|binary| {
        [("client-go, streaming lists", run(binary.clone(), &[], "true")), ("client-go, plain lists", run(binary, &[], "false"))]
    });
    let python = cached(PYTHON).map(|binary| ("Python", run(binary, &[PYTHON_CLIENT, "inform"], "")));
    go.chain(python).collect()
}

/// The admin's kubeconfig with the proxy's port in place of the server's.
fn kubeconfig_through(server: &TestServer, authority: &str, proxy: &str) -> tempfile::NamedTempFile {
    let text = std::fs::read_to_string(server.kubeconfig_path()).expect("a kubeconfig");
    assert!(text.contains(authority), "{authority} is not in the kubeconfig");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text.replace(authority, proxy)).expect("written");
    file
}

/// Several writers create, patch and delete the same few objects, as their dice fall.
async fn write(server: &TestServer, round: u64) {
    let client = server.admin(Protocol::Http2);
    let writers = (0..WRITERS).map(|writer| random_writes(client.clone(), round * WRITERS + writer));
    futures::future::join_all(writers).await;
}

async fn random_writes(client: Client, seed: u64) {
    let mut dice = seed;
    for count in 0..WRITES {
        // Constants of Knuth's MMIX generator; the upper bits are the good ones.
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (name, what) = (format!("o{}", (dice >> 40) % 30), (dice >> 33) % 4);
        let response = match what {
            0 => client.delete(&path(&name)).await,
            1 => client.patch(&path(&name), MERGE, &json!({"spec": {"displayName": format!("{seed}-{count}")}})).await,
            _ => client.post(COLLECTION, &instance(&name)).await,
        };
        assert!([200, 201, 404, 409].contains(&response.status.as_u16()), "{}", response.text());
    }
}

fn named(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or("").to_owned();
    (text("name"), text("resourceVersion"))
}
