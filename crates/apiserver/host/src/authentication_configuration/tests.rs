#![allow(clippy::unwrap_used)]
use super::*;
use crate::testing::cluster;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn data(value: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn it_says_whom_to_trust_and_where_names_stand() {
    let all = json!({
        "client-ca-file": "CLIENTS",
        "requestheader-client-ca-file": "PROXIES",
        "requestheader-allowed-names": "[\"front-proxy-client\"]",
        "requestheader-username-headers": "[\"X-Remote-User\"]",
        "requestheader-uid-headers": "[\"X-Remote-Uid\"]",
        "requestheader-group-headers": "[\"X-Remote-Group\"]",
        "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
    });
    let terms = RequestHeaderConfig { allowed_names: vec!["front-proxy-client".into()], ..RequestHeaderConfig::default() };
    let front_proxy = Some(FrontProxyConfiguration { ca: "PROXIES".into(), terms });
    assert_eq!(read(data(&all)), Ok(AuthenticationConfiguration { client_ca: Some("CLIENTS".into()), front_proxy }));
    assert_eq!(read(data(&json!({}))), Ok(AuthenticationConfiguration::default()));
    let clients_only = read(data(&json!({"client-ca-file": "CLIENTS", "requestheader-client-ca-file": " \n"}))).unwrap();
    assert_eq!((clients_only.client_ca.as_deref(), clients_only.front_proxy), (Some("CLIENTS"), None));
    let no_names = read(data(&json!({"requestheader-client-ca-file": "PROXIES"}))).unwrap().front_proxy.unwrap();
    assert!(no_names.terms.username_headers.is_empty(), "who names no header is not guessed at");
    let bad = read(data(&json!({"requestheader-client-ca-file": "PROXIES", "requestheader-allowed-names": "x"})));
    assert!(bad.unwrap_err().starts_with("requestheader-allowed-names: "));
}

/// The first list is refused; then it is read, and watched as it changes.
#[tokio::test(start_paused = true)]
async fn it_is_read_as_soon_as_it_can_be_and_followed() {
    let map = |version: &str, ca: &str| {
        json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "resourceVersion": version},
            "data": {"client-ca-file": ca},
        })
    };
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let cluster = cluster(move |question| {
        let mut count = count.lock().unwrap();
        *count += 1;
        assert!(question.path.starts_with("/api/v1/namespaces/kube-system/configmaps?"), "{}", question.path);
        assert!(question.path.contains("extension-apiserver-authentication"), "{}", question.path);
        match (*count, question.path.contains("watch=true")) {
            (1, _) => (
                403,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "message": "no"}).to_string().into_bytes(),
            ),
            (_, false) => (200, json!({"metadata": {"resourceVersion": "1"}, "items": [map("1", "OLD")]}).to_string().into_bytes()),
            (_, true) => {
                let mut bad = map("3", "NEW");
                bad["data"] = json!({"requestheader-client-ca-file": "P", "requestheader-group-headers": "{"});
                let event = |what: &str, object: &Value| format!("{}\n", json!({"type": what, "object": object}));
                let events = [event("MODIFIED", &map("2", "NEW")), event("MODIFIED", &bad), event("DELETED", &map("4", ""))].concat();
                (200, events.into_bytes())
            }
        }
    });
    let (teller, mut told) = tokio::sync::mpsc::channel(8);
    let following = tokio::spawn(async move { follow(&cluster, move |found| _ = teller.try_send(found)).await });
    for want in ["OLD", "NEW"] {
        assert_eq!(told.recv().await.unwrap().client_ca.as_deref(), Some(want));
    }
    following.abort();
    assert!(*asked.lock().unwrap() >= 3);
}
