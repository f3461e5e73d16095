//! Fields that say who may do what, each written by every sort of caller: the matrix's dimension of single fields.
//!
//! Beside each kind stands a field that grants nothing, to show that the callers could write the object otherwise. That no field
//! is missing is for the test of the server's own table to show.

use super::client;
use super::world::{self, CALLERS};
use super::{UNKNOWN, letter};
use crate::common::{GROUP, every_store_with};
use serde_json::{Value, json};
use vci_testkit::client::Protocol;

/// Kind, what is written into `spec`, and one letter for each caller who is known, as in [`super::table`].
fn rows() -> Vec<(&'static str, Value, &'static str)> {
    let rules = || json!([{"verbs": ["*"], "users": ["gina", "una", "victor"]}]);
    let roles = || json!([{"users": ["gina", "una", "victor"], "clusterRole": "cluster-admin"}]);
    let member = json!([{"kind": "User", "name": "otto", "clusterRole": "loft-management-project-admin"}]);
    let access = || json!({"access": {"rules": roles()}});
    let (instances, secrets, templates) = ("virtualclusterinstances", "projectsecrets", "virtualclustertemplates");
    vec![
        (instances, json!({"displayName": "d"}), "FYFYY YFF Y YY YF Y"),
        (instances, json!({"parameters": "a: b"}), "FYFYY YFF Y YY YF Y"),
        (instances, json!({"access": rules()}), "FYFYF YFF Y YY YF Y"),
        (instances, json!({"extraAccessRules": roles()}), "FYFYF YFF Y YY YF Y"),
        (instances, json!({"owner": {"team": "ops"}}), "FFFFF YFF F YY YF F"),
        (instances, json!({"owner": {"user": "una", "team": "ops"}}), "FFFFF YFF F YY YF F"),
        (instances, json!({"templateRef": {"name": "own"}}), "FYFYF YFF Y YY YF Y"),
        (instances, json!({"templateRef": {"name": "others", "version": "1.x.x"}}), "FYFYF YFF Y YY YF Y"),
        (templates, json!({"displayName": "d"}), "FYFYY FFF Y YY FF Y"),
        (templates, json!({"template": {"objects": "o"}}), "FYFYY FFF Y YY FF Y"),
        (templates, json!({"access": rules()}), "FYFYF FFF Y YY FF Y"),
        (templates, json!({"template": access()}), "FYFYF FFF Y YY FF Y"),
        (templates, json!({"versions": [{"version": "1.0.0", "template": access()}]}), "FYFYF FFF Y YY FF Y"),
        (templates, json!({"owner": {"team": "ops"}}), "FFFFF FFF F YY FF F"),
        ("clusters", json!({"displayName": "d"}), "FYFYY FFF Y YY FF Y"),
        ("clusters", json!({"access": rules()}), "FYFYF FFF Y YY FF Y"),
        ("clusters", json!({"config": {"secretName": "s"}}), "FYFYF FFF Y YY FF Y"),
        ("clusters", json!({"owner": {"team": "ops"}}), "FFFFF FFF F YY FF F"),
        ("projects", json!({"displayName": "d"}), "FFFFY YFF F YY YF F"),
        ("projects", json!({"access": rules()}), "FFFFF YFF F YY YF F"),
        ("projects", json!({"members": member}), "FFFFF YFF F YY YF F"),
        ("projects", json!({"owner": {"user": "gina"}}), "FFFFF YFF F YY YF F"),
        ("projects", json!({"argoCD": {"enabled": true}}), "FFFFF YFF F YY YF F"),
        ("projects", json!({"vault": {"enabled": true}}), "FFFFF YFF F YY YF F"),
        (secrets, json!({"displayName": "d"}), "FYFYY YFF Y YY YF Y"),
        (secrets, json!({"access": rules()}), "FYFYF YFF Y YY YF Y"),
        (secrets, json!({"owner": {"team": "ops"}}), "FFFFF YFF F YY YF F"),
        ("teams", json!({"users": ["una", "gina"]}), "FFFFF FFF F YY FF F"),
        ("teams", json!({"access": rules()}), "FFFFF FFF F YY FF F"),
        ("users", json!({"groups": ["g"]}), "FFFFF FFF F YY FF F"),
        ("users", json!({"clusterRoles": [{"name": "loft-management-admin"}]}), "FFFFF FFF F YY FF F"),
        ("users", json!({"access": rules()}), "FFFFF FFF F YY FF F"),
        ("users", json!({"owner": {"user": "una"}}), "FFFFF FFF F YY FF F"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_that_grants_something_is_written_by_whom_the_table_says() {
    for stand in every_store_with(Some(&world::bootstrap())).await {
        world::fill(&stand).await;
        let root = stand.server.admin(Protocol::Http2);
        let mut wrong = Vec::new();
        for (plural, spec, want) in rows() {
            let mut got = String::new();
            for caller in &CALLERS[UNKNOWN..] {
                let here = if matches!(plural, "projectsecrets" | "virtualclusterinstances") { "namespaces/loft-p-blue/" } else { "" };
                let path = format!("{GROUP}/{here}{plural}/{}", world::object(caller, plural));
                let mut whole = root.get(&path).await.expect(200).json();
                for (field, value) in spec.as_object().expect("fields") {
                    whole["spec"][field] = value.clone();
                }
                got.push(letter(client(&stand, caller).put(&format!("{path}?dryRun=All"), &whole).await.status));
            }
            if got != want.replace(' ', "") {
                wrong.push(format!("{plural} {spec}: want {want} got {got}"));
            }
        }
        let names = CALLERS[UNKNOWN..].iter().map(|caller| caller.label).collect::<Vec<_>>().join(", ");
        assert!(wrong.is_empty(), "on {}; callers: {names}\n{}", stand.label, wrong.join("\n"));
    }
}
