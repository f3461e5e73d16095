#![allow(clippy::unwrap_used)]
use super::*;
use apiserver_store::GuardMode;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const ROOT: &str = "/registry/";
const KEY: &str = "example.com/pods/ns/a";

/// A configuration for every resource: `aesgcm/1 secretbox/2 identity`. A key's name is its first digit, its secret comes of the
/// last one.
fn rules(providers: &str) -> Rules {
    rules_for("'*.*'", providers)
}

fn rules_for(resources: &str, providers: &str) -> Rules {
    Rules::from_text(Path::new("enc.yaml"), file(resources, providers).as_bytes()).unwrap()
}

fn file(resources: &str, providers: &str) -> String {
    use base64::Engine as _;
    let provider = |words: &str| match words.split_once('/') {
        Some((name, number)) => {
            let secret = base64::engine::general_purpose::STANDARD.encode([number.bytes().last().unwrap(); 32]);
            format!("{name}: {{keys: [{{name: '{}', secret: '{secret}'}}]}}", &number[..1])
        }
        None => format!("{words}: {{}}"),
    };
    let providers: Vec<String> = providers.split(' ').map(provider).collect();
    format!(
        "{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{{resources: [{resources}], providers: [{}]}}]}}",
        providers.join(", ")
    )
}

fn embedded() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path().join("db"), &EmbeddedConfig::standard()).unwrap();
    (Arc::new(store), folder)
}

fn key(text: &str) -> Key {
    Key::new(text)
}

mod conformance {
    use super::*;

    async fn fresh(providers: &str) -> (Arc<dyn Store>, TempDir) {
        let (store, folder) = embedded();
        (Arc::new(Encrypted::new(store, ROOT, rules(providers))), folder)
    }

    mod of_aesgcm {
        apiserver_store::conformance_suite!(super::fresh("aesgcm/1 identity"));
    }

    mod of_secretbox {
        apiserver_store::conformance_suite!(super::fresh("secretbox/1"));
    }
}

#[tokio::test]
async fn a_value_is_encrypted_where_it_lies_and_bound_to_its_place() {
    let (inner, _folder) = embedded();
    let store = Encrypted::new(Arc::clone(&inner), ROOT, rules("aesgcm/1"));
    let revision = store.put(&key(KEY), "plain text".into(), Expect::Absent).await.unwrap();
    let stored = inner.get(&key(KEY)).await.unwrap().unwrap();
    assert_eq!(stored.encrypted_with(), Some("k8s:enc:aesgcm:v1:1"));
    assert!(!String::from_utf8_lossy(&stored.value).contains("plain"));
    let read = Entry { key: key(KEY), value: "plain text".into(), revision, form: Form::Current };
    assert_eq!(store.get(&key(KEY)).await.unwrap(), Some(read));

    // Copied to another place it is worth nothing there; nor is it in a store with another root.
    let elsewhere = key("example.com/pods/ns/b");
    inner.put(&elsewhere, stored.value.clone(), Expect::Absent).await.unwrap();
    let moved = store.get(&elsewhere).await.unwrap().unwrap();
    assert!(matches!(moved.form, Form::Unreadable(why) if why.contains("moved")), "{moved:?}");
    let other_root = Encrypted::new(inner, "/other/", rules("aesgcm/1"));
    assert!(matches!(other_root.get(&key(KEY)).await.unwrap().unwrap().form, Form::Unreadable(_)));
}

#[tokio::test]
async fn what_has_no_bytes_or_no_rule_stays_as_it_is() {
    let (inner, _folder) = embedded();
    let store = Encrypted::new(Arc::clone(&inner), ROOT, rules_for("pods.example.com", "aesgcm/1"));
    for (name, value) in
        [(KEY, ""), ("example.com/nodes/a", "x"), ("other.com/pods/ns/a", "x"), ("pods.example.com", "x"), ("example.com", "x")]
    {
        store.put(&key(name), value.into(), Expect::Absent).await.unwrap();
        let stored = inner.get(&key(name)).await.unwrap();
        assert_eq!(stored.as_ref().map(|entry| entry.value.clone()), Some(value.into()), "{name}");
        assert_eq!(store.get(&key(name)).await.unwrap(), stored, "{name}");
    }
    // Without a rule, what is encrypted is not taken for a value.
    inner.put(&key("example.com/nodes/b"), "k8s:enc:aesgcm:v1:1:x".into(), Expect::Absent).await.unwrap();
    assert!(matches!(store.get(&key("example.com/nodes/b")).await.unwrap().unwrap().form, Form::Unreadable(_)));
}

