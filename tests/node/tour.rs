//! What everybody does with the API, through kube-apiserver: create, get, list, watch, change, delete.

use crate::stand::{COLLECTION, Stand};
use serde_json::{Value, json};

pub(super) fn tour(stand: &Stand<'_>) {
    stand.run(by_http(stand));
    let found = stand.kubectl(&["get", "virtualclusterinstances", "--namespace", "loft-p-my-project", "--output", "name"]);
    assert_eq!(found.lines().collect::<Vec<_>>(), ["virtualclusterinstance.management.loft.sh/stays"]);
}

async fn by_http(stand: &Stand<'_>) {
    let admin = &stand.admin;
    let mut watch = admin.watch(&format!("{COLLECTION}?watch=true")).await;
    assert_eq!(watch.status, 200);
    for name in ["goes", "stays"] {
        let instance = json!({"metadata": {"name": name}, "spec": {"displayName": name, "templateRef": {"name": "t"}}});
        admin.post(COLLECTION, &instance).await.expect(201);
    }
    let path = format!("{COLLECTION}/goes");
    assert_eq!(admin.get(&path).await.expect(200).json()["spec"]["displayName"], "goes");
    let change = json!({"spec": {"displayName": "changed"}});
    admin.patch(&path, "application/merge-patch+json", &change).await.expect(200);
    admin.delete(&path).await.expect(200);
    admin.get(&path).await.expect(404);
    let list = admin.get(COLLECTION).await.expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");

    let mut told = Vec::new();
    while told.last().is_none_or(|(kind, _)| kind != "DELETED") {
        let event = watch.next().await.expect("the watch goes on");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        told.push((text(&event["type"]), text(&event["object"]["spec"]["displayName"])));
    }
    let want = [("ADDED", "goes"), ("ADDED", "stays"), ("MODIFIED", "changed"), ("DELETED", "changed")];
    assert_eq!(told, want.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
}
