//! The vcluster command line of one person, as it is.

use crate::stand::Stand;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use vci_testkit::program::cached;

/// Somebody with an access key, logged in, with a home of their own.
pub(super) struct Person {
    binary: PathBuf,
    home: TempDir,
}

impl Person {
    /// Logs in to the server by the address of its Service, as nobody has a name for it here.
    pub(super) fn log_in(stand: &Stand<'_>, key: &str) -> Self {
        let binary = cached("bin/vcluster").expect("tests/run builds it before it builds nodes");
        let home = tempfile::tempdir().expect("a home");
        let config = json!({"telemetryDisabled": true, "driver": {"type": "platform"}});
        std::fs::write(home.path().join("config.json"), config.to_string()).expect("written");
        let person = Self { binary, home };
        let address = stand.kubectl_there(&["get", "service", "vci-apiserver", "--output", "jsonpath={.spec.clusterIP}"]);
        person.run(&["platform", "login", &format!("https://{address}"), "--access-key", key, "--insecure"]);
        person
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let home = self.home.path();
        let kubectl = cached("bin/kubectl-1.36").expect("the cluster has it");
        let programs = home.join("bin");
        // `connect -- kubectl` finds it by that name.
        if !programs.exists() {
            std::fs::create_dir(&programs).expect("a folder");
            std::os::unix::fs::symlink(kubectl, programs.join("kubectl")).expect("a link");
        }
        let mut command = Command::new(&self.binary);
        // The command line reads its own flags before `--`.
        let split = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
        command.args(&arguments[..split]).arg("--config").arg(home.join("config.json")).args(&arguments[split..]);
        command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("HOME", home);
        command.env("KUBECONFIG", home.join("kubeconfig")).env("VCLUSTER_SKIP_VERSION_CHECK", "true").env("LOFT_TIMEOUT", "4m");
        command.current_dir(home).stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("vcluster runs")
    }

    /// Runs and must succeed; returns standard output.
    pub(super) fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "vcluster {arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command of kubectl in a virtual cluster of project blue; returns whether it succeeded, and all it said.
    pub(super) fn kubectl(&self, name: &str, arguments: &[&str]) -> (bool, String) {
        let output = self.output(&[&["connect", name, "--project", "blue", "--silent", "--", "kubectl"], arguments].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    }

    /// Where its files are.
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }
}
