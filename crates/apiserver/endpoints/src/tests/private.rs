//! What is not for everybody who may read an object is in no answer to others.
#![allow(clippy::unwrap_used)]

use super::fixture::{COLLECTION, Server, Watching};
use apiserver_auth::Decision;
use apiserver_meta::ObjectFilter;
use http::StatusCode;
use serde_json::json;

const TEXT: &str = "a-private-text";

async fn create(server: &Server, name: &str) {
    let body = json!({ "metadata": { "name": name, "finalizers": ["example.io/hold"] }, "spec": { "size": 7, "text": TEXT } });
    assert_eq!(server.send("POST", COLLECTION, &[], body.to_string()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn readers_are_not_shown_what_is_private() {
    let server = Server::start().await;
    create(&server, "w").await;
    let table = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let initial = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    for (user, is_shown) in [("admin", true), ("editor", true), ("reader", false)] {
        let who = ("authorization", &*format!("Bearer {user}"));
        for (path, headers) in [
            (format!("{COLLECTION}/w"), vec![who]),
            (format!("{COLLECTION}/w?extended=true"), vec![who]),
            (format!("{COLLECTION}/w/status"), vec![who]),
            (format!("{COLLECTION}/w?includeObject=Object"), vec![who, table]),
            (COLLECTION.to_owned(), vec![who]),
            (format!("{COLLECTION}?extended=true&limit=1"), vec![who]),
            (format!("{COLLECTION}?includeObject=Object"), vec![who, table]),
            ("/apis/example.io/v1/widgets".to_owned(), vec![who]),
        ] {
            let answer = server.get(&path, &headers).await;
            assert_eq!((answer.status, answer.text.contains(TEXT)), (StatusCode::OK, is_shown), "{user} {path}: {}", answer.text);
            assert!(answer.text.contains("\"size\":7"), "{user} {path}: all else is there: {}", answer.text);
        }
        let mut watch = Watching::new(server.open("GET", &format!("{COLLECTION}?{initial}"), &[who], "").await);
        let event = watch.next().await;
        assert_eq!((event["object"]["spec"].get("text").is_some(), &event["object"]["spec"]["size"]), (is_shown, &json!(7)), "{user}");
    }
}

/// Those who may not read them wholly are told no more by an answer to what they do.
#[tokio::test]
async fn writers_are_not_shown_what_is_private() {
    let server = Server::start().await;
    for (user, is_shown) in [("editor", true), ("deleter", false)] {
        create(&server, user).await;
        let who = ("authorization", &*format!("Bearer {user}"));
        for path in [format!("{COLLECTION}/{user}"), COLLECTION.to_owned()] {
            let answer = server.send("DELETE", &path, &[who], "").await;
            assert_eq!((answer.status, answer.text.contains(TEXT)), (StatusCode::OK, is_shown), "{user} {path}: {}", answer.text);
            assert!(answer.text.contains("\"size\":7"), "{user} {path}: {}", answer.text);
        }
    }
    let merge = [("content-type", "application/merge-patch+json"), ("authorization", "Bearer editor")];
    let patched = server.send("PATCH", &format!("{COLLECTION}/editor"), &merge, "{}").await;
    assert!(patched.text.contains(TEXT), "{}", patched.text);
}

#[tokio::test]
async fn a_watch_ends_when_its_caller_is_to_be_shown_less() {
    let server = Server::start().await;
    create(&server, "w").await;
    *server.ruling.lock().unwrap() = || Decision::Allow(ObjectFilter::All);
    let who = ("authorization", "Bearer trusted");
    let path = format!("{COLLECTION}?watch=1&resourceVersion=0");
    let mut watch = Watching::new(server.open("GET", &path, &[who], "").await);
    assert_eq!(watch.next().await["object"]["spec"]["text"], TEXT);
    *server.ruling.lock().unwrap() = || Decision::Deny("no longer".into());
    server.access.send_modify(|count| *count += 1);
    let end = watch.next().await;
    assert_eq!((&end["type"], &end["object"]["code"]), (&json!("ERROR"), &json!(410)), "{end}");
    let mut watch = Watching::new(server.open("GET", &path, &[who], "").await);
    assert_eq!(watch.next().await["object"]["spec"], json!({ "size": 7 }));
}
