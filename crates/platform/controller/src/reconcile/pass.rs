//! The state of a pass: the instance as it is by now, and what is to be told of it.

use crate::api::{Instance, Project};
use crate::conditions::Aspect;
use crate::conditions::{Conditions, Rest};
use crate::context::Context;
use crate::halt::{Api as Whose, Halt};
use crate::names::{FIELD_MANAGER, FINALIZER};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use vci_management::types::VirtualClusterTemplateDefinition;
use vci_management::virtualclusterinstance::VirtualClusterInstanceStatus;
use vci_virtualcluster::Address;

/// One pass over one instance.
pub(crate) struct Pass<'a> {
    pub(crate) context: &'a Context,
    /// As it was read, with what the pass itself has written since.
    pub(crate) instance: Instance,
    /// The project, without the prefix of its namespace.
    pub(crate) project: String,
    pub(crate) conditions: Conditions,
    /// What the status is to be, but for the conditions and the phase.
    pub(crate) status: VirtualClusterInstanceStatus,
    pub(crate) rest: Rest,
    /// The annotations of the host cluster's object. Known once the instance has been placed.
    pub(crate) cluster_annotations: BTreeMap<String, String>,
}

/// Why a pass ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A condition does not hold.
    Halt(Halt),
    /// Somebody else has written the instance.
    Conflict,
    /// The instance is gone.
    Gone,
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl<'a> Pass<'a> {
    pub(crate) fn new(instance: Instance, context: &'a Context) -> Self {
        let prefix = &context.config.project_namespace_prefix;
        let project = instance.namespace().strip_prefix(prefix.as_str()).unwrap_or_default().to_owned();
        let conditions = Conditions::of(&instance.status, (context.clock)());
        let rest = if instance.status.phase == "Sleeping" { Rest::Asleep } else { Rest::Awake };
        Self { context, project, conditions, status: instance.status.clone(), rest, cluster_annotations: BTreeMap::new(), instance }
    }

    /// Where the virtual cluster is. Known once it has been placed.
    pub(crate) fn address(&self) -> Result<Address, Halt> {
        let place = &self.instance.spec.cluster_ref;
        Address::new(&place.namespace, &place.virtual_cluster)
            .map_err(|error| Halt::error(Aspect::Scheduled, "InvalidClusterRef", format!("spec.clusterRef: {error}")))
    }

    /// What the virtual cluster is made from, once it has been rendered.
    pub(crate) fn definition(&self) -> VirtualClusterTemplateDefinition {
        self.status.virtual_cluster.clone().unwrap_or_default()
    }

    /// The project object.
    pub(crate) async fn read_project(&self) -> Result<Project, Halt> {
        let projects: Api<Project> = Api::all(self.context.clients.management.clone());
        projects
            .get(&self.project)
            .await
            .map_err(|error| Halt::of_api(Aspect::Scheduled, Whose::Management, &format!("reading the project {}", self.project), &error))
    }

    /// Keeps the instance until its virtual cluster is gone. First of all, so that nothing is made that nobody takes away.
    pub(crate) async fn ensure_finalizer(&mut self) -> Result<(), Stop> {
        let mut finalizers = self.instance.metadata.finalizers.clone().unwrap_or_default();
        if finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(());
        }
        finalizers.push(FINALIZER.into());
        self.patch(json!({"metadata": {"finalizers": finalizers}})).await
    }

    /// Lets the instance go.
    pub(crate) async fn remove_finalizer(&mut self) -> Result<(), Stop> {
        let mut finalizers = self.instance.metadata.finalizers.clone().unwrap_or_default();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        self.patch(json!({"metadata": {"finalizers": finalizers}})).await
    }

    /// Changes the instance, unless somebody else has done so since it was read.
    pub(crate) async fn patch(&mut self, mut patch: Value) -> Result<(), Stop> {
        patch["metadata"]["resourceVersion"] = json!(self.instance.metadata.resource_version);
        let written = self.api().patch(self.instance.name(), &params(), &Patch::Merge(&patch)).await;
        self.instance = written.map_err(|error| stop(&error, "changing the instance"))?;
        Ok(())
    }

    /// Asks for the deletion of the instance, as anybody would.
    pub(crate) async fn delete(&self) -> Result<(), Stop> {
        let deleted = self.api().delete(self.instance.name(), &DeleteParams::default()).await;
        deleted.map(drop).map_err(|error| stop(&error, "deleting the instance"))
    }

    /// Writes the status, where it is another than before.
    pub(crate) async fn write_status(&mut self) -> Result<(), Stop> {
        let mut status = self.status.clone();
        self.conditions.clone().summarize(self.rest, &mut status);
        // Computed for whoever asks, and never written.
        let (old, new) = (written_form(&self.instance.status), written_form(&status));
        if old == new {
            return Ok(());
        }
        let turned = (self.instance.status.phase.clone(), self.instance.status.reason.clone());
        let patch = json!({
            "metadata": {"resourceVersion": self.instance.metadata.resource_version},
            "status": merge_patch(&old, &new),
        });
        let written = self.api().patch_status(self.instance.name(), &params(), &Patch::Merge(&patch)).await;
        self.instance = written.map_err(|error| stop(&error, "writing the status"))?;
        if turned != (status.phase.clone(), status.reason.clone()) {
            self.tell(&status).await;
        }
        Ok(())
    }

    /// Tells of a turn in events.
    async fn tell(&self, status: &VirtualClusterInstanceStatus) {
        let events = &self.context.events;
        match status.phase.as_str() {
            "Ready" => events.normal(&self.instance, "Ready", "the virtual cluster is ready").await,
            "Sleeping" => events.normal(&self.instance, "Sleeping", "the virtual cluster was put to sleep").await,
            "Failed" => events.warning(&self.instance, &status.reason, &status.message).await,
            _ if status.reason.is_empty() => {}
            _ => events.normal(&self.instance, &status.reason, &status.message).await,
        }
    }

    fn api(&self) -> Api<Instance> {
        Api::namespaced(self.context.clients.management.clone(), self.instance.namespace())
    }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() }
}

