//! create, apply, diff, edit, patch, label, annotate, replace, wait.

use super::{Kubectl, TYPE, manifest, versions};
use crate::common::embedded;

#[tokio::test(flavor = "multi_thread")]
async fn create_apply_and_diff() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        let first = kubectl.file("first.yaml", &manifest("x", 1));
        let second = kubectl.file("second.yaml", &manifest("x", 2));
        let number = || kubectl.ns(&["get", TYPE, "x", "-o", "jsonpath={.metadata.labels.number}"]);

        let dry = kubectl.ns(&["create", "-f", &first, "--dry-run=server", "-o", "jsonpath={.metadata.uid}"]);
        assert_eq!(dry.len(), 36, "a dry run shows what would be: {dry}");
        assert!(kubectl.ns_fails(&["get", TYPE, "x"]).contains("not found"));
        assert!(kubectl.ns(&["create", "-f", &first, "--dry-run=client"]).contains("created (dry run)"));
        let strict = if kubectl.since(25) { "--validate=strict" } else { "--validate=true" };
        assert!(kubectl.ns(&["create", "-f", &first, strict]).contains("created"));
        assert!(kubectl.ns_fails(&["create", "-f", &first]).contains("AlreadyExists"));
        kubectl.ns(&["delete", "-f", &first]);

        assert!(kubectl.ns(&["apply", "-f", &first]).contains("created"));
        assert!(kubectl.ns(&["apply", "-f", &first]).contains("unchanged"));
        assert!(kubectl.ns(&["apply", "-f", &second, "--dry-run=server"]).contains("configured (server dry run)"));
        let (same, difference, stderr) = kubectl.output(&["-n", "loft-p-my-project", "diff", "-f", &second], &[]);
        assert!(!same && difference.contains("-    number: \"1\"") && difference.contains("+    number: \"2\""), "{difference}{stderr}");
        assert_eq!(number(), "1");
        assert!(kubectl.ns(&["apply", "-f", &second]).contains("configured"));
        assert_eq!(kubectl.ns(&["diff", "-f", &second]), "");
        assert!(kubectl.ns(&["apply", "view-last-applied", TYPE, "x"]).contains("number: \"2\""));

        let applied = ["apply", "--server-side", "-f"];
        assert!(kubectl.ns(&[&applied[..], &[second.as_str()]].concat()).contains("serverside-applied"));
        let foreign = kubectl.ns_fails(&[&applied[..], &[first.as_str(), "--field-manager", "other"]].concat());
        // What older versions applied on their side stays a manager of its own, so these are told of two.
        assert!(foreign.contains("with \"kubectl\"") && foreign.contains(".metadata.labels.number"), "{foreign}");
        kubectl.ns(&[&applied[..], &[first.as_str(), "--field-manager", "other", "--force-conflicts"]].concat());
        assert_eq!(number(), "1");
        let bare = kubectl.file("bare.yaml", &manifest("x", 1).replace(", labels: {number: \"1\"}", ""));
        kubectl.ns(&[&applied[..], &[bare.as_str(), "--field-manager", "other"]].concat());
        assert_eq!(number(), "", "what is applied no longer goes");
        kubectl.ns(&["delete", TYPE, "x"]);
    }
}

