//! The host namespace: made when missing, and used only when it is this instance's.

use super::pass::{Pass, Stop};
use super::{applied, charts};
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::names::{CONTROLLER, CREATED_BY, FIELD_MANAGER, NON_DELETABLE, affiliation, label, ownership};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How soon a namespace that is going away is looked at again.
const WHILE_TERMINATING: Duration = Duration::from_secs(3);
/// Keys of this domain say to whom a namespace belongs. Templates may not.
const RESERVED_DOMAIN: &str = "loft.sh";

/// Makes the namespace, and brings its labels, annotations and objects up to date.
pub(super) async fn ensure(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let namespaces: Api<Namespace> = Api::all(pass.context.clients.host.clone());
    let name = pass.instance.spec.cluster_ref.namespace.clone();
    let wanted = Wanted::of(pass);
    let found = namespaces.get_opt(&name).await.map_err(|error| halt(&format!("reading namespace {name}"), &error))?;
    let namespace = match found {
        Some(namespace) => namespace,
        None => {
            let made = namespaces.create(&PostParams::default(), &wanted.namespace(&name)).await;
            let made = made.map_err(|error| halt(&format!("making namespace {name}"), &error))?;
            pass.context.events.normal(&pass.instance, "NamespaceCreated", &format!("made namespace {name}")).await;
            made
        }
    };
    check_owner(&namespace, &wanted.ownership, &name)?;
    if wanted.differs_from(&namespace) {
        let patch =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": wanted.labels, "annotations": wanted.annotations}});
        let params = PatchParams::apply(FIELD_MANAGER).force();
        namespaces
            .patch(&name, &params, &Patch::Apply(&patch))
            .await
            .map_err(|error| halt(&format!("changing namespace {name}"), &error))?;
    }
    if namespace.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Terminating") {
        let message = format!("namespace {name} is being deleted");
        return Err(Halt::wait(Aspect::SpaceReady, "NamespaceTerminating", message, WHILE_TERMINATING).into());
    }
    applied::in_host_namespace(pass).await?;
    charts::in_host_namespace(pass).await?;
    pass.conditions.hold(Aspect::SpaceSynced);
    pass.conditions.hold(Aspect::SpaceReady);
    Ok(())
}

/// Whether a namespace is this instance's, going by its labels.
pub(super) fn is_owned(namespace: &Namespace, ownership: &BTreeMap<String, String>) -> bool {
    let labels = namespace.metadata.labels.as_ref();
    ownership.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

fn check_owner(namespace: &Namespace, ownership: &BTreeMap<String, String>, name: &str) -> Result<(), Halt> {
    if is_owned(namespace, ownership) {
        return Ok(());
    }
    let labels = [label::INSTANCE_NAME, label::INSTANCE_NAMESPACE, label::INSTANCE_PROJECT].join(", ");
    let message =
        format!("namespace {name} exists and is not managed for this instance; whoever may change it can give it the labels {labels}");
    Err(Halt::error(Aspect::SpaceSynced, "NamespaceNotManaged", message))
}

/// What a namespace is to bear.
struct Wanted {
    ownership: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Wanted {
    fn of(pass: &Pass<'_>) -> Self {
        let space = pass.definition().space_template;
        let given = |pairs: BTreeMap<String, String>| pairs.into_iter().filter(|(key, _)| !is_reserved(key));
        let ownership = ownership(&pass.project, pass.instance.namespace(), pass.instance.name());
        let mut labels: BTreeMap<_, _> = given(space.metadata.labels).collect();
        labels.extend(affiliation(&pass.project, pass.instance.spec.owner.as_ref()));
        labels.extend(ownership.clone());
        let mut annotations: BTreeMap<_, _> = given(space.metadata.annotations).collect();
        if let Some(value) = pass.instance.annotation(NON_DELETABLE) {
            annotations.insert(NON_DELETABLE.into(), value.into());
        }
        Self { ownership, labels, annotations }
    }

    fn namespace(&self, name: &str) -> Namespace {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.into());
        namespace.metadata.labels = Some(self.labels.clone());
        let mut annotations = self.annotations.clone();
        annotations.insert(CREATED_BY.into(), CONTROLLER.into());
        namespace.metadata.annotations = Some(annotations);
        namespace
    }

    fn differs_from(&self, namespace: &Namespace) -> bool {
        let lacks = |wanted: &BTreeMap<String, String>, found: Option<&BTreeMap<String, String>>| {
            wanted.iter().any(|(key, value)| found.and_then(|found| found.get(key)) != Some(value))
        };
        lacks(&self.labels, namespace.metadata.labels.as_ref()) || lacks(&self.annotations, namespace.metadata.annotations.as_ref())
    }
}

fn is_reserved(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    domain == RESERVED_DOMAIN || domain.strip_suffix(RESERVED_DOMAIN).is_some_and(|rest| rest.ends_with('.'))
}

fn halt(doing: &str, error: &kube::Error) -> Halt {
    Halt::of_api(Aspect::SpaceSynced, Whose::Host, doing, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_say_nothing_of_whose_a_namespace_is() {
        for (key, want) in [
            ("team", false),
            ("example.com/cost", false),
            ("loft.sh/vcluster-instance-name", true),
            ("pod-security.kubernetes.io/enforce", false),
            ("vcluster.loft.sh/x", true),
            ("notloft.sh/x", false),
        ] {
            assert_eq!(is_reserved(key), want, "{key}");
        }
    }

    #[test]
    fn a_namespace_is_an_instances_only_by_all_three_labels() {
        let ours = ownership("blue", "loft-p-blue", "a");
        let with = |labels: &[(&str, &str)]| {
            let mut namespace = Namespace::default();
            namespace.metadata.labels = Some(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect());
            namespace
        };
        let all = [(label::INSTANCE_NAME, "a"), (label::INSTANCE_NAMESPACE, "loft-p-blue"), (label::INSTANCE_PROJECT, "blue")];
        assert!(is_owned(&with(&all), &ours));
        assert!(!is_owned(&with(&all[..2]), &ours));
        assert!(!is_owned(&with(&[all[0], (label::INSTANCE_NAMESPACE, "loft-p-red"), all[2]]), &ours));
        assert!(!is_owned(&Namespace::default(), &ours));
    }
}
