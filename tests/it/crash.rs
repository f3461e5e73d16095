//! The embedded server is killed with SIGKILL under concurrent writes, a hundred times on the same file: no
//! acknowledged write is missing, no revision is used twice, the file always opens.

use crate::common::{BINARY, COLLECTION, instance};
use http::Method;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vci_testkit::client::Protocol;
use vci_testkit::server::{ServerOptions, TestServer};

const KILLS: u64 = 100;
const WRITERS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_sigkill() {
    let mut server = TestServer::start(ServerOptions::new(BINARY)).await;
    let acknowledged: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let mut highest = 0;
    for round in 0..KILLS {
        let client = server.admin(Protocol::Http2);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, acknowledged) = (client.clone(), Arc::clone(&acknowledged));
                tokio::spawn(async move {
                    for i in 0.. {
                        let name = format!("k{round}-{writer}-{i}");
                        let body = instance(&name).to_string();
                        let Ok(response) = client.try_request(Method::POST, COLLECTION, Some("application/json"), body).await else {
                            return;
                        };
                        if response.status != 201 {
                            return;
                        }
                        let object = response.json();
                        let version = object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("a version");
                        acknowledged.lock().expect("no panic").insert(name, version);
                    }
                })
            })
            .collect();
        // Different moments in every round: right after start, in the middle of commits, under full load.
        tokio::time::sleep(Duration::from_millis(5 + (round * 37) % 90)).await;
        server.kill();
        for writer in writers {
            writer.await.expect("a writer");
        }
        server.restart().await;

        let list = server.admin(Protocol::Http2).get(COLLECTION).await.expect(200).json();
        let stored: BTreeMap<String, u64> = list["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| {
                let text = |field: &str| item["metadata"][field].as_str().unwrap_or("").to_owned();
                (text("name"), text("resourceVersion").parse().expect("a version"))
            })
            .collect();
        let expected = acknowledged.lock().expect("no panic").clone();
        for (name, version) in &expected {
            assert_eq!(stored.get(name), Some(version), "{name} in round {round}");
        }
        let mut versions: Vec<u64> = stored.values().copied().collect();
        versions.sort_unstable();
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "a revision was used twice in round {round}");
        // What was never acknowledged may have been stored; its revision is not given out again either.
        let newest = list["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok()).expect("a version");
        assert!(newest >= highest && newest >= versions.last().copied().unwrap_or(0), "revisions went back in round {round}");
        highest = newest;
    }
    assert!(acknowledged.lock().expect("no panic").len() as u64 > KILLS, "hardly anything was written");
}
