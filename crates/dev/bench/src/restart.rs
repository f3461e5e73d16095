//! What a restart costs, with objects in the store and clients that come back.

use crate::api::{Api, Item};
use crate::client::Connection;
use crate::failure::fail;
use crate::figures::ms;
use crate::informers;
use crate::server::{Launch, Server};
use crate::target::Target;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;

/// How long a watch may take to say something.
const PATIENCE: Duration = Duration::from_secs(30);

/// An event of a watch.
#[derive(serde::Deserialize)]
struct Event {
    r#type: String,
    object: serde_json::Value,
}

/// Ends the server, starts it again, and prints a table. `empty` is what a start took before there were objects.
pub(crate) async fn run(informers: usize, launch: &Launch, server: Server, empty: Duration) {
    let version = watch_before(&server.target()).await;
    drop(server);
    let (server, ready) = launch.start().await;
    let target = server.target();
    println!("\n| restart | |\n|---|---|");
    println!("| ready after exec, without objects (ms) | {:.0} |", ms(empty));
    println!("| ready after exec, with all objects (ms) | {:.0} |", ms(ready));
    informers::run(&target, informers).await;
    println!("| a watch from before goes on | {} |", goes_on(&target, &version).await);
}

/// Opens a watch, and lets it miss a change. Returns the version of the last change that it has seen.
async fn watch_before(target: &Target) -> String {
    let version = target.version().await;
    let (mut watching, mut writing) = (target.connector.connect().await, target.connector.connect().await);
    let body = watching.open(target.api.watch(&version)).await;
    writing.send(target.api.merge_patch(0)).await;
    let seen = first_event(body).await;
    writing.send(target.api.merge_patch(1)).await;
    resource_version(&seen)
}

/// Whether a watch gets what it has missed.
async fn goes_on(target: &Target, version: &str) -> &'static str {
    let missed: Item = target.connector.connect().await.read(target.api.get(1)).await;
    let mut connection: Connection = target.connector.connect().await;
    let response = connection.try_open(Api::watch(&target.api, version)).await.unwrap_or_else(|error| fail(&error.to_string()));
    if response.status() == 410 {
        return "no (410)";
    }
    if !response.status().is_success() {
        fail(&format!("a watch from before the restart: {}", response.status()));
    }
    let event = first_event(response.into_body()).await;
    match &*event.r#type {
        "ERROR" if event.object["code"] == 410 => "no (410)",
        "MODIFIED" if resource_version(&event) == missed.metadata.resource_version => "yes",
        other => fail(&format!("a watch from before the restart got {other}: {}", event.object)),
    }
}

fn resource_version(event: &Event) -> String {
    event.object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

async fn first_event(mut body: Incoming) -> Event {
    let mut line = Vec::new();
    let read = async {
        while !line.contains(&b'\n') {
            let Some(Ok(frame)) = body.frame().await else { fail("a watch ended before its first event") };
            line.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| fail("a watch has no first event"));
    serde_json::Deserializer::from_slice(&line).into_iter().next().unwrap().unwrap()
}
