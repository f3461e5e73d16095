//! Which crate may depend on which: arrows point only towards the contracts.

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Crate, and what of this workspace it may use. Whatever is not listed may not be used.
const ARROWS: &[(&str, &[&str])] = &[
    ("apiserver-cel", &["meta"]),
    ("meta", &[]),
    ("patch", &["meta"]),
    ("fieldmanager", &["meta"]),
    ("management", &["meta"]),
    ("store", &[]),
    ("store-encryption", &["store"]),
    ("store-etcd", &["store"]),
    ("registry", &["fieldmanager", "meta", "patch", "store"]),
    ("auth", &["meta"]),
    ("cluster", &["apiserver-cel", "auth", "meta", "patch", "registry"]),
    ("endpoints", &["auth", "meta", "registry"]),
    ("server", &["auth", "cluster", "endpoints", "management", "meta", "registry", "store"]),
    ("testkit", &[]),
    ("bench", &["testkit"]),
    ("apiserver", &["auth", "cluster", "endpoints", "management", "meta", "registry", "server", "store", "store-encryption", "store-etcd"]),
];

/// Crates that must compile without a runtime or a socket.
const PURE: &[&str] = &["apiserver-cel", "meta", "patch", "fieldmanager", "management"];
const RUNTIMES: &[&str] = &["axum", "etcd-client", "hyper", "kube", "redb", "rustls", "tokio", "tonic", "tower"];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

/// What a package uses to build and run; tests may use more.
fn uses(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().expect("dependencies");
    dependencies.iter().filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_arrow_is_drawn_in_the_design() {
    for package in packages() {
        let name = package["name"].as_str().expect("name").trim_start_matches("vci-").to_owned();
        let (_, allowed) = ARROWS.iter().find(|(crate_, _)| *crate_ == name).unwrap_or_else(|| panic!("crate {name} has no row in ARROWS"));
        for used in uses(&package) {
            let own = used.strip_prefix("vci-").or_else(|| used.starts_with("apiserver-").then_some(&*used));
            assert!(own.is_none_or(|own| allowed.contains(&own)), "crate {name} may not use {used}");
        }
    }
}

#[test]
fn pure_crates_have_no_runtime() {
    for package in packages() {
        let name = package["name"].as_str().expect("name").trim_start_matches("vci-").to_owned();
        if PURE.contains(&name.as_str()) {
            let forbidden: Vec<_> = uses(&package).into_iter().filter(|used| RUNTIMES.contains(&used.as_str())).collect();
            assert!(forbidden.is_empty(), "crate {name} uses {forbidden:?}");
        }
    }
}
