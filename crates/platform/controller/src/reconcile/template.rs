//! What a virtual cluster is made from: the template's version, the parameters, the rendering. The result stands in
//! `status.virtualCluster`.
//!
//! Rendering may give something else each time, so that it is done only when what goes into it has changed. Two digests on the
//! instance say what that was. Once a virtual cluster is deployed, a template that cannot be resolved any more is told of, and
//! what was applied last stays.

use super::pass::{Pass, Stop};
use crate::api::{Cluster, Project, Template};
use crate::conditions::{Aspect, Cause, Severity};
use crate::halt::{Api as Whose, Halt};
use crate::template::render::{self, Text};
use crate::template::values::{InstanceFacts, values};
use crate::template::version::{Applied, Resolution, resolve as choose};
use crate::template::{ERROR_MODIFYING_TEMPLATE, TemplateError, parameters, settings};
use kube::Api;
use serde_json::json;
use std::collections::BTreeMap;
use vci_management::cluster::{ANNOTATION_INGRESS_SUFFIX, access_point_host};
use vci_management::types::{TemplateMetadata, VirtualClusterTemplateDefinition};
use vci_management::virtualclustertemplate::VirtualClusterTemplate;

/// On an instance: the digest of the template that was applied last.
const APPLIED: &str = "loft.sh/applied-template";
/// On an instance: the digest of what its definition was rendered from.
const RENDERED: &str = "loft.sh/rendered-input";

/// Brings `status.virtualCluster` up to date.
pub(super) async fn resolve(pass: &mut Pass<'_>) -> Result<(), Stop> {
    match attempt(pass).await {
        Ok(()) => pass.conditions.hold(Aspect::TemplateResolved),
        Err(Stop::Halt(halt)) if is_deployed(pass) && halt.aspect == Aspect::TemplateResolved => {
            let cause = Cause { severity: Severity::Info, ..halt.cause };
            pass.context.events.warning(&pass.instance, &cause.reason, &cause.message).await;
            pass.conditions.fail(Aspect::TemplateResolved, &cause);
        }
        Err(stop) => return Err(stop),
    }
    Ok(())
}

fn is_deployed(pass: &Pass<'_>) -> bool {
    !pass.status.deploy_hash.is_empty() && pass.status.virtual_cluster.is_some()
}

async fn attempt(pass: &mut Pass<'_>) -> Result<(), Stop> {
    let template = read(pass).await?;
    let spec = pass.instance.spec.clone();
    let last = pass.instance.annotation(APPLIED).unwrap_or_default().to_owned();
    let applied = if pass.status.virtual_cluster.is_some() { Applied::Digest(&last) } else { Applied::Nothing };
    let resolution = choose(&spec, template.as_ref(), applied).map_err(|error| refused(&error))?;
    if let Some(reference) = &resolution.write_back {
        // A merge patch keeps what is not named.
        let reference = json!({"version": reference.version, "syncOnce": reference.sync_once});
        pass.patch(json!({"spec": {"templateRef": reference}})).await?;
    }
    if resolution.apply {
        apply(pass, &resolution).await?;
    }
    match &resolution.pending {
        None => pass.conditions.hold(Aspect::TemplateSynced),
        Some(pending) => {
            let cause = Cause { severity: Severity::Info, reason: pending.reason.into(), message: pending.message.clone() };
            pass.conditions.fail(Aspect::TemplateSynced, &cause);
        }
    }
    Ok(())
}

/// The template that the instance names; `None`: it names none, or there is none.
async fn read(pass: &Pass<'_>) -> Result<Option<VirtualClusterTemplate>, Halt> {
    let Some(name) = pass.instance.spec.template_ref.as_ref().map(|named| &named.name).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let templates: Api<Template> = Api::all(pass.context.clients.management.clone());
    let found = templates.get_opt(name).await;
    let asked = |error: kube::Error| Halt::of_api(Aspect::TemplateResolved, Whose::Management, &format!("reading template {name}"), &error);
    Ok(found.map_err(asked)?.map(|template| VirtualClusterTemplate { spec: template.spec, ..VirtualClusterTemplate::default() }))
}

