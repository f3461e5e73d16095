//! Activity, and virtual clusters that sleep.

use super::rig::{OBJECT, PROXY, Rig};
use serde_json::{Value, json};
use vci_testkit::wait_for;

const LAST_ACTIVITY: &str = "sleepmode.loft.sh/last-activity";

async fn activity(rig: &Rig) -> Option<i64> {
    rig.instance().await["metadata"]["annotations"][LAST_ACTIVITY].as_str().map(|text| text.parse().unwrap())
}

async fn fall_asleep(rig: &Rig, more: &Value) {
    let mut annotations = json!({"sleepmode.loft.sh/sleeping-since": "1000", LAST_ACTIVITY: "900"});
    annotations.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rig.patch(OBJECT, &json!({"metadata": {"annotations": annotations}})).await;
    rig.set_status(&json!({"phase": "Sleeping"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_noted_once_in_a_while() {
    let rig = Rig::start().await;
    let ignored = rig.client("owner").header(http::HeaderName::from_static("x-sleep-mode-ignore"), "true");
    ignored.get(&format!("{PROXY}/version")).await.expect(200);
    assert_eq!(activity(&rig).await, None);
    rig.client("owner").get(&format!("{PROXY}/version")).await.expect(200);
    wait_for("the activity", || async { activity(&rig).await.is_some() }).await;
    let version = rig.instance().await["metadata"]["resourceVersion"].clone();
    for _ in 0..5 {
        rig.client("owner").get(&format!("{PROXY}/version")).await.expect(200);
    }
    assert_eq!(rig.instance().await["metadata"]["resourceVersion"], version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_wakes_a_sleeping_cluster_and_waits_for_it() {
    let rig = Rig::start().await;
    fall_asleep(&rig, &json!({"sleepmode.loft.sh/force": "true"})).await;
    let controller = async {
        wait_for("the call to wake up", || async { activity(&rig).await.is_some_and(|time| time > 1000) }).await;
        assert!(rig.cluster.arrived().is_empty(), "nothing is sent to a cluster that sleeps");
        rig.set_status(&json!({"phase": "Ready"})).await;
    };
    let client = rig.client("owner");
    let path = format!("{PROXY}/version");
    let (response, ()) = tokio::join!(client.get(&path), controller);
    response.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_sleep_on_is_not_woken() {
    for more in [
        json!({"sleepmode.loft.sh/force": "true", "sleepmode.loft.sh/force-duration": "0"}),
        json!({"sleepmode.loft.sh/force": "true", "sleepmode.loft.sh/force-duration": "9000000000"}),
    ] {
        let rig = Rig::start().await;
        fall_asleep(&rig, &more).await;
        let status = rig.client("owner").get(&format!("{PROXY}/version")).await.expect(503).json();
        assert!(status["message"].as_str().unwrap().contains("is asleep"), "{status}");
        assert_eq!(activity(&rig).await, Some(900), "{more}");
    }
    let rig = Rig::start().await;
    fall_asleep(&rig, &json!({})).await;
    let ignored = rig.client("owner").header(http::HeaderName::from_static("x-sleep-mode-ignore"), "true");
    ignored.get(&format!("{PROXY}/version")).await.expect(503);
    assert_eq!(activity(&rig).await, Some(900), "who does not count wakes nobody");
    rig.client("guest").get(&format!("{PROXY}/version")).await.expect(403);
    assert_eq!(activity(&rig).await, Some(900), "who may not either");
}
