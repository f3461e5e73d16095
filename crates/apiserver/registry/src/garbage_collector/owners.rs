//! The owners of an object: there, gone, or waiting for it to go.
//!
//! An owner is looked up where the reference says it is, as upstream does: by kind, name and the dependent's namespace; one
//! with another UID is another object. UIDs are given by the server and never come back, so an owner existed before it was
//! referred to: a cache that is as new as the dependent and does not have the owner proves that it is gone. No look at the
//! store is needed for it, however many references there are.

use super::graph::{Mode, Node};
use super::{Collector, context};
use crate::item::Item;
use crate::offload;
use apiserver_meta::options::{GetOptions, ResourceVersion};
use apiserver_meta::{ApiError, ObjectKey, Scope};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::sync::Arc;

/// How many references are looked at before others may run.
const STRIDE: usize = 256;

/// An object that refers to others.
pub(super) struct Dependent {
    pub(super) item: Arc<Item>,
    pub(super) uid: String,
    pub(super) is_terminating: bool,
    references: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Reference {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
}

/// How fresh the look at owners is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As caches happen to be: enough to find that an owner is there, for its deletion will be an event.
    Cached,
    /// As new as the dependent: enough to find that an owner is gone.
    Certain,
}

/// The state of an object's owners.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Owners {
    /// One is there and stays, or is of a kind that is not served here, about which nothing is known.
    pub(super) holds: bool,
    /// The UIDs of those that are deleted in the foreground.
    pub(super) foreground: Vec<String>,
    /// The UIDs of those that leave their dependents behind.
    pub(super) orphaning: Vec<String>,
}

impl Dependent {
    pub(super) async fn read(item: Arc<Item>) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Outer {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            uid: String,
            deletion_timestamp: Option<IgnoredAny>,
            #[serde(default)]
            owner_references: Vec<Reference>,
        }
        let parsed = offload::compute(item.bytes.len(), || serde_json::from_slice::<Outer>(&item.bytes)).await;
        let Metadata { uid, deletion_timestamp, owner_references } =
            parsed.map_err(|error| ApiError::internal("a stored object cannot be read").with_source(error))?.metadata;
        Ok(Self { item, uid, is_terminating: deletion_timestamp.is_some(), references: owner_references })
    }
}

impl Collector {
    /// Looks at the owners until one is found that holds.
    pub(super) async fn owners(&self, node: &Node, dependent: &Dependent, look: Look) -> Result<Owners, ApiError> {
        let mut owners = Owners::default();
        let mut others = Vec::new();
        {
            let graph = self.graph();
            for reference in &dependent.references {
                match graph.waits(&reference.uid) {
                    Some(Mode::Foreground) => owners.foreground.push(reference.uid.clone()),
                    Some(Mode::Orphan) => owners.orphaning.push(reference.uid.clone()),
                    None if graph.is_gone(&reference.uid) => {}
                    None => others.push(reference),
                }
            }
        }
        // Many references may name one object by wrong UIDs: it is read once.
        let mut uids = HashMap::new();
        for (index, reference) in others.into_iter().enumerate() {
            if index % STRIDE == STRIDE - 1 {
                tokio::task::yield_now().await;
            }
            let Some((registry, key)) = self.locate(node, reference) else {
                owners.holds = true;
                break;
            };
            let Some(owner) = self.look_up(registry, &key, dependent, look).await? else { continue };
            let uid = uids.entry((registry, key)).or_insert_with(|| owner.uid());
            if *uid == reference.uid {
                owners.holds = true;
                break;
            }
        }
        Ok(owners)
    }

    /// Where the reference says that the owner is. `None` for kinds that are not served here, and for what no reference can
    /// name: an object in a namespace, from outside of it.
    fn locate(&self, node: &Node, reference: &Reference) -> Option<(usize, ObjectKey)> {
        let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
        let named = |descriptor: &apiserver_meta::Descriptor| descriptor.group == group && descriptor.kind == reference.kind;
        let registry = self.registries.iter().position(|registry| named(registry.descriptor()))?;
        let namespace = node.key.namespace.as_str();
        match self.registries[registry].descriptor().scope {
            Scope::Cluster => Some((registry, ObjectKey::new("", &*reference.name))),
            Scope::Namespaced if namespace.is_empty() => None,
            Scope::Namespaced => Some((registry, ObjectKey::new(namespace, &*reference.name))),
        }
    }

    async fn look_up(&self, registry: usize, key: &ObjectKey, dependent: &Dependent, look: Look) -> Result<Option<Arc<Item>>, ApiError> {
        let cache = self.registries[registry].cache();
        match look {
            Look::Cached => Ok(cache.cached_existing(key)),
            Look::Certain => {
                let options = GetOptions { resource_version: ResourceVersion::At(dependent.item.revision) };
                cache.find(&context(), key, &options).await
            }
        }
    }
}
