//! The OpenAPI documents in `openapi/` are what the server serves for the management API. After a change of the API,
//! `UPDATE_OPENAPI=1 cargo test -p vci-endpoints --test openapi` writes them anew; the difference is part of the review.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use vci_endpoints::openapi::documents;
use vci_meta::{Descriptor, Schema};

#[test]
fn kept_documents_are_those_served() {
    let kinds = vci_management::resources();
    let kinds: Vec<(&'static Descriptor, &Schema)> = kinds.iter().map(|kind| (kind.descriptor(), kind.schema())).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi");
    for (path, document) in documents(&kinds).into_iter().filter(|(path, _)| path != "/openapi/v3") {
        let file = folder.join(file_name(&path));
        let served = serde_json::to_string_pretty(&document).unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &served).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == served, "{} is out of date: run with UPDATE_OPENAPI=1", file.display());
    }
}

/// `v2.json`, `v3/apis.management.loft.sh.v1.json`.
fn file_name(path: &str) -> PathBuf {
    let below = path.trim_start_matches("/openapi/");
    let name = below.strip_prefix("v3/").map_or_else(|| below.to_owned(), |document| format!("v3/{}", document.replace('/', ".")));
    PathBuf::from(name + ".json")
}
