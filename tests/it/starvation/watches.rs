//! Watches that are opened and never read.

use super::writes::resident_mib;
use crate::common::{COLLECTION, embedded, instance};
use serde_json::json;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::wait_for;

const CONNECTIONS: usize = 10;
const STREAMS: usize = 100;
/// What a thousand of them may take: about the half of it is what a stream costs anyway.
const GROWTH: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_are_not_read_cost_little_and_give_it_back() {
    let server = embedded().await;
    let admin = server.admin(Protocol::Http2);
    for n in 0..150 {
        let mut object = instance(&format!("o{n}"));
        object["spec"]["description"] = json!("x".repeat(2000));
        admin.post(COLLECTION, &object).await.expect(201);
    }
    let path = format!("{COLLECTION}?watch=1&resourceVersion=0");
    let before = resident_mib(server.pid());
    let mut most = 0;
    // What a round gives back, the next one takes: if something stayed behind, three rounds would take three times as much.
    for _ in 0..3 {
        let mut watches = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = Client::without_window(server.base_url(), &server.ca_pem()).bearer(&server.admin_token());
            for _ in 0..STREAMS {
                watches.push(client.watch(&path).await);
            }
        }
        assert!(watches.iter().all(|watch| watch.status == 200));
        // Changes reach watches that are not read as well.
        for n in 0..50 {
            admin.delete(&format!("{COLLECTION}/o{n}")).await.expect(200);
            let mut object = instance(&format!("o{n}"));
            object["spec"]["description"] = json!("y".repeat(2000));
            admin.post(COLLECTION, &object).await.expect(201);
        }
        most = most.max(resident_mib(server.pid()));
        drop(watches);
        wait_for("the watches to be gone", async || {
            let metrics = admin.get("/metrics").await.expect(200).text();
            let open = metrics.lines().find(|line| line.starts_with("apiserver_longrunning_requests{") && line.contains("WATCH"));
            open.is_none_or(|line| line.ends_with(" 0"))
        })
        .await;
    }
    let growth = most.saturating_sub(before);
    assert!(growth < GROWTH, "from {before} MiB by {growth} MiB");
}
