//! Objects that a template brings, as YAML: into the host namespace, and into the virtual cluster.
//!
//! They are applied when their text changes, under the controller's field manager; those that are no longer in it are deleted. What
//! was applied last stands in the status. Objects for the host cluster go into the one namespace and into no other: what belongs
//! to the whole cluster is the administrator's.

use super::pass::{Pass, Stop};
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::names::FIELD_MANAGER;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, ApiResource, Scope};
use serde_json::Value;
use std::collections::BTreeSet;

/// The most objects that a template may bring to one place.
const MOST_OBJECTS: usize = 500;

/// Brings the objects of the host namespace up to date.
pub(super) async fn in_host_namespace(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let text = pass.definition().space_template.objects;
    let mut told = pass.status.space_objects.clone().unwrap_or_default();
    if told.last_applied_objects == text {
        return Ok(());
    }
    let place = Place::HostNamespace(pass.instance.spec.cluster_ref.namespace.clone());
    let target = Target { client: pass.context.clients.host.clone(), place, aspect: Aspect::SpaceSynced, field: "spaceTemplate.objects" };
    target.apply(&text, &told.last_applied_objects).await?;
    told.last_applied_objects = text;
    pass.status.space_objects = Some(told);
    Ok(())
}

/// Brings the objects inside the virtual cluster up to date.
pub(super) async fn inside(pass: &mut Pass<'_>, client: kube::Client) -> Result<(), Stop> {
    let text = pass.definition().objects;
    let mut told = pass.status.virtual_cluster_objects.clone().unwrap_or_default();
    if told.last_applied_objects == text {
        return Ok(());
    }
    let target = Target { client, place: Place::VirtualCluster, aspect: Aspect::VirtualClusterAppsAndObjectsSynced, field: "objects" };
    target.apply(&text, &told.last_applied_objects).await?;
    told.last_applied_objects = text;
    pass.status.virtual_cluster_objects = Some(told);
    Ok(())
}

/// Where objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Into this namespace, whatever they say.
    HostNamespace(String),
    /// Where they say, or else into `default`.
    VirtualCluster,
}

struct Target {
    client: kube::Client,
    place: Place,
    aspect: Aspect,
    /// The field of the template, for messages.
    field: &'static str,
}

/// Names an object within a cluster.
type Key = (String, String, String, String);

impl Target {
    async fn apply(&self, text: &str, last: &str) -> Result<(), Halt> {
        let mut kept = BTreeSet::new();
        for object in self.parse(text)? {
            let (api, key) = self.api(&object).await?;
            let params = PatchParams::apply(FIELD_MANAGER).force();
            let doing = format!("{}: applying {} {}", self.field, key.1, key.3);
            api.patch(&key.3, &params, &Patch::Apply(&object)).await.map_err(|error| self.failed(&doing, &error))?;
            kept.insert(key);
        }
        // Whatever cannot be read any more was never applied.
        for object in self.parse(last).unwrap_or_default() {
            let Ok((api, key)) = self.api(&object).await else { continue };
            if kept.contains(&key) {
                continue;
            }
            match api.delete(&key.3, &DeleteParams::background()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                done => drop(done.map_err(|error| self.failed(&format!("{}: deleting {} {}", self.field, key.1, key.3), &error))?),
            }
        }
        Ok(())
    }

    /// The documents of a text that hold something.
    fn parse(&self, text: &str) -> Result<Vec<DynamicObject>, Halt> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let documents: Vec<Value> = serde_yaml::from_multiple(text).map_err(|error| self.refuse(&format!("it is no YAML: {error}")))?;
        let documents: Vec<Value> = documents.into_iter().filter(|document| !document.is_null()).collect();
        if documents.len() > MOST_OBJECTS {
            return Err(self.refuse(&format!("there may be {MOST_OBJECTS} objects at most")));
        }
        documents.into_iter().enumerate().map(|(index, document)| self.object(index, document)).collect()
    }

    fn object(&self, index: usize, document: Value) -> Result<DynamicObject, Halt> {
        let object: DynamicObject =
            serde_json::from_value(document).map_err(|_| self.refuse(&format!("document {} is no object of Kubernetes", index + 1)))?;
        if object.types.is_none() || object.metadata.name.as_deref().is_none_or(str::is_empty) {
            return Err(self.refuse(&format!("document {} lacks apiVersion, kind or metadata.name", index + 1)));
        }
        Ok(object)
    }

    /// The API of an object's kind where the object goes, and what the object is called there.
    async fn api(&self, object: &DynamicObject) -> Result<(Api<DynamicObject>, Key), Halt> {
        let types = object.types.clone().unwrap_or_default();
        let doing = format!("{}: looking for the kind {} of {}", self.field, types.kind, types.api_version);
        let kind = GroupVersionKind::try_from(&types).map_err(|error| self.refuse(&error.to_string()))?;
        let (resource, capabilities) = discovery::pinned_kind(&self.client, &kind).await.map_err(|error| self.failed(&doing, &error))?;
        let name = object.metadata.name.clone().unwrap_or_default();
        let namespace = self.namespace(&resource, capabilities.scope, object.metadata.namespace.as_deref())?;
        let api = match &namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        Ok((api, (resource.api_version.clone(), resource.kind.clone(), namespace.unwrap_or_default(), name)))
    }

    fn namespace(&self, resource: &ApiResource, scope: Scope, said: Option<&str>) -> Result<Option<String>, Halt> {
        match (&self.place, scope) {
            (Place::VirtualCluster, Scope::Cluster) => Ok(None),
            (Place::VirtualCluster, Scope::Namespaced) => Ok(Some(said.filter(|said| !said.is_empty()).unwrap_or("default").to_owned())),
            (Place::HostNamespace(_), Scope::Cluster) => {
                Err(self.refuse(&format!("{} belongs to no namespace, and may not be brought to the host cluster", resource.kind)))
            }
            (Place::HostNamespace(own), Scope::Namespaced) => match said {
                Some(other) if !other.is_empty() && other != own => {
                    Err(self.refuse(&format!("{} is for namespace {other}, and may only be for {own}", resource.kind)))
                }
                _ => Ok(Some(own.clone())),
            },
        }
    }

    fn refuse(&self, detail: &str) -> Halt {
        Halt::error(self.aspect, "InvalidObjects", format!("{}: {detail}", self.field))
    }

    fn failed(&self, doing: &str, error: &kube::Error) -> Halt {
        let whose = if self.place == Place::VirtualCluster { Whose::VirtualCluster } else { Whose::Host };
        Halt::of_api(self.aspect, whose, doing, error)
    }
}
