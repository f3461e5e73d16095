//! How the parts may depend on each other: arrows between crates, circles within the library's crates, and words that the library
//! does not say.

mod circles;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crate, and what of this workspace it may use. Whatever is not listed may not be used.
const ARROWS: &[(&str, &[&str])] = &[
    ("apiserver-meta", &[]),
    ("apiserver-patch", &["apiserver-meta"]),
    ("apiserver-fieldmanager", &["apiserver-meta"]),
    ("apiserver-cel", &["apiserver-meta"]),
    ("apiserver-store", &[]),
    ("apiserver-store-encryption", &["apiserver-store"]),
    ("apiserver-store-etcd", &["apiserver-store"]),
    ("apiserver-registry", &["apiserver-fieldmanager", "apiserver-meta", "apiserver-patch", "apiserver-store"]),
    ("apiserver-auth", &["apiserver-meta"]),
    ("apiserver-host", &["apiserver-auth", "apiserver-cel", "apiserver-meta", "apiserver-patch", "apiserver-registry"]),
    ("apiserver-endpoints", &["apiserver-auth", "apiserver-meta", "apiserver-registry"]),
    (
        "apiserver-server",
        &["apiserver-auth", "apiserver-endpoints", "apiserver-host", "apiserver-meta", "apiserver-registry", "apiserver-store"],
    ),
    (
        "apiserver",
        &[
            "apiserver-auth",
            "apiserver-endpoints",
            "apiserver-host",
            "apiserver-meta",
            "apiserver-registry",
            "apiserver-server",
            "apiserver-store",
            "apiserver-store-encryption",
            "apiserver-store-etcd",
        ],
    ),
    // Somebody else's API: the one crate that it depends on is enough.
    ("widget", &["apiserver"]),
    ("vci-management", &["apiserver-meta"]),
    (
        "vci-tenancy",
        &[
            "apiserver-auth",
            "apiserver-endpoints",
            "apiserver-meta",
            "apiserver-registry",
            "apiserver-server",
            "apiserver-store",
            "vci-management",
        ],
    ),
    ("vci-virtualcluster", &[]),
    (
        "vci-gateway",
        &[
            "apiserver-auth",
            "apiserver-endpoints",
            "apiserver-host",
            "apiserver-meta",
            "apiserver-registry",
            "apiserver-server",
            "vci-management",
            "vci-virtualcluster",
        ],
    ),
    ("vci-controller", &["apiserver-meta", "vci-management", "vci-virtualcluster"]),
    ("vci-testkit", &[]),
    ("vci-bench", &["vci-testkit"]),
    (
        "vci-apiserver",
        &[
            "apiserver-host",
            "apiserver-meta",
            "apiserver-server",
            "apiserver-store",
            "apiserver-store-encryption",
            "apiserver-store-etcd",
            "vci-controller",
            "vci-gateway",
            "vci-management",
            "vci-tenancy",
            "vci-virtualcluster",
        ],
    ),
];

/// Crates that must compile without a runtime or a socket.
const PURE: &[&str] = &["apiserver-cel", "apiserver-fieldmanager", "apiserver-meta", "apiserver-patch", "vci-management"];
const RUNTIMES: &[&str] = &["axum", "etcd-client", "hyper", "kube", "redb", "rustls", "tokio", "tonic", "tower"];

/// Words of the product, which the library knows nothing of.
const PRODUCT: &[&str] = &["loft", "project", "tenant", "virtualcluster", "management"];
/// Where a word of the product is another one.
const OTHERWISE: &[&str] = &["maintenance"];

/// How many files of a library crate may use each other in a circle.
const LARGEST_CIRCLE: usize = 3;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
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

fn name(package: &Value) -> &str {
    package["name"].as_str().expect("a name")
}

#[test]
fn every_arrow_is_drawn_in_the_design() {
    let packages = packages();
    let own: BTreeSet<&str> = packages.iter().map(name).collect();
    for package in &packages {
        let name = name(package);
        let (_, allowed) = ARROWS.iter().find(|(crate_, _)| *crate_ == name).unwrap_or_else(|| panic!("crate {name} has no row in ARROWS"));
        for used in uses(package).iter().filter(|used| own.contains(used.as_str())) {
            assert!(allowed.contains(&used.as_str()), "crate {name} may not use {used}");
        }
    }
}

#[test]
fn pure_crates_have_no_runtime() {
    for package in packages().iter().filter(|package| PURE.contains(&name(package))) {
        let forbidden: Vec<_> = uses(package).into_iter().filter(|used| RUNTIMES.contains(&used.as_str())).collect();
        assert!(forbidden.is_empty(), "crate {} uses {forbidden:?}", name(package));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn the_library_knows_nothing_of_the_product() {
    let mut said = Vec::new();
    for file in files(&root().join("crates/apiserver")) {
        // What is no text says nothing.
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for (number, line) in text.to_lowercase().lines().enumerate() {
            let line = OTHERWISE.iter().fold(line.to_owned(), |line, word| line.replace(word, ""));
            let words = PRODUCT.iter().filter(|word| line.contains(*word));
            said.extend(words.map(|word| format!("{}:{}: {word}", file.display(), number + 1)));
        }
    }
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn no_large_circle_of_files() {
    let mut large = Vec::new();
    for folder in std::fs::read_dir(root().join("crates/apiserver")).expect("the library").map(|entry| entry.expect("an entry").path()) {
        let source = folder.join("src");
        if source.is_dir() {
            let circles = circles::circles(&source).into_iter().filter(|circle| circle.len() > LARGEST_CIRCLE);
            large.extend(circles.map(|circle| format!("{}, {} files: {}", folder.display(), circle.len(), circle.join(", "))));
        }
    }
    assert!(large.is_empty(), "{}", large.join("\n"));
}