/// Renders a definition, unless that was done.
async fn apply(pass: &mut Pass<'_>, resolution: &Resolution<'_>) -> Result<(), Stop> {
    let filled = parameters::fill(&pass.instance.spec.parameters, resolution.parameters).map_err(|error| refused(&error))?;
    if let Some(parameters) = filled.write_back {
        pass.patch(json!({"spec": {"parameters": parameters}})).await?;
    }
    let values = values(filled.values, &facts(pass, pass.cluster_annotations.clone()));
    let input = render::input_digest(resolution.definition, &values);
    let is_done = pass.status.virtual_cluster.is_some() && pass.instance.annotation(RENDERED) == Some(&input);
    if is_done && pass.instance.annotation(APPLIED) == Some(&resolution.digest) {
        return check(pass, &pass.definition()).map_err(Stop::from);
    }
    let mut metadata = TemplateMetadata::default();
    if !is_done {
        if let [name, ..] = filled.unknown.as_slice() {
            let note = format!("spec.parameters: the template declares no {name}; it is left out");
            pass.context.events.warning(&pass.instance, "UnknownParameter", &note).await;
        }
        let rendered = render::definition(&*pass.context.helm, resolution.definition, &values).await.map_err(|error| refused(&error))?;
        check(pass, &rendered)?;
        metadata = rendered.instance_template.metadata.clone();
        pass.status.virtual_cluster = Some(rendered);
        // Before the digest says so: if this ends here, it is rendered again.
        pass.write_status().await?;
    }
    let mut annotations = metadata.annotations;
    annotations.extend([(APPLIED.to_owned(), resolution.digest.clone()), (RENDERED.to_owned(), input)]);
    pass.patch(json!({"metadata": {"labels": metadata.labels, "annotations": annotations}})).await
}

/// Checks what the platform itself follows in a definition, and works out what it adds.
fn check(pass: &Pass<'_>, definition: &VirtualClusterTemplateDefinition) -> Result<(), Halt> {
    settings::read(&definition.helm_release.values).map_err(|error| refused(&error))?;
    access_point(pass, definition).map(drop)
}

/// The host name by which a virtual cluster is reached from outside, where the template wants one.
pub(super) fn access_point(pass: &Pass<'_>, definition: &VirtualClusterTemplateDefinition) -> Result<Option<String>, Halt> {
    if !definition.access_point.ingress.enabled {
        return Ok(None);
    }
    match pass.cluster_annotations.get(ANNOTATION_INGRESS_SUFFIX) {
        Some(suffix) if !suffix.is_empty() => Ok(Some(access_point_host(pass.instance.name(), &pass.project, suffix))),
        _ => {
            let cluster = &pass.instance.spec.cluster_ref.cluster;
            let message = format!("accessPoint.ingress: cluster {cluster} needs the annotation {ANNOTATION_INGRESS_SUFFIX}");
            Err(Halt::error(Aspect::TemplateResolved, ERROR_MODIFYING_TEMPLATE, message))
        }
    }
}

/// The namespace that the project's pattern gives; `None`: it has none.
pub(super) async fn namespace_by_pattern(pass: &Pass<'_>, project: &Project, cluster: &Cluster) -> Result<Option<String>, Halt> {
    let pattern = project.spec.namespace_pattern.as_ref().map(|pattern| pattern.virtual_cluster.clone()).unwrap_or_default();
    if pattern.is_empty() {
        return Ok(None);
    }
    let halt = |error: &TemplateError| Halt::error(Aspect::Scheduled, error.reason, error.message.clone());
    let given = parameters::fill(&pass.instance.spec.parameters, None).map_err(|error| halt(&error))?;
    let facts = InstanceFacts { cluster: cluster.metadata.name.clone().unwrap_or_default(), ..facts(pass, BTreeMap::new()) };
    let text = Text { field: "the project's spec.namespacePattern.virtualCluster".into(), template: pattern };
    let values = values(given.values, &facts);
    let rendered = render::texts(&*pass.context.helm, &[text], &values).await.map_err(|error| halt(&error))?;
    Ok(rendered.into_iter().next().map(|name| name.trim().to_owned()))
}

fn facts(pass: &Pass<'_>, cluster_annotations: BTreeMap<String, String>) -> InstanceFacts {
    let spec = &pass.instance.spec;
    let owner = spec.owner.clone().unwrap_or_default();
    InstanceFacts {
        name: pass.instance.name().into(),
        project: pass.project.clone(),
        space: pass.instance.namespace().into(),
        cluster: spec.cluster_ref.cluster.clone(),
        virtual_cluster_name: spec.cluster_ref.virtual_cluster.clone(),
        virtual_cluster_namespace: spec.cluster_ref.namespace.clone(),
        user: owner.user,
        team: owner.team,
        cluster_annotations,
    }
}

fn refused(error: &TemplateError) -> Halt {
    Halt::error(Aspect::TemplateResolved, error.reason, error.message.clone())
}
