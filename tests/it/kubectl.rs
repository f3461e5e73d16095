//! kubectl as people use it, in several versions: the page's commands and the everyday ones.

use crate::common::embedded;
use crate::page::OBJECT;
use std::path::{Path, PathBuf};
use std::process::Command;
use vci_testkit::program::cached;
use vci_testkit::server::TestServer;

mod auth;
mod deletes;
mod reads;
mod refusals;
mod writes;

const TYPE: &str = "virtualclusterinstances.management.loft.sh";

/// The versions at hand.
fn versions() -> Vec<PathBuf> {
    ["1.20", "1.30", "1.36", "1.37"].into_iter().filter_map(|version| cached(&format!("bin/kubectl-{version}"))).collect()
}

pub(crate) struct Kubectl<'a> {
    binary: &'a Path,
    kubeconfig: PathBuf,
    home: tempfile::TempDir,
}

impl<'a> Kubectl<'a> {
    fn new(binary: &'a Path, server: &TestServer) -> Self {
        Self::with(binary, server.kubeconfig_path())
    }

    pub(crate) fn with(binary: &'a Path, kubeconfig: PathBuf) -> Self {
        Self { binary, kubeconfig, home: tempfile::tempdir().expect("a home") }
    }

    /// Whether this is kubectl 1.MINOR or newer.
    fn since(&self, minor: u32) -> bool {
        let name = self.binary.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix("kubectl-1.").and_then(|own| own.parse::<u32>().ok()).expect("a binary named after its version") >= minor
    }

    pub(crate) fn output(&self, arguments: &[&str], envs: &[(&str, &str)]) -> (bool, String, String) {
        let output = Command::new(self.binary)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.home.path())
            .envs(envs.iter().copied())
            .current_dir(self.home.path())
            .output()
            .expect("kubectl runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// Runs and must succeed; returns standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let (good, stdout, stderr) = self.output(arguments, &[]);
        assert!(good, "{} {arguments:?}: {stdout}{stderr}", self.binary.display());
        stdout
    }

