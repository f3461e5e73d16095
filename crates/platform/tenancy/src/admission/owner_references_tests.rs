//! The library's rule about owner references, with the roles that projects give.
#![allow(clippy::unwrap_used)]
use crate::admission::tests::{Rig, member};
use serde_json::json;

const VCI: &str = "virtualclusterinstances";

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_delete_ties_an_object_to_nothing() {
    let rig = Rig::start().await;
    let members = json!([member("adam", "admin"), member("una", "user"), member("tina", "user"), member("zoe", "user")]);
    rig.create("root", "projects", "blue", json!({"members": members, "requireTemplate": {"disabled": true}})).await.unwrap();
    rig.knows("zoe", "loft-p-blue").await;
    let rules = json!([{"verbs": ["patch"], "users": ["tina"]}, {"verbs": ["patch", "delete"], "users": ["zoe"]}]);
    let references = json!([{"apiVersion": "management.loft.sh/v1", "kind": "VirtualClusterInstance", "name": "x", "uid": "u"}]);
    for (index, (who, want)) in [("tina", false), ("zoe", true), ("una", true), ("adam", true), ("root", true)].into_iter().enumerate() {
        let at = format!("loft-p-blue/i{index}");
        rig.create("una", VCI, &at, json!({ "access": rules })).await.unwrap();
        let tied = rig.patch(who, VCI, &at, &json!({"metadata": {"ownerReferences": references}})).await;
        assert_eq!(tied.map_err(|error| error.code()).err(), (!want).then_some(403), "{who}");
        rig.patch("root", VCI, &at, &json!({"metadata": {"ownerReferences": references}})).await.unwrap();
        let untied = rig.patch(who, VCI, &at, &json!({"metadata": {"ownerReferences": null}})).await;
        assert_eq!(untied.map_err(|error| error.code()).err(), (!want).then_some(403), "{who}");
        let same = json!({"metadata": {"labels": {"a": "b"}}});
        rig.patch(who, VCI, &at, &same).await.unwrap();
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_update_its_finalizers_holds_up_the_deletion_of_an_owner() {
    let rig = Rig::start().await;
    let members = json!([member("adam", "admin"), member("una", "user"), member("tina", "user"), member("zoe", "user")]);
    rig.create("root", "projects", "blue", json!({"members": members, "requireTemplate": {"disabled": true}})).await.unwrap();
    rig.knows("zoe", "loft-p-blue").await;
    let rules = json!([
        {"verbs": ["get", "update", "delete"], "users": ["tina"]}, {"verbs": ["update"], "subresources": ["finalizers"], "users": ["zoe"]},
    ]);
    let spec = json!({ "access": rules });
    let made = rig.create("una", VCI, "loft-p-blue/owner", spec).await.unwrap();
    let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
    let reference = |kind: &str, name: &str, uid: &str, blocks: bool| json!({"apiVersion": "management.loft.sh/v1", "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": blocks});
    let refers = |reference: &serde_json::Value| json!({"metadata": {"ownerReferences": [reference]}});
    let blocks = refers(&reference("VirtualClusterInstance", "owner", &uid, true));
    for (who, want) in [("una", true), ("tina", false), ("zoe", true), ("adam", true), ("root", true)] {
        let at = format!("loft-p-blue/of-{who}");
        rig.create(who, VCI, &at, json!({})).await.unwrap();
        let follows = refers(&reference("VirtualClusterInstance", "owner", &uid, false));
        rig.patch(who, VCI, &at, &follows).await.unwrap();
        let held = rig.patch(who, VCI, &at, &blocks).await;
        assert_eq!(held.map_err(|error| error.code()).err(), (!want).then_some(403), "{who}");
        // What is so already is nobody's doing.
        rig.patch("root", VCI, &at, &blocks).await.unwrap();
        rig.patch(who, VCI, &at, &json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    }
    // By the name of something of one's own, the UID of somebody else's, and of nothing at all.
    rig.create("tina", VCI, "loft-p-blue/own", json!({})).await.unwrap();
    let own = rig.get("root", VCI, "loft-p-blue/own").await["metadata"]["uid"].as_str().unwrap().to_owned();
    for (name, uid, want) in [("own", own.as_str(), true), ("own", uid.as_str(), false), ("nothing", "u", false)] {
        rig.patch("tina", VCI, "loft-p-blue/of-tina", &json!({"metadata": {"ownerReferences": null}})).await.unwrap();
        let held = rig.patch("tina", VCI, "loft-p-blue/of-tina", &refers(&reference("VirtualClusterInstance", name, uid, true))).await;
        assert_eq!(held.map_err(|error| error.code()).err(), (!want).then_some(403), "{name} {uid}");
    }
    // A kind that is not served here cannot be held up here.
    let elsewhere = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "d", "blockOwnerDeletion": true});
    rig.patch("tina", VCI, "loft-p-blue/of-tina", &refers(&elsewhere)).await.unwrap();
}
