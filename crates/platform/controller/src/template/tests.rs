#![allow(clippy::unwrap_used)]
use super::command::{RenderOptions, render_command};
use super::values::{InstanceFacts, values};
use serde_json::{Map, json};
use std::path::PathBuf;
use tempfile::TempDir;
use vci_testkit::program::cached;

#[test]
fn nobody_passes_facts_as_parameters() {
    let facts = InstanceFacts { name: "vc".into(), user: "ann".into(), ..InstanceFacts::default() };
    let given = Map::from_iter([("loft".to_owned(), json!({"user": {"name": "admin"}, "extra": 1})), ("a".to_owned(), json!(1))]);
    let made = values(given, &facts);
    assert_eq!((&made["a"], &made["loft"]["user"]["name"], made["loft"].get("extra")), (&json!(1), &json!("ann"), None));
    // Also of an instance that a team owns.
    assert_eq!(made["loft"]["team"]["name"], "");
}

const TEMPLATE: &str = r#"
apiVersion: management.loft.sh/v1
kind: VirtualClusterTemplate
metadata: {name: small}
spec:
  versions:
  - version: 1.0.0
    template: {objects: old}
  - version: 1.1.0
    parameters:
    - {variable: replicas, type: number, defaultValue: "2", max: 3}
    - {variable: domain, required: true, validation: '^[a-z.]+$'}
    template:
      helmRelease:
        values: |
          controlPlane: {statefulSet: {highAvailability: {replicas: {{ .Values.replicas }}}}}
          host: {{ .Values.loft.name }}.{{ .Values.domain }}
      surprise: 1
"#;

async fn render(folder: &TempDir, helm: PathBuf, version: &str, set: &[&str]) -> Result<(serde_json::Value, Vec<String>), String> {
    let template = folder.path().join("t.yaml");
    std::fs::write(&template, TEMPLATE).unwrap();
    let facts = InstanceFacts { name: "vc".into(), ..InstanceFacts::default() };
    let set = set.iter().map(|entry| (*entry).to_owned()).collect();
    let options = RenderOptions { template, version: version.into(), set, facts, helm, ..RenderOptions::default() };
    render_command(&options).await.map(|rendered| (vci_testkit::yaml(&rendered.yaml), rendered.warnings))
}

#[tokio::test]
async fn authors_see_what_an_instance_would_get() {
    let Some(helm) = cached("bin/helm") else { return };
    let folder = TempDir::new().unwrap();
    let (rendered, warnings) = render(&folder, helm.clone(), "", &["domain=example.com", "replicas=3", "typo=1"]).await.unwrap();
    let want = "controlPlane: {statefulSet: {highAvailability: {replicas: 3}}}\nhost: vc.example.com\n";
    assert_eq!(rendered["helmRelease"]["values"], want);
    assert!(warnings.len() == 2 && warnings[0].contains("surprise") && warnings[1].contains("typo"), "{warnings:?}");
    assert_eq!(render(&folder, helm.clone(), "1.0.x", &[]).await.unwrap().0["objects"], "old");

    for (version, set, part) in [
        ("", &[][..], "parameter domain is required"),
        ("", &["domain=EXAMPLE"], "must match"),
        ("", &["domain=a", "replicas=4"], "at most 3"),
        ("", &["domain"], "must be NAME=VALUE"),
        ("", &["a=1", "a.b=2"], "\"a.b\" cannot be set"),
        ("2.x.x", &[], "no version"),
    ] {
        let error = render(&folder, helm.clone(), version, set).await.unwrap_err();
        assert!(error.contains(part) && !error.contains('\n'), "{set:?}: {error}");
    }
    let error = render(&folder, "/nowhere/helm".into(), "1.0.0", &[]).await.unwrap_err();
    assert!(error.contains("/nowhere/helm"), "{error}");
}
