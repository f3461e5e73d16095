//! Objects that lie encrypted in the store, from the day somebody wants that to the day the first key is gone.

use crate::common::{BINARY, COLLECTION, MERGE, instance, on_etcd, path};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::etcd::{self, Etcd};
use vci_testkit::server::{ServerOptions, TestServer, run};
use vci_testkit::wait_for;

/// Collections of every kind that is stored.
const COLLECTIONS: [&str; 8] =
    ["clusters", "projectsecrets", "users", "teams", "projects", "virtualclustertemplates", "ownedaccesskeys", "virtualclusterinstances"];

const SECRETS: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-my-project/projectsecrets";

/// An encryption configuration in a folder of its own.
struct Config {
    folder: tempfile::TempDir,
}

impl Config {
    fn new(providers: &str) -> Self {
        let config = Self { folder: tempfile::tempdir().expect("a folder") };
        config.write(providers);
        config
    }

    /// `aesgcm/1 secretbox/2 identity`: providers, and keys named `key1`, `key2`, each with a secret that follows from its number.
    fn write(&self, providers: &str) {
        let provider = |words: &str| match words.split_once('/') {
            Some((name, number)) => {
                json!({name: {"keys": [{"name": format!("key{number}"), "secret": secret(number)}]}})
            }
            None => json!({words: {}}),
        };
        let providers: Vec<Value> = providers.split(' ').map(provider).collect();
        let text = json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["*.management.loft.sh"], "providers": providers}],
        });
        // In one step, as a mounted Secret changes.
        let new = self.folder.path().join("new");
        std::fs::write(&new, text.to_string()).expect("written");
        std::fs::rename(new, self.file()).expect("renamed");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("encryption.yaml")
    }

    fn flags(&self) -> Vec<String> {
        vec!["--encryption-provider-config".into(), self.file().to_str().expect("UTF-8").into()]
    }
}

fn secret(number: &str) -> String {
    STANDARD.encode(format!("{number:x>32}"))
}

/// What the files of a folder hold whose names begin with this, and those in folders below.
fn text_below(folder: &Path, name: &str) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        if !entry.file_name().to_str().expect("UTF-8").starts_with(name) {
            continue;
        }
        if entry.path().is_dir() {
            text.push_str(&text_below(&entry.path(), ""));
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(entry.path()).expect("readable")));
        }
    }
    text
}