/// Values written under one configuration are read under another.
#[tokio::test]
async fn rotation() {
    let table = [
        ("identity", "aesgcm/1 identity", "stale"),
        ("identity", "identity aesgcm/1", "current"),
        ("identity", "aesgcm/1", "unreadable"),
        ("aesgcm/1", "aesgcm/1 aesgcm/2", "current"),
        ("aesgcm/1", "aesgcm/2 aesgcm/1", "stale"),
        ("aesgcm/1", "identity aesgcm/1", "stale"),
        ("aesgcm/1", "aesgcm/2", "unreadable"),
        ("aesgcm/1", "identity", "unreadable"),
        ("aesgcm/1", "secretbox/1", "unreadable"),
        ("secretbox/1", "aesgcm/1 aescbc/2 secretbox/1 identity", "stale"),
        // Two keys of one name: only one of them decrypts it.
        ("secretbox/1", "secretbox/12", "unreadable"),
        ("secretbox/1", "secretbox/12 secretbox/1", "stale"),
        ("aesgcm/2", "aesgcm/1 aesgcm/2", "stale"),
    ];
    for (written, configured, want) in table {
        let (inner, _folder) = embedded();
        let store = Encrypted::new(Arc::clone(&inner), ROOT, rules(written));
        let revision = store.put(&key(KEY), "value".into(), Expect::Absent).await.unwrap();
        store.replace(rules(configured));
        let seen = store.get(&key(KEY)).await.unwrap().unwrap();
        let form = match seen.form {
            Form::Current => "current",
            Form::Stale => "stale",
            Form::Unreadable(_) => "unreadable",
        };
        assert_eq!(form, want, "{written}, then {configured}");
        // Plain text that should not be there is not handed on at all.
        assert_eq!(seen.value == "value", want != "unreadable", "{written}, then {configured}");
        store.put(&key(KEY), "value".into(), Expect::Revision(revision)).await.unwrap();
        assert_eq!(store.get(&key(KEY)).await.unwrap().unwrap().form, Form::Current, "written again, {configured}");
    }
}

#[tokio::test]
async fn one_unreadable_value_hides_no_other() {
    let (inner, _folder) = embedded();
    let store = Encrypted::new(Arc::clone(&inner), ROOT, rules("aesgcm/1"));
    let start = store.revision().await.unwrap();
    let mut watch = store.watch("example.com/pods/", start).await.unwrap();
    let bad = inner.put(&key(KEY), "k8s:enc:aesgcm:v1:1:noise".into(), Expect::Absent).await.unwrap();
    store.put(&key("example.com/pods/ns/b"), "good".into(), Expect::Absent).await.unwrap();
    let request = RangeRequest { prefix: "example.com/pods/".into(), ..RangeRequest::default() };
    let found = store.range(&request).await.unwrap().entries;
    assert!(matches!(found[0].form, Form::Unreadable(_)));
    assert_eq!((&found[1].value[..], found[1].form), (&b"good"[..], Form::Current));

    let mut told = Vec::new();
    while told.len() < 2 {
        let message = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap();
        let Some(Ok(WatchMessage::Events(events))) = message else { continue };
        told.extend(events.into_iter().map(|event| (event.value.unwrap(), event.form)));
    }
    assert!(matches!(told[0].1, Form::Unreadable(_)));
    assert_eq!(told[1], ("good".into(), Form::Current));

    // A conflict shows what is there; a write that knows its revision mends it.
    let Err(WriteError::Conflict(Some(found))) = store.put(&key(KEY), "new".into(), Expect::Absent).await else {
        panic!("want a conflict")
    };
    assert!(matches!(found.form, Form::Unreadable(_)));
    store.put(&key(KEY), "new".into(), Expect::Revision(bad)).await.unwrap();
    let Err(WriteError::Conflict(Some(found))) = store.delete(&key(KEY), bad).await else { panic!("want a conflict") };
    assert_eq!((&found.value[..], found.form), (&b"new"[..], Form::Current));
}

#[tokio::test]
async fn guards_stay_empty_and_a_value_too_large_is_told_by_its_own_size() {
    let (inner, _folder) = embedded();
    let store = Encrypted::new(Arc::clone(&inner), ROOT, rules("aesgcm/1"));
    let guard = Guard { key: key("guards/pods/ns"), expect: Expect::Absent, mode: GuardMode::Exclusive };
    store.put_guarded(&key(KEY), "value".into(), Expect::Absent, std::slice::from_ref(&guard)).await.unwrap();
    assert!(inner.get(&guard.key).await.unwrap().unwrap().value.is_empty());

    assert!(store.size().await.unwrap().is_some());

    let size = apiserver_store::embedded::MAX_VALUE;
    let put = async |size| store.put(&key("example.com/pods/ns/large"), vec![b'x'; size].into(), Expect::Absent).await;
    assert!(matches!(put(size).await, Err(WriteError::Store(StoreError::TooLarge { size: told })) if told == size));
    put(size - 64).await.unwrap();
}

#[tokio::test]
async fn a_file_that_changes_is_followed_and_a_bad_one_is_not() {
    let (inner, folder) = embedded();
    let path = folder.path().join("enc.yaml");
    let write = |text: String| std::fs::write(&path, text).unwrap();
    write(file("'*.*'", "aesgcm/1"));
    let store = Arc::new(Encrypted::new(inner, ROOT, Rules::read(&path).unwrap()));
    let follower = tokio::spawn(follow_file(Arc::clone(&store), path.clone(), Duration::from_millis(5)));
    let becomes = async |prefix: &str| {
        let writes = || store.sight.rules.load().written("a", "b").unwrap_or("plain").to_owned();
        let done = async {
            while writes() != prefix {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), done).await.unwrap();
    };
    write(file("'*.*'", "aesgcm/2 aesgcm/1"));
    becomes("k8s:enc:aesgcm:v1:2:").await;
    write("rubbish".into());
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    becomes("k8s:enc:aesgcm:v1:2:").await;
    write(file("'*.*'", "secretbox/3 aesgcm/2"));
    becomes("k8s:enc:secretbox:v1:3:").await;
    follower.abort();
}
