//! The OpenAPI documents in `openapi/` are what the server serves for the management API. After a change of the API,
//! `UPDATE_OPENAPI=1 cargo test -p vci-tenancy --test openapi` writes them anew; the difference is part of the review.
#![allow(clippy::unwrap_used)]

use apiserver_auth::Unmapped;
use apiserver_endpoints::openapi::documents;
use apiserver_endpoints::reviews::{Subject, access_review};
use apiserver_meta::{Descriptor, Schema, VirtualDescriptor};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vci_management::computed::*;
use vci_management::virtualclusterinstance::kubeconfig::{INSTANCE_KUBECONFIG, instance_kubeconfig_schema};

#[test]
fn kept_documents_are_those_served() {
    let kinds = vci_management::resources();
    let kinds: Vec<(&'static Descriptor, &Schema)> = kinds.iter().map(|kind| (kind.descriptor(), kind.schema())).collect();
    let computed = computed();
    let computed: Vec<(&'static VirtualDescriptor, &Schema)> = computed.iter().map(|(kind, schema)| (*kind, schema)).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../openapi");
    for (path, document) in documents(&kinds, &computed).into_iter().filter(|(path, _)| path != "/openapi/v3") {
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

/// What is answered and never stored.
fn computed() -> Vec<(&'static VirtualDescriptor, Schema)> {
    let review = |descriptor, subject| (descriptor, access_review(descriptor, subject).schema().clone());
    vec![
        (&SELF, self_schema().clone()),
        review(&SELF_SUBJECT_ACCESS_REVIEW, Subject::Caller),
        review(&SUBJECT_ACCESS_REVIEW, Subject::Named(Arc::new(Unmapped))),
        (&PROJECT_MEMBERS, project_members_schema().clone()),
        (&PROJECT_TEMPLATES, project_templates_schema().clone()),
        (&PROJECT_CLUSTERS, project_clusters_schema().clone()),
        (&USER_ACCESS_KEYS, user_access_keys_schema().clone()),
        (&VIRTUAL_CLUSTER_ACCESS_KEY, virtual_cluster_access_key_schema().clone()),
        (&TEAM_ACCESS_KEYS, team_access_keys_schema().clone()),
        (&INSTANCE_KUBECONFIG, instance_kubeconfig_schema().clone()),
    ]
}

/// `v2.json`, `v3/apis.management.loft.sh.v1.json`.
fn file_name(path: &str) -> PathBuf {
    let below = path.trim_start_matches("/openapi/");
    let name = below.strip_prefix("v3/").map_or_else(|| below.to_owned(), |document| format!("v3/{}", document.replace('/', ".")));
    PathBuf::from(name + ".json")
}