/// What `kubectl get -o json | kubectl replace -f -` does, for every object of every kind.
async fn rewrite_everything(admin: &Client) {
    let mut count = 0;
    for plural in COLLECTIONS {
        let list = admin.get(&format!("/apis/management.loft.sh/v1/{plural}")).await.expect(200).json();
        for object in list["items"].as_array().expect("items") {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let namespace = match text("namespace") {
                "" => String::new(),
                namespace => format!("namespaces/{namespace}/"),
            };
            let path = format!("/apis/management.loft.sh/v1/{namespace}{plural}/{}", text("name"));
            admin.put(&path, object).await.expect(200);
            count += 1;
        }
    }
    assert!(count > 4, "the administrator, a key, a project and instances are there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_comes_into_use_is_replaced_and_goes() {
    let mut servers = vec![(TestServer::start(ServerOptions::new(BINARY)).await, Vec::new(), None)];
    if let Some((_, binary)) = etcd::find(etcd::Release::V3_6) {
        let etcd = Etcd::spawn(&binary).await;
        let options = on_etcd(&etcd);
        let flags = options.flags.clone();
        servers.push((TestServer::start(options).await, flags, Some(etcd)));
    }
    for (mut server, flags, _etcd) in servers {
        let config = Config::new("aesgcm/1 identity");
        let flags = [flags, config.flags()].concat();
        let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
        let admin = server.admin(Protocol::Http2);
        let old = admin.post(COLLECTION, &instance("old")).await.expect(201).json();

        // From here on new values are encrypted; old ones are read as they are, and encrypted by a write that changes nothing.
        server.restart_with(flags.clone()).await;
        let admin = server.admin(Protocol::Http2);
        assert_eq!(admin.get(&path("old")).await.expect(200).json(), old);
        admin.post(COLLECTION, &instance("new")).await.expect(201);
        let replaced = admin.put(&path("old"), &old).await.expect(200).json();
        assert_ne!(version(&replaced), version(&old), "it was written anew");
        let again = admin.put(&path("old"), &replaced).await.expect(200).json();
        assert_eq!(version(&again), version(&replaced), "there was nothing left to do");
        rewrite_everything(&admin).await;

        // The next key: every server can read it before one writes it.
        for providers in ["aesgcm/1 secretbox/2", "secretbox/2 aesgcm/1"] {
            config.write(providers);
            server.restart_with(flags.clone()).await;
            let list = server.admin(Protocol::Http2).get(COLLECTION).await.expect(200).json();
            assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{providers}");
        }
        rewrite_everything(&server.admin(Protocol::Http2)).await;

        config.write("secretbox/2");
        server.restart_with(flags).await;
        let admin = server.admin(Protocol::Http2);
        assert_eq!(admin.get(&path("old")).await.expect(200).json()["spec"], old["spec"]);
        rewrite_everything(&admin).await;
        assert!(!server.logs().contains("cannot be read"), "{}", server.logs());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lies_in_plain_text() {
    let config = Config::new("aesgcm/1");
    let mut options = ServerOptions::new(BINARY);
    options.flags = config.flags();
    let mut stands = vec![(TestServer::start(options).await, None)];
    for (_, binary) in etcd::available() {
        let etcd = Etcd::spawn(&binary).await;
        let mut options = on_etcd(&etcd);
        options.flags.extend(config.flags());
        stands.push((TestServer::start(options).await, Some(etcd)));
    }
    for (mut server, etcd) in stands {
        let admin = server.admin(Protocol::Http2);
        let mut object = instance("hidden");
        object["spec"]["parameters"] = json!("password: swordfish");
        admin.post(COLLECTION, &object).await.expect(201);
        admin.patch(&path("hidden"), MERGE, &json!({"metadata": {"labels": {"kept": "insecret"}}})).await.expect(200);
        let mut watch = admin.watch(&format!("{COLLECTION}?watch=1&timeoutSeconds=30")).await;
        let told = watch.next().await.expect("an event");
        assert_eq!(told["object"]["spec"]["parameters"], "password: swordfish");
        let of_project = json!({"metadata": {"name": "kept"}, "spec": {"data": {"password": STANDARD.encode("swordfish")}}});
        admin.post(SECRETS, &of_project).await.expect(201);
        assert_eq!(admin.get(&format!("{SECRETS}/kept")).await.expect(200).json()["spec"]["data"], of_project["spec"]["data"]);
        assert!(server.stop().await.success());
        let stored = match &etcd {
            Some(etcd) => text_below(etcd.folder(), ""),
            None => text_below(&server.data_dir(), "store"),
        };
        assert!(stored.contains("virtualclusterinstances/loft-p-my-project/hidden"), "keys lie as they are");
        assert!(stored.contains("k8s:enc:aesgcm:v1:key1:"));
        // The last one is the key.
        for text in ["swordfish", &STANDARD.encode("swordfish"), "insecret", "apiVersion", "\"kind\"", "xxxxxxxxxxxxxxxx"] {
            assert!(!stored.contains(text), "{text} lies in plain text");
        }
        let line = "virtualclusterinstances.management.loft.sh are stored encrypted with k8s:enc:aesgcm:v1:key1:";
        assert!(server.logs().contains(line), "{}", server.logs());
        assert!(!server.logs().contains("xxxxxxxx") && !server.logs().contains(&secret("1")), "{}", server.logs());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_up_when_that_is_wanted() {
    let config = Config::new("identity");
    let mut options = ServerOptions::new(BINARY);
    options.flags = config.flags();
    options.flags.push("--encryption-provider-config-automatic-reload".into());
    let server = TestServer::start(options).await;
    let admin = server.admin(Protocol::Http2);
    let created = admin.post(COLLECTION, &instance("a")).await.expect(201).json();
    admin.put(&path("a"), &created).await.expect(200);
    std::fs::write(config.file(), "rubbish").expect("written");
    wait_for("the bad file to be told of", async || server.logs().contains("the old one stays")).await;
    admin.get(&path("a")).await.expect(200);
    config.write("secretbox/1 identity");
    wait_for("a write that changes nothing to encrypt", async || {
        let written = admin.put(&path("a"), &created).await;
        // Once it is written anew, the version that was read is too old.
        written.status == 409 || written.json()["metadata"]["resourceVersion"] != created["metadata"]["resourceVersion"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_keys_do_not_open_is_an_error_that_operators_understand() {
    let config = Config::new("aesgcm/1 identity");
    let mut server = TestServer::start(ServerOptions::new(BINARY)).await;
    let admin = server.admin(Protocol::Http2);
    admin.post(COLLECTION, &instance("plain")).await.expect(201);
    server.restart_with(config.flags()).await;
    let admin = server.admin(Protocol::Http2);
    admin.post(COLLECTION, &instance("lost")).await.expect(201);
    for (providers, why) in [
        (Some("aesgcm/2 identity"), "the encryption configuration has no such provider and key for it"),
        (None, "it is encrypted, and there is no encryption configuration"),
    ] {
        let flags = providers.map_or_else(Vec::new, |providers| {
            config.write(providers);
            config.flags()
        });
        server.restart_with(flags).await;
        let admin = server.admin(Protocol::Http2);
        admin.get(&path("plain")).await.expect(200);
        for refused in [admin.get(&path("lost")).await, admin.get(COLLECTION).await, admin.delete(&path("lost")).await] {
            let status = refused.expect(500).json();
            assert_eq!(status["message"], "Internal error occurred: stored data cannot be read", "{status}");
        }
        admin.post(COLLECTION, &instance("lost")).await.expect(409);
        let line = format!("virtualclusterinstances/loft-p-my-project/lost (k8s:enc:aesgcm:v1:key1): {why}");
        assert!(server.logs().contains(&line), "{}", server.logs());
    }
    // Nothing was lost.
    config.write("aesgcm/2 aesgcm/1 identity");
    server.restart_with(config.flags()).await;
    server.admin(Protocol::Http2).get(&path("lost")).await.expect(200);
}

#[test]
fn a_configuration_of_no_use_ends_with_one_line_and_status_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let within = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (data, file) = (within("data"), within("encryption.yaml"));
    let good = std::fs::read_to_string(Config::new("identity aesgcm/1").file()).expect("a file");
    let short = STANDARD.encode("too short");
    let kms = json!({"kms": {"name": "k", "endpoint": "unix:///k", "apiVersion": "v2"}}).to_string();
    let table = [
        (String::new(), "must be a mapping"),
        (
            good.replace(&secret("1"), &short),
            "resources[0].providers[1].aesgcm.keys[0].secret: secret is not of the expected length, got 9",
        ),
        (good.replace(&secret("1"), "#"), "resources[0].providers[1].aesgcm.keys[0].secret: secrets must be base64 encoded"),
        (good.replace("{\"identity\":{}}", &kms), "resources[0].providers[0].kms: kms is not supported"),
        (good.replace("aesgcm", "aesgmc"), "resources[0].providers[1].aesgmc: unknown field"),
    ];
    let arguments = ["serve", "--data-dir", &data, "--secure-port", "0", "--encryption-provider-config", &file];
    let refused = |want: &str| {
        let (status, _, stderr) = run(Path::new(BINARY), &arguments);
        assert_eq!(status.code(), Some(2), "{stderr}");
        assert!(stderr.trim_end().lines().count() == 1 && stderr.contains(&file) && stderr.contains(want), "{want}: {stderr}");
        assert!(!stderr.contains(&short) && !stderr.contains(&secret("1")), "{stderr}");
        assert!(!Path::new(&data).exists(), "the data folder was touched");
    };
    refused("No such file");
    for (text, want) in table {
        std::fs::write(&file, text).expect("written");
        refused(want);
    }
}
