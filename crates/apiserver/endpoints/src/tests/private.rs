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

const CAUSE: &str = "a-private-cause";

/// Each part needs a right of its own; the status may have parts for those who write it.
#[tokio::test]
async fn each_private_part_is_shown_to_those_who_may_change_it() {
    let server = Server::start().await;
    create(&server, "w").await;
    let path = format!("{COLLECTION}/w");
    let merge = ("content-type", "application/merge-patch+json");
    let known = json!({ "status": { "phase": "Odd", "cause": CAUSE } });
    let written = server.send("PATCH", &format!("{path}/status"), &[merge], known.to_string()).await;
    assert!(written.text.contains(CAUSE), "{}", written.text);
    for (user, text, cause) in [("admin", true, true), ("editor", true, true), ("drafter", true, false), ("reader", false, false)] {
        let who = ("authorization", &*format!("Bearer {user}"));
        for path in [&path, &format!("{path}/status"), COLLECTION] {
            let answer = server.get(path, &[who]).await;
            assert_eq!((answer.text.contains(TEXT), answer.text.contains(CAUSE)), (text, cause), "{user} {path}: {}", answer.text);
            assert!(answer.text.contains("\"phase\":\"Odd\""), "{user} {path}: {}", answer.text);
        }
    }
    // What was not shown to its writer is not lost by a write.
    let drafter = ("authorization", "Bearer drafter");
    let read = server.get(&path, &[drafter]).await;
    assert_eq!(server.send("PUT", &path, &[drafter], read.text).await.status, StatusCode::OK);
    assert!(server.get(&path, &[]).await.text.contains(CAUSE));
}

/// A JSON patch can read: it copies, and fails where a test does.
#[tokio::test]
async fn a_patch_reads_no_more_than_its_sender_is_shown() {
    let server = Server::start().await;
    create(&server, "w").await;
    let path = format!("{COLLECTION}/w");
    let merge = ("content-type", "application/merge-patch+json");
    let known = json!({ "status": { "phase": "Odd", "cause": CAUSE } });
    server.send("PATCH", &format!("{path}/status"), &[merge], known.to_string()).await;
    let patch = async |user: &str, operations: serde_json::Value| {
        let headers = [("content-type", "application/json-patch+json"), ("authorization", &*format!("Bearer {user}"))];
        server.send("PATCH", &path, &headers, operations.to_string()).await
    };
    let copy = json!([{ "op": "copy", "from": "/status/cause", "path": "/spec/text" }]);
    let test = |cause: &str| json!([{ "op": "test", "path": "/status/cause", "value": cause }]);
    for operations in [copy.clone(), json!([{ "op": "move", "from": "/status/cause", "path": "/spec/text" }])] {
        let answer = patch("drafter", operations.clone()).await;
        assert!(!answer.text.contains(CAUSE), "{operations}: {}", answer.text);
        assert_eq!(server.get(&path, &[]).await.text.matches(CAUSE).count(), 1, "{operations}: it is where it was and nowhere else");
    }
    for guess in [CAUSE, "x"] {
        let answer = patch("drafter", test(guess)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "a right guess is no better than a wrong one: {}", answer.text);
    }
    let shown = json!([{ "op": "test", "path": "/status/phase", "value": "Odd" }, { "op": "replace", "path": "/spec/size", "value": 8 }]);
    assert_eq!(patch("drafter", shown).await.status, StatusCode::OK, "what is shown can be tested");
    assert_eq!(server.get(&path, &[]).await.json()["status"], json!({ "phase": "Odd", "cause": CAUSE }), "and nothing is lost");
    assert_eq!(patch("admin", copy).await.json()["spec"]["text"], CAUSE, "those who are shown it copy it");
}