    /// Runs and must fail; returns standard error.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let (good, stdout, stderr) = self.output(arguments, &[]);
        assert!(!good, "{} {arguments:?} succeeded: {stdout}", self.binary.display());
        stderr
    }

    /// In the project's namespace; must succeed.
    fn ns(&self, arguments: &[&str]) -> String {
        self.run(&[&["-n", "loft-p-my-project"], arguments].concat())
    }

    /// In the project's namespace; must fail.
    fn ns_fails(&self, arguments: &[&str]) -> String {
        self.fails(&[&["-n", "loft-p-my-project"], arguments].concat())
    }

    /// In the project's namespace, with this command in place of an editor; must succeed.
    fn ns_edit(&self, script: &str, arguments: &[&str]) -> String {
        let editor = format!("sh {}", self.file("editor.sh", script));
        let (good, stdout, stderr) = self.output(&[&["-n", "loft-p-my-project"], arguments].concat(), &[("KUBE_EDITOR", &editor)]);
        assert!(good, "{} {arguments:?}: {stdout}{stderr}", self.binary.display());
        stdout
    }

    /// Creates instances with a label `number` each.
    fn fill(&self, names: &[&str]) {
        let objects: Vec<String> = names.iter().enumerate().map(|(number, name)| manifest(name, number)).collect();
        self.ns(&["create", "-f", &self.file("fill.yaml", &objects.join("---\n"))]);
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

pub(crate) fn manifest(name: &str, number: usize) -> String {
    format!(
        "apiVersion: management.loft.sh/v1\nkind: VirtualClusterInstance\n\
         metadata: {{name: {name}, labels: {{number: \"{number}\"}}}}\nspec: {{displayName: shown-{name}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_commands() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        let ns = ["-n", "loft-p-my-project"];
        let object = kubectl.file("object.yaml", OBJECT);
        let run = |arguments: &[&str]| kubectl.run(&[arguments, &ns[..]].concat());

        run(&["get", TYPE, "-o", "yaml"]);
        assert!(run(&["create", "-f", &object]).contains("created"));
        let yaml = run(&["get", TYPE, "my-virtual-cluster", "-o", "yaml"]);
        assert!(yaml.contains("clusterRef: {}") && yaml.contains("status: {}"), "{yaml}");
        let editor = kubectl.file("editor.sh", "#!/bin/sh\nsed -i s/my-display-name/edited/ \"$1\"\n");
        let script = format!("sh {editor}");
        let (good, stdout, stderr) =
            kubectl.output(&[&["edit", TYPE, "my-virtual-cluster"], &ns[..]].concat(), &[("KUBE_EDITOR", &script)]);
        assert!(good && stdout.contains("edited"), "{stdout}{stderr}");
        let patch = r#"[{"op": "add", "path": "/metadata/annotations/my-annotation", "value": "my-value"}]"#;
        run(&["patch", TYPE, "my-virtual-cluster", "--type", "json", "-p", patch]);
        let shown = run(&["get", TYPE, "my-virtual-cluster", "-o", "jsonpath={.spec.displayName} {.metadata.annotations.my-annotation}"]);
        assert_eq!(shown, "edited my-value");
        assert!(run(&["delete", TYPE, "my-virtual-cluster"]).contains("deleted"));
        let missing = kubectl.fails(&[&["get", TYPE, "my-virtual-cluster"], &ns[..]].concat());
        assert!(missing.contains("\"my-virtual-cluster\" not found"), "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyday_commands() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        let ns = ["-n", "loft-p-my-project"];
        // kubectl takes the page's `creationTimestamp: null` for a wish to delete and finds something to do each time.
        let object = OBJECT.replace("  creationTimestamp: null\n", "");
        let object = kubectl.file("object.yaml", &object);
        let run = |arguments: &[&str]| kubectl.run(&[arguments, &ns[..]].concat());
        let one = "virtualclusterinstance/my-virtual-cluster";

        assert!(kubectl.run(&["version"]).contains("Server Version"));
        assert!(kubectl.run(&["api-resources"]).contains("VirtualClusterInstance"));
        assert!(kubectl.run(&["get", "namespaces"]).contains("loft-p-my-project"));
        assert!(kubectl.run(&["get", "projects"]).contains("my-project"));
        let explained = kubectl.run(&["explain", "virtualclusterinstances.spec.templateRef"]);
        assert!(explained.contains("syncOnce") && explained.contains("<string>"), "{explained}");
        kubectl.run(&["explain", "virtualclusterinstances", "--recursive"]);

        assert!(run(&["apply", "-f", &object]).contains("created"));
        assert!(run(&["apply", "-f", &object]).contains("unchanged"));
        let changed = kubectl.file("changed.yaml", &OBJECT.replace("my-display-name", "applied"));
        let (same, difference, stderr) = kubectl.output(&[&["diff", "-f", &changed], &ns[..]].concat(), &[]);
        assert!(!same && difference.contains("+  displayName: applied"), "{difference}{stderr}");
        assert!(run(&["apply", "-f", &changed]).contains("configured"));
        run(&["apply", "--server-side", "--force-conflicts", "-f", &object]);
        let table = run(&["get", "virtualclusterinstances"]);
        assert!(table.starts_with("NAME") && table.contains("my-display-name") && table.contains("my-virtual-cluster-template"), "{table}");
        assert!(
            run(&["get", "virtualclusterinstances", "-o", "wide"]).lines().next().unwrap_or("").len()
                > table.lines().next().unwrap_or("").len()
        );
        run(&["label", one, "tier=gold"]);
        assert!(run(&["get", "virtualclusterinstances", "-l", "tier=gold", "-o", "name"]).contains("my-virtual-cluster"));
        run(&["annotate", one, "note=x"]);
        run(&["patch", one, "--type", "merge", "-p", r#"{"spec":{"description":"m"}}"#]);
        run(&["patch", one, "--type", "strategic", "-p", r#"{"spec":{"description":"s"}}"#]);
        if kubectl.since(24) {
            run(&["patch", one, "--subresource", "status", "--type", "merge", "-p", r#"{"status":{"phase":"Ready"}}"#]);
            run(&["wait", one, "--for", "jsonpath={.status.phase}=Ready", "--timeout", "10s"]);
        }
        assert!(run(&["describe", one]).contains("my-virtual-cluster-template"));
        let exported = kubectl.file("exported.yaml", &run(&["get", one, "-o", "yaml"]));
        run(&["replace", "-f", &exported]);
        let unknown = kubectl.file("unknown.yaml", &OBJECT.replace("displayName:", "dsplayName:"));
        let refused = kubectl.fails(&[&["apply", "-f", &unknown], &ns[..]].concat());
        assert!(refused.contains("dsplayName"), "{refused}");
        run(&["delete", one, "--cascade=foreground"]);
        assert!(kubectl.run(&["get", "virtualclusterinstances", "-A", "-o", "name"]).is_empty());
    }
}