/// kubectl makes its patch by what OpenAPI says, and the server merges by the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_apply_changes_what_it_says_and_nothing_beside_it() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        let apply = |name: &str, text: &str| kubectl.run(&["apply", "-f", &kubectl.file(name, text)]);
        let project = |argo: &str, finalizers: &str| {
            format!(
                "apiVersion: management.loft.sh/v1\nkind: Project\nmetadata: {{name: kept{finalizers}}}\nspec: {{argoCD: {{{argo}}}}}\n"
            )
        };
        let at = |path: &str| kubectl.run(&["get", "projects.management.loft.sh", "kept", "-o", &format!("jsonpath={{{path}}}")]);
        apply(
            "first.yaml",
            &project("cluster: a, enabled: true, sso: {host: h, enabled: true}", ", finalizers: [example.com/a, example.com/b]"),
        );
        apply("second.yaml", &project("cluster: b, enabled: true, sso: {host: h, enabled: true}", ", finalizers: [example.com/a]"));
        assert_eq!(at(".spec.argoCD.cluster"), "b");
        assert_eq!((at(".spec.argoCD.enabled"), at(".spec.argoCD.sso.host")), ("true".into(), "h".into()), "the other keys stay");
        assert_eq!(at(".metadata.finalizers[*]"), "example.com/a", "a finalizer that is dropped goes");
        apply("third.yaml", &project("cluster: b, sso: {host: h}", ""));
        assert_eq!(
            (at(".spec.argoCD.enabled"), at(".spec.argoCD.sso.enabled")),
            (String::new(), String::new()),
            "keys that are dropped go"
        );
        assert_eq!((at(".spec.argoCD.sso.host"), at(".metadata.finalizers")), ("h".into(), String::new()));
        assert!(apply("third.yaml", &project("cluster: b, sso: {host: h}", "")).contains("unchanged"));
        kubectl.run(&["delete", "projects.management.loft.sh", "kept"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_and_patch() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        kubectl.fill(&["e"]);
        let at = |path: &str| kubectl.ns(&["get", TYPE, "e", "-o", &format!("jsonpath={{{path}}}")]);

        assert!(kubectl.ns_edit("sed -i s/shown-e/edited/ \"$1\"\n", &["edit", TYPE, "e"]).contains("edited"));
        assert_eq!(at(".spec.displayName"), "edited");
        assert!(kubectl.ns_edit("true\n", &["edit", TYPE, "e"]).is_empty(), "nothing changed, nothing is written");
        if kubectl.since(24) {
            let phase = "sed -i 's/^status: {}/status: {phase: Ready}/' \"$1\"\n";
            assert!(kubectl.ns_edit(phase, &["edit", TYPE, "e", "--subresource=status"]).contains("edited"));
            assert_eq!((at(".status.phase"), at(".metadata.generation")), ("Ready".into(), "2".into()));
        }

        for (kind, patch, path, want) in [
            ("merge", r#"{"spec":{"description":"merged"}}"#, ".spec.description", "merged"),
            ("strategic", r#"{"spec":{"description":"strategic"}}"#, ".spec.description", "strategic"),
            ("json", r#"[{"op":"replace","path":"/spec/description","value":"json"}]"#, ".spec.description", "json"),
            ("json", r#"[{"op":"remove","path":"/spec/description"}]"#, ".spec.description", ""),
            ("merge", r#"{"spec":{"displayName":null}}"#, ".spec.displayName", ""),
        ] {
            assert!(kubectl.ns(&["patch", TYPE, "e", "--type", kind, "-p", patch]).contains("patched"));
            assert_eq!(at(path), want, "{kind} {patch}");
        }
        assert!(kubectl.ns(&["patch", TYPE, "e", "--type", "merge", "-p", "{}"]).contains("patched (no change)"));
        if kubectl.since(24) {
            kubectl.ns(&["patch", TYPE, "e", "--type", "merge", "--subresource", "status", "-p", r#"{"status":{"phase":"Failed"}}"#]);
            assert_eq!(at(".status.phase"), "Failed");
        }
        kubectl.ns(&["patch", "-f", &kubectl.file("e.yaml", &manifest("e", 0)), "--type", "merge", "-p", r#"{"spec":{"external":true}}"#]);
        assert_eq!(at(".spec.external"), "true");

        assert!(kubectl.ns(&["label", TYPE, "e", "tier=gold"]).contains("labeled"));
        assert!(kubectl.ns_fails(&["label", TYPE, "e", "tier=lead"]).contains("--overwrite is false"));
        kubectl.ns(&["label", TYPE, "e", "tier=lead", "--overwrite"]);
        assert_eq!(at(".metadata.labels.tier"), "lead");
        kubectl.ns(&["label", TYPE, "--all", "tier-"]);
        assert_eq!(at(".metadata.labels.tier"), "");
        assert!(kubectl.ns(&["annotate", TYPE, "e", "note=a"]).contains("annotate"));
        assert!(kubectl.ns_fails(&["annotate", TYPE, "e", "note=b"]).contains("--overwrite is false"));
        kubectl.ns(&["annotate", TYPE, "e", "note=b", "--overwrite"]);
        kubectl.ns(&["annotate", TYPE, "e", "note-"]);
        assert_eq!(at(".metadata.annotations"), "");
        assert!(kubectl.ns_fails(&["label", TYPE, "e", "a=b", "--resource-version", "1"]).contains("the object has been modified"));
        kubectl.ns(&["delete", TYPE, "e"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replace_and_wait() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        kubectl.fill(&["r"]);
        let uid = || kubectl.ns(&["get", TYPE, "r", "-o", "jsonpath={.metadata.uid}"]);
        let exported = kubectl.file("exported.yaml", &kubectl.ns(&["get", TYPE, "r", "-o", "yaml"]));
        assert!(kubectl.ns(&["replace", "-f", &exported]).contains("replaced"));
        kubectl.ns(&["label", TYPE, "r", "newer=yes"]);
        assert!(kubectl.ns_fails(&["replace", "-f", &exported]).contains("the object has been modified"));
        let before = uid();
        let forced = kubectl.ns(&["replace", "--force", "-f", &kubectl.file("r.yaml", &manifest("r", 1))]);
        assert!(forced.contains("deleted") && forced.contains("replaced"), "{forced}");
        assert_ne!(uid(), before, "it is another object");

        let status = r#"{"status":{"phase":"Ready","conditions":[{"type":"Ready","status":"True"}]}}"#;
        if kubectl.since(24) {
            kubectl.ns(&["patch", TYPE, "r", "--type", "merge", "--subresource", "status", "-p", status]);
            kubectl.ns(&["wait", TYPE, "r", "--for", "jsonpath={.status.phase}=Ready", "--timeout", "10s"]);
            kubectl.ns(&["wait", TYPE, "r", "--for", "condition=Ready", "--timeout", "10s"]);
        }
        assert!(kubectl.ns_fails(&["wait", TYPE, "r", "--for", "condition=Other", "--timeout", "100ms"]).contains("timed out"));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| kubectl.ns(&["wait", TYPE, "r", "--for", "delete", "--timeout", "20s"]));
            std::thread::sleep(std::time::Duration::from_millis(300));
            kubectl.ns(&["delete", TYPE, "r"]);
            waiting.join().expect("the wait ends well");
        });
    }
}
