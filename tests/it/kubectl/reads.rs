//! get in all its outputs, explain, describe, discovery.

use super::{Kubectl, TYPE, versions};
use crate::common::embedded;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn get_in_every_output() {
    for binary in versions() {
        let server = embedded().await;
        let kubectl = Kubectl::new(&binary, &server);
        assert_eq!(kubectl.ns(&["get", TYPE]), "");
        kubectl.fill(&["c", "a", "b"]);
        let get = |arguments: &[&str]| kubectl.ns(&[&["get", "virtualclusterinstances"], arguments].concat());
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();

        let list: Value = serde_json::from_str(&get(&["-o", "json"])).expect("JSON");
        assert_eq!(list["items"].as_array().map(Vec::len), Some(3));
        let one: Value = serde_json::from_str(&get(&["a", "-o", "json"])).expect("JSON");
        assert_eq!(one["kind"], "VirtualClusterInstance");
        if kubectl.since(21) {
            assert_eq!(one["metadata"]["managedFields"], Value::Null);
            assert!(get(&["a", "-o", "yaml", "--show-managed-fields"]).contains("fieldsType: FieldsV1"));
        }
        assert_eq!(lines(get(&["-o", "name"]))[0], "virtualclusterinstance.management.loft.sh/a");
        assert_eq!(get(&["-o", "jsonpath={.items[*].spec.displayName}"]), "shown-a shown-b shown-c");
        assert_eq!(get(&["a", "-o", "go-template={{.metadata.name}}"]), "a");
        let custom = get(&["-o", "custom-columns=N:.metadata.name,D:.spec.displayName"]);
        assert_eq!(lines(custom)[1].split_whitespace().collect::<Vec<_>>(), ["a", "shown-a"]);

        let table = lines(get(&[]));
        assert!(table[0].starts_with("NAME") && table[0].contains("DISPLAY NAME") && !table[0].contains("VIRTUAL CLUSTER"), "{table:?}");
        assert_eq!(table.iter().skip(1).map(|line| &line[..1]).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(lines(get(&["-o", "wide"]))[0].contains("VIRTUAL CLUSTER"));
        assert!(lines(get(&["--show-labels"]))[1].ends_with("number=1"));
        let labels = lines(get(&["-L", "number"]));
        assert!(labels[0].ends_with("NUMBER") && labels[1].ends_with('1'), "{labels:?}");
        assert!(kubectl.run(&["get", TYPE, "-A"]).starts_with("NAMESPACE"));
        assert!(lines(get(&["--no-headers"]))[0].starts_with('a'));
        let sorted = get(&["--sort-by", "{.metadata.labels.number}", "-o", "name"]);
        assert_eq!(sorted.lines().map(|line| &line[line.len() - 1..]).collect::<Vec<_>>(), ["c", "a", "b"]);
        let chunked = ["--chunk-size", "2", "-v", "6"];
        let (good, stdout, stderr) = kubectl.output(&[&["-n", "loft-p-my-project", "get", TYPE], &chunked[..]].concat(), &[]);
        assert!(good && stdout.lines().count() == 4 && stderr.contains("continue="), "{stdout}{stderr}");

        assert_eq!(lines(get(&["-l", "number in (0,2)", "-o", "name"])).len(), 2);
        assert_eq!(lines(get(&["--field-selector", "metadata.name=b", "-o", "name"])).len(), 1);
        if kubectl.since(24) {
            assert_eq!(get(&["a", "--subresource", "status", "-o", "jsonpath={.metadata.name}"]), "a");
        }
        let raw = kubectl.run(&["get", "--raw", "/apis/management.loft.sh/v1/namespaces/loft-p-my-project/virtualclusterinstances/a"]);
        assert_eq!(serde_json::from_str::<Value>(&raw).expect("JSON")["metadata"]["name"], "a");
        assert_eq!(get(&["a", "missing", "--ignore-not-found", "-o", "name"]).lines().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn get_watches() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        kubectl.fill(&["w"]);
        // The time of a request ends the watch; whether that is told as an error differs by version.
        let change = || kubectl.ns(&["label", TYPE, "w", "seen=yes"]);
        let watching = ["-n", "loft-p-my-project", "get", TYPE, "-w", "--output-watch-events", "--request-timeout", "2s"];
        let (_, stdout, stderr) = std::thread::scope(|scope| {
            let watch = scope.spawn(|| kubectl.output(&watching, &[]));
            std::thread::sleep(std::time::Duration::from_millis(700));
            change();
            watch.join().expect("no panic")
        });
        let events: Vec<_> = stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(events, ["EVENT", "ADDED", "MODIFIED"], "{stdout}{stderr}");
        kubectl.ns(&["delete", TYPE, "w"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_describe_and_discovery() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        let whole = kubectl.run(&["explain", "virtualclusterinstances", "--recursive"]);
        for field in ["templateRef", "syncOnce", "extraAccessRules", "managedFields", "conditions", "kubernetesVersion"] {
            assert!(whole.contains(field), "{field} is not explained:\n{whole}");
        }
        for (path, described) in [
            ("virtualclusterinstances", "belongs to a project"),
            ("virtualclusterinstances.spec", "displayName"),
            ("virtualclusterinstances.spec.templateRef.version", "three numbers separated by dots"),
            ("virtualclusterinstances.metadata.finalizers", "<[]string>"),
            ("virtualclusterinstances.status.conditions", "lastTransitionTime"),
            ("projects.spec.members.clusterRole", "loft-management-project-admin"),
        ] {
            let explained = kubectl.run(&["explain", path]);
            // The text is wrapped at the width of a terminal.
            assert!(explained.split_whitespace().collect::<Vec<_>>().join(" ").contains(described), "{path}: {explained}");
        }
        if kubectl.since(27) {
            assert!(kubectl.run(&["explain", "virtualclusterinstances.spec", "--output", "plaintext-openapiv2"]).contains("clusterRef"));
        }
        assert!(kubectl.run(&["explain", "virtualclusterinstances", "--api-version", "management.loft.sh/v1"]).contains("VERSION"));
        assert!(kubectl.fails(&["explain", "virtualclusterinstances.spec.nothing"]).contains("does not exist"));

        kubectl.fill(&["described"]);
        let described = kubectl.ns(&["describe", TYPE, "described"]);
        assert!(described.contains("Display Name:") && described.contains("shown-described"), "{described}");
        let resources = kubectl.run(&["api-resources", "--api-group", "management.loft.sh", "-o", "wide"]);
        for plural in ["ownedaccesskeys", "projects", "teams", "users", "virtualclusterinstances"] {
            assert!(resources.lines().any(|line| line.starts_with(plural) && line.contains("management.loft.sh/v1")), "{resources}");
        }
        assert!(resources.contains("deletecollection"));
        assert!(kubectl.run(&["api-resources", "--namespaced=true", "-o", "name"]).lines().any(|line| line == TYPE));
        assert!(kubectl.run(&["api-versions"]).lines().any(|line| line == "management.loft.sh/v1"));
        assert!(kubectl.run(&["get", "ns"]).contains("loft-p-my-project"));
        assert!(kubectl.run(&["get", "ns", "loft-p-my-project", "-o", "yaml"]).contains("kind: Namespace"));
        assert!(kubectl.run(&["version"]).contains("Server Version"));
        kubectl.ns(&["delete", TYPE, "described"]);
    }
}
