//! The collection that is measured: what its objects are like, and the requests for them.

use crate::client::{Call, JSON};
use hyper::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where objects of the benchmark are in our server.
pub(crate) const COLLECTION: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-my-project/virtualclusterinstances";
/// How many objects [`Api::LABEL_OF_A_FEW`] selects.
const A_FEW: usize = 5;

/// A collection and its objects.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    collection: String,
    template: Value,
    /// The path of a text in an object, which changes change.
    text: &'static [&'static str],
    /// A field selector that selects nothing.
    pub(crate) field_of_none: &'static str,
}

impl Api {
    /// A label selector that selects nothing.
    pub(crate) const LABEL_OF_NONE: &str = "env%3Dnone";
    /// A label selector that selects some of the first objects.
    pub(crate) const LABEL_OF_A_FEW: &str = "bench%3Dfew";

    /// Virtual clusters as the command line of vcluster makes them, of 1.3 KB.
    pub(crate) fn ours() -> Self {
        let values =
            "controlPlane:\n  distro:\n    k8s:\n      enabled: true\nsync:\n  toHost:\n    ingresses:\n      enabled: true\n".repeat(5);
        let template = json!({
            "apiVersion": "management.loft.sh/v1",
            "kind": "VirtualClusterInstance",
            "metadata": {
                "labels": {"loft.sh/project": "my-project"},
                "annotations": {"sleepmode.loft.sh/timezone": "Europe/Berlin#3600"},
            },
            "spec": {
                "displayName": "benchmark",
                "owner": {"user": "my-user"},
                "parameters": values,
                "templateRef": {"name": "my-virtual-cluster-template", "version": "1.2.x"},
                "clusterRef": {},
            },
        });
        let text = &["spec", "description"];
        Self { collection: COLLECTION.into(), template, text, field_of_none: "spec.clusterRef.cluster%3Dnone" }
    }

    /// Any other kind, by one of its objects.
    pub(crate) fn other(collection: String, template: Value) -> Self {
        Self { collection, template, text: &["metadata", "annotations", "bench"], field_of_none: "metadata.namespace%3Dnone" }
    }

    pub(crate) fn create(&self, i: usize) -> Call {
        let mut object = self.template.clone();
        object["metadata"]["name"] = name(i).into();
        object["metadata"]["labels"]["env"] = if i.is_multiple_of(2) { "dev" } else { "prod" }.into();
        if i < A_FEW {
            object["metadata"]["labels"]["bench"] = "few".into();
        }
        *self.text.iter().fold(&mut object, |value, member| &mut value[*member]) = format!("benchmark {i}").into();
        Call { method: Method::POST, path: self.collection.clone(), media: JSON, body: object.to_string().into() }
    }

    pub(crate) fn get(&self, i: usize) -> Call {
        Call::get(self.path(i), JSON)
    }

    pub(crate) fn list(&self, query: &str, media: &'static str) -> Call {
        Call::get(format!("{}?{query}", self.collection), media)
    }

    /// A watch of what comes after this version.
    pub(crate) fn watch(&self, version: &str) -> Call {
        self.list(&format!("watch=1&resourceVersion={version}&timeoutSeconds=3600"), JSON)
    }

    /// A merge patch to what the object never was before.
    pub(crate) fn merge_patch(&self, i: usize) -> Call {
        let body = self.change().to_string().into();
        Call { method: Method::PATCH, path: self.path(i), media: "application/merge-patch+json", body }
    }

    /// An apply that makes the object what it never was before.
    pub(crate) fn apply(&self, i: usize) -> Call {
        let mut body = self.change();
        body["apiVersion"] = self.template["apiVersion"].clone();
        body["kind"] = self.template["kind"].clone();
        let path = format!("{}?fieldManager=bench-apply&force=true", self.path(i));
        Call { method: Method::PATCH, path, media: "application/apply-patch+yaml", body: body.to_string().into() }
    }

    pub(crate) fn delete(&self, i: usize) -> Call {
        self.delete_name(&name(i))
    }

    pub(crate) fn delete_name(&self, name: &str) -> Call {
        let path = format!("{}/{name}", self.collection);
        Call { method: Method::DELETE, path, media: JSON, body: bytes::Bytes::new() }
    }

    fn path(&self, i: usize) -> String {
        format!("{}/{}", self.collection, name(i))
    }

    fn change(&self) -> Value {
        static CHANGES: AtomicUsize = AtomicUsize::new(0);
        let text = json!(format!("change {}", CHANGES.fetch_add(1, Ordering::Relaxed)));
        self.text.iter().rev().fold(text, |value, member| json!({*member: value}))
    }
}

fn name(i: usize) -> String {
    format!("bench-{i:06}")
}

/// What is read of a list.
#[derive(serde::Deserialize)]
pub(crate) struct List {
    pub(crate) metadata: ListMeta,
    #[serde(default)]
    pub(crate) items: Vec<Item>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListMeta {
    pub(crate) resource_version: String,
    #[serde(default)]
    r#continue: String,
}

impl ListMeta {
    /// The token of the next page, for a query.
    pub(crate) fn next(&self) -> Option<String> {
        let token = self.r#continue.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        Some(token).filter(|token| !token.is_empty())
    }
}

/// What is read of an object.
#[derive(serde::Deserialize)]
pub(crate) struct Item {
    pub(crate) metadata: ItemMeta,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemMeta {
    pub(crate) name: String,
    pub(crate) resource_version: String,
}
