//! `deploy/`: every overlay can be applied, and says only what the programs understand.

use super::stand::{self, DEPLOY};
use crate::common::BINARY;
use crate::kubectl::Kubectl;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use vci_testkit::program::cached;

/// Kinds of other people that overlays use: group, plural and kind.
const FOREIGN: [(&str, &str, &str); 3] = [
    ("cert-manager.io", "certificates", "Certificate"),
    ("cert-manager.io", "issuers", "Issuer"),
    ("monitoring.coreos.com", "servicemonitors", "ServiceMonitor"),
];

/// Every overlay, and one of them with what is added by choice.
fn overlays(folder: &std::path::Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(format!("{DEPLOY}/overlays")).expect("overlays").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<PathBuf> = all.collect();
    let deploy = stand::relative(folder, DEPLOY);
    let text = format!(
        "resources: [{deploy}/overlays/ha-cert-manager]\ncomponents: [{deploy}/components/monitoring, {deploy}/components/audit]\n"
    );
    let text =
        format!("{text}transformers: [{deploy}/namespace]\nimages: [{{name: vci-apiserver, newName: registry.test/vci, newTag: v9}}]\n");
    std::fs::write(folder.join("kustomization.yaml"), text).expect("a file");
    all.push(folder.to_owned());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_overlay_is_applied() {
    let Some(stand) = stand::shared().await else { return };
    let admin = stand.admin();
    for (group, plural, kind) in FOREIGN {
        admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition(group, plural, kind)).await.expect(201);
    }
    let system = json!({"metadata": {"name": "vci-dry", "labels": {"pod-security.kubernetes.io/warn": "restricted"}}});
    admin.post("/api/v1/namespaces", &system).await.expect(201);
    for (group, _, _) in FOREIGN {
        let found = format!("/apis/{group}/v1");
        vci_testkit::wait_for("the kinds to be served", async || admin.get(&found).await.status == 200).await;
    }
    let kubectl = Kubectl::with(&stand.kubectl, stand.cluster.kubeconfig("admin", &["system:masters"]));
    let folder = tempfile::tempdir().expect("a folder");
    for overlay in overlays(folder.path()) {
        let rendered = kubectl.run(&["kustomize", overlay.to_str().expect("UTF-8")]);
        let kinds = rendered.lines().filter(|line| line.starts_with("kind: ")).count();
        // The stand has the real names; and all of it has to be able to be elsewhere.
        let file = kubectl.file("rendered.yaml", &rendered.replace("vci-system", "vci-dry"));
        let arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager=it", "--dry-run=server", "-f", &file];
        let (good, stdout, stderr) = kubectl.output(&arguments, &[]);
        assert!(good, "{}: {stderr}", overlay.display());
        assert_eq!(stdout.lines().count(), kinds, "{}: {stdout}", overlay.display());
        // Such as that the restricted profile would not let a pod run.
        assert!(!stderr.contains("Warning"), "{}: {stderr}", overlay.display());
    }
}

#[test]
fn every_flag_is_known() {
    let Some(kubectl) = cached("bin/kubectl-1.36") else { return };
    let kubectl = Kubectl::with(&kubectl, PathBuf::new());
    let folder = tempfile::tempdir().expect("a folder");
    let (mut own, mut etcd) = (BTreeSet::new(), BTreeSet::new());
    for overlay in overlays(folder.path()) {
        let rendered = kubectl.run(&["kustomize", overlay.to_str().expect("UTF-8")]);
        for document in rendered.split("\n---\n") {
            let object: Value = vci_testkit::yaml(document);
            for container in containers(&object) {
                let words = |field: &str| container[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
                let words: Vec<String> = words("command").chain(words("args")).collect();
                let (first, flags) = words.split_first().expect("a command");
                let known = if first == "etcd" { &mut etcd } else { &mut own };
                let names: Vec<_> = flags.iter().map(|flag| flag.split('=').next().unwrap_or_default()).collect();
                let once: BTreeSet<_> = names.iter().collect();
                // Which of two counts is for the reader to find out.
                assert_eq!(once.len(), names.len(), "{}: {names:?} says something twice", overlay.display());
                known.extend(names.into_iter().map(|name| (first.clone(), name.to_owned())));
            }
        }
    }
    assert!(own.len() > 10 && etcd.len() > 10, "{own:?} {etcd:?}");
    let help = |program: &std::path::Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().expect("it runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let says =
        |help: &str, flag: &str| help.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')).any(|word| word == flag);
    for (subcommand, flag) in &own {
        assert!(says(&help(BINARY.as_ref(), &[subcommand, "--help"]), flag), "vci-apiserver {subcommand} does not know {flag}");
    }
    let Some(program) = cached("bin/etcd-3.6") else { return };
    let help = help(&program, &["--help"]);
    for (_, flag) in &etcd {
        assert!(says(&help, flag), "etcd does not know {flag}");
    }
}

/// The containers of the pods that an object makes.
fn containers(object: &Value) -> Vec<Value> {
    let pods = ["/spec/template/spec/containers", "/spec/jobTemplate/spec/template/spec/containers"];
    pods.iter().filter_map(|pointer| object.pointer(pointer)?.as_array().cloned()).flatten().collect()
}

/// A kind that takes everything.
fn definition(group: &str, plural: &str, kind: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
}
