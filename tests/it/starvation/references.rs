//! Objects full of owner references: the garbage collector looks each up once, and holds up nobody meanwhile.

use super::writes::{cpu, keep_asking};
use crate::common::{COLLECTION, embedded, instance, path};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::wait_for;

/// As many references as an object may have.
const REFERENCES: usize = 1000;

fn reference(name: &str, uid: &str) -> Value {
    json!({"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "name": name, "uid": uid})
}

async fn create(client: &Client, name: &str, references: &[Value]) -> String {
    let mut object = instance(name);
    object["metadata"]["ownerReferences"] = references.into();
    let made = client.post(COLLECTION, &object).await.expect(201).json();
    made["metadata"]["uid"].as_str().expect("a UID").to_owned()
}

/// Twice, with 2,000 and with 20,000 references in all: the work grows with them and not with their square.
#[tokio::test(flavor = "multi_thread")]
async fn references_to_made_up_owners_silence_nobody() {
    let mut server = embedded().await;
    let client = server.admin(Protocol::Http2);
    for dependents in [2, 20] {
        let owner = create(&client, "owner", &[]).await;
        create(&client, "other", &[]).await;
        let names: Vec<String> = (0..dependents).map(|index| format!("dependent-{index}")).collect();
        for name in &names {
            let mut references: Vec<Value> = (1..REFERENCES).map(|index| reference("other", &format!("{name}-{index}"))).collect();
            references.insert(REFERENCES / 2, reference("owner", &owner));
            create(&client, name, &references).await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (answers, asking) = keep_asking(&server, &stop);
        let before = cpu(server.pid());
        client.delete(&path("owner")).await.expect(200);
        for name in &names {
            wait_for("a dependent to go after its owner", async || client.get(&path(name)).await.status == 404).await;
        }
        let used = cpu(server.pid()) - before;
        stop.store(true, Ordering::Release);
        asking.await.expect("every question was answered");
        assert!(answers.load(Ordering::Acquire) > 0);
        // Some 0.1 s on a quiet machine without optimizations; it was minutes.
        assert!(used < Duration::from_secs(20), "{dependents} dependents took {used:?} of processor time");
        client.delete(&path("other")).await.expect(200);
    }
    assert!(server.stop().await.success(), "SIGTERM is seen");
}
