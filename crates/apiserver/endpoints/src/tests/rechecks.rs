#![allow(clippy::unwrap_used)]

use super::fixture::{COLLECTION, Server};
use apiserver_auth::Decision;
use apiserver_meta::ObjectFilter;
use futures::StreamExt as _;
use std::time::Duration;
use tokio::time::Instant;

/// What is found at the second look, what at those after it, and after how many seconds the watch has ended.
type Case = (fn() -> Decision, fn() -> Decision, Option<u64>);

#[tokio::test]
async fn a_watch_ends_by_a_refusal_or_by_a_doubt_that_lasts() {
    let allow = || Decision::Allow(ObjectFilter::All);
    let cases: [Case; 4] = [
        (|| Decision::Deny("by rule".into()), allow, Some(0)),
        (|| Decision::Failed("out of reach".into()), allow, None),
        (|| Decision::Failed("out of reach".into()), || Decision::Deny("by rule".into()), Some(5)),
        (|| Decision::Failed("out of reach".into()), || Decision::Failed("still".into()), Some(55)),
    ];
    for (number, (second, later, want)) in cases.into_iter().enumerate() {
        let server = Server::start().await;
        *server.ruling.lock().unwrap() = allow;
        let response = server.open("GET", &format!("{COLLECTION}?watch=1"), &[("authorization", "Bearer ruled")], "").await;
        assert_eq!(response.status(), 200, "case {number}");
        let mut watch = response.into_body().into_data_stream();
        *server.ruling.lock().unwrap() = second;
        server.access.send_modify(|count| *count += 1);
        tokio::time::pause();
        let begun = Instant::now();
        let frame = tokio::time::timeout(Duration::from_secs(1), watch.next()).await;
        let frame = match frame {
            Ok(frame) => Some(frame),
            Err(_) => {
                *server.ruling.lock().unwrap() = later;
                tokio::time::timeout(Duration::from_secs(600), watch.next()).await.ok()
            }
        };
        let ended = frame.map(|frame| (String::from_utf8_lossy(&frame.unwrap().unwrap()).into_owned(), begun.elapsed().as_secs()));
        assert_eq!(ended.as_ref().map(|(_, seconds)| *seconds), want, "case {number}");
        assert!(ended.is_none_or(|(frame, _)| frame.contains(r#""code":410"#)), "case {number}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_list_that_is_still_being_sent_breaks_off_when_its_caller_may_no_longer_have_it() {
    let server = Server::start().await;
    let padding = "x".repeat(60_000);
    for number in 0..4 {
        let object = serde_json::json!({"metadata": {"name": format!("big-{number}"), "annotations": {"padding": padding}}});
        let headers = [("authorization", "Bearer admin"), ("content-type", "application/json")];
        assert_eq!(server.send("POST", COLLECTION, &headers, object.to_string()).await.status, 201);
    }
    let table = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    for headers in [&[("authorization", "Bearer ruled")][..], &[("authorization", "Bearer ruled"), table]] {
        for (ruling, want) in
            [((|| Decision::Allow(ObjectFilter::All)) as fn() -> Decision, true), (|| Decision::Deny("by rule".into()), false)]
        {
            *server.ruling.lock().unwrap() = || Decision::Allow(ObjectFilter::All);
            let path = format!("{COLLECTION}?includeObject=Object");
            let mut list = server.open("GET", &path, headers, "").await.into_body().into_data_stream();
            list.next().await.unwrap().unwrap();
            *server.ruling.lock().unwrap() = ruling;
            server.access.send_modify(|count| *count += 1);
            let mut is_whole = true;
            while let Some(piece) = list.next().await {
                if piece.is_err() {
                    is_whole = false;
                    break;
                }
            }
            assert_eq!(is_whole, want, "{headers:?}");
        }
    }
}
