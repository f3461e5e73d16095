//! Every kind of management.loft.sh keeps the promises of every kind.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tempfile::TempDir;
use vci_meta::Resource;
use vci_registry::suite::{Sample, Subject};
use vci_store::embedded::{EmbeddedConfig, EmbeddedStore};

/// A suite for each kind; each case has an embedded store of its own.
macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        $(
            mod $kind {
                vci_registry::resource_suite!(super::on_embedded(vci_management::$kind(), super::sample(stringify!($kind))));
            }
        )*

        #[test]
        fn no_kind_is_forgotten() {
            let tried = BTreeSet::from([$(vci_management::$kind().descriptor().plural),*]);
            let served = vci_management::resources().iter().map(|resource| resource.descriptor().plural).collect::<BTreeSet<_>>();
            assert_eq!(tried, served);
        }
    };
}

kinds!(owned_access_keys, projects, teams, users, virtual_cluster_instances);

async fn on_embedded(resource: Arc<dyn Resource>, sample: Sample) -> (Subject, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let store = EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).expect("a fresh store");
    (Subject::start(resource, Arc::new(store), sample).await, folder)
}

/// A good object of each kind, with something in its lists.
fn sample(kind: &str) -> Sample {
    let spec = match kind {
        "owned_access_keys" => json!({"displayName": "CI", "user": "ann", "key": "a-secret-of-this-test", "ttl": 3600}),
        "projects" => json!({
            "displayName": "Payments",
            "owner": {"user": "ann"},
            "members": [{"kind": "User", "name": "*", "clusterRole": "loft-management-project-user"}],
            "allowedTemplates": [{"kind": "VirtualClusterTemplate", "group": "storage.loft.sh", "name": "*"}],
        }),
        "teams" => json!({"displayName": "Payments", "users": ["ann", "bob"], "groups": ["payments"]}),
        "users" => json!({"displayName": "Ann", "email": "ann@example.com", "groups": ["payments"]}),
        "virtual_cluster_instances" => json!({
            "displayName": "Staging",
            "owner": {"team": "payments"},
            "templateRef": {"name": "isolated", "version": "1.x.x"},
            "clusterRef": {"cluster": "eu"},
            "parameters": "size: 3\n",
            "access": [{"name": "all", "verbs": ["get"], "users": ["bob"]}],
        }),
        other => panic!("no sample of {other}"),
    };
    Sample {
        object: json!({ "spec": spec }),
        change: json!({"spec": {"displayName": "changed"}}),
        status: json!({ "status": status(kind) }),
    }
}

fn status(kind: &str) -> Value {
    let condition = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    match kind {
        "owned_access_keys" => json!({"lastActivity": "2026-01-01T00:00:00Z"}),
        "users" => json!({"teams": ["payments"]}),
        "projects" => json!({ "conditions": [condition] }),
        "virtual_cluster_instances" => json!({"phase": "Ready", "conditions": [condition]}),
        _ => json!({}),
    }
}