fn stop(error: &kube::Error, doing: &str) -> Stop {
    match error {
        kube::Error::Api(status) if status.code == 409 => Stop::Conflict,
        kube::Error::Api(status) if status.code == 404 => Stop::Gone,
        _ => Stop::Halt(Halt::of_api(Aspect::Scheduled, Whose::Management, doing, error)),
    }
}

/// A status as it is written.
fn written_form(status: &VirtualClusterInstanceStatus) -> Value {
    let stored = VirtualClusterInstanceStatus { can_use: false, can_update: false, sleep_mode_config: None, ..status.clone() };
    serde_json::to_value(stored).unwrap_or_default()
}

/// A merge patch of the members that differ. Lists and nested objects are replaced, because they are rendered anew as a whole.
fn merge_patch(old: &Value, new: &Value) -> Value {
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else { return new.clone() };
    let mut patch = serde_json::Map::new();
    for (key, value) in after {
        match before.get(key) {
            Some(same) if same == value => {}
            Some(other) if other.is_object() && value.is_object() => drop(patch.insert(key.clone(), merge_patch(other, value))),
            _ => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_makes_the_new_of_the_old() {
        let cases = [
            (json!({}), json!({"a": 1}), json!({"a": 1})),
            (json!({"a": 1, "b": {"c": 1, "d": 2}}), json!({"b": {"c": 1, "e": 3}}), json!({"a": null, "b": {"d": null, "e": 3}})),
            (json!({"a": [1, 2]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 1}}), json!({})),
        ];
        for (old, new, want) in cases {
            assert_eq!(merge_patch(&old, &new), want, "{old} {new}");
        }
    }
}
