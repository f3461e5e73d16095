//! VirtualClusterInstance: a virtual cluster that a user or a team has in a project's namespace.

use crate::access::{AccessRule, ObjectAccess};
use crate::columns::{self, text, text_at};
use crate::kind::stored_kind;
use crate::rules::{
    ACCESS, CONDITIONS, EXTRA_ACCESS_RULES, TEMPLATE_RULES, access_of, condition_errors, default_owner, definition_errors,
    immutable_once_set, keep_owner, object_mut, part, role_errors,
};
use crate::sleep;
use crate::types::{
    Access, Condition, InstanceAccessRule, ObjectsStatus, SleepModeConfig, Typed, UserOrTeam, VirtualClusterTemplateDefinition, is_false,
};
use apiserver_meta::resource::{ExtendedField, PrivatePart, SelectableField};
use apiserver_meta::{Column, FieldError, FieldPath, Object, RequestContext, Resource, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub mod kubeconfig;
mod private;
pub mod roles;
#[cfg(test)]
mod tests;

/// A VirtualClusterInstance as Rust types.
pub type VirtualClusterInstance = Typed<VirtualClusterInstanceSpec, VirtualClusterInstanceStatus>;

/// The virtual cluster that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterInstanceSpec"))]
pub struct VirtualClusterInstanceSpec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the virtual cluster is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user or the team that owns the object and may do everything with it. Whoever creates it, when nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserOrTeam>,
    /// The template that the virtual cluster follows. It and `template` exclude each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_ref: Option<TemplateRef>,
    /// A template written out here. It and `templateRef` exclude each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<VirtualClusterTemplateDefinition>,
    /// Where the virtual cluster runs. The platform fills in what is left out; what is set never changes.
    pub cluster_ref: VirtualClusterClusterRef,
    /// The values of the template's parameters, as YAML with one key for each.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parameters: String,
    /// Rules about roles inside the virtual cluster, beside those of the template.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_access_rules: Vec<InstanceAccessRule>,
    /// Who may do what with this object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// Whether the virtual cluster is connected through the platform's own network.
    #[serde(skip_serializing_if = "is_false")]
    pub network_peer: bool,
    /// Whether the virtual cluster is deployed by somebody else than the platform.
    #[serde(skip_serializing_if = "is_false")]
    pub external: bool,
    /// Whether the virtual cluster runs on machines of its own, without a host cluster.
    #[serde(skip_serializing_if = "is_false")]
    pub standalone: bool,
}

/// A template, and which version of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.TemplateRef"))]
pub struct TemplateRef {
    /// The name of the template.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The version of the template: three numbers separated by dots. An `x` in place of a number stands for the latest one
    /// there, so that `1.x.x` follows all of version 1. The latest version when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Whether the virtual cluster is brought up to date with the template once. The platform takes it back when that is
    /// done. To follow a template for good, use the version `x.x.x`.
    #[serde(skip_serializing_if = "is_false")]
    pub sync_once: bool,
}

/// Where a virtual cluster runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterClusterRef"))]
pub struct VirtualClusterClusterRef {
    /// The host cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The namespace in the host cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the virtual cluster in that namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub virtual_cluster: String,
}

/// What is known of a virtual cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.VirtualClusterInstanceStatus"))]
pub struct VirtualClusterInstanceStatus {
    /// Where the virtual cluster is in its life: `Pending` (or empty), `Ready`, `Sleeping` or `Failed`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// The cause of the phase, in CamelCase, for programs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The cause of the phase, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The UID of the control plane's service. It identifies the virtual cluster.
    #[serde(rename = "serviceUID", skip_serializing_if = "String::is_empty")]
    pub service_uid: String,
    /// The version of Kubernetes that runs inside.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kubernetes_version: String,
    /// A hash of the values that were deployed last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deploy_hash: String,
    /// What is known of single aspects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What was applied inside the virtual cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_cluster_objects: Option<ObjectsStatus>,
    /// What was applied in the namespace that hosts the virtual cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_objects: Option<ObjectsStatus>,
    /// The template with all parameters filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_cluster: Option<VirtualClusterTemplateDefinition>,
    /// Whether the platform leaves the virtual cluster alone. It does so while an instance moves to another project, so
    /// that no two objects rule one virtual cluster.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_reconciliation: bool,
    /// Sleep mode: its settings and what is known of it, as the annotations say. Only for readers who ask by `extended=true`; never
    /// stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sleep_mode_config: Option<SleepModeConfig>,
    /// Whether whoever asks may use the virtual cluster. Only for readers who ask for it by `extended=true`; never stored.
    #[serde(skip_serializing_if = "is_false")]
    pub can_use: bool,
    /// Whether whoever asks may update the object. Only for readers who ask for it by `extended=true`; never stored.
    #[serde(skip_serializing_if = "is_false")]
    pub can_update: bool,
    /// Whether the virtual cluster is connected right now, where it connects through the platform's own network.
    #[serde(skip_serializing_if = "is_false")]
    pub online: bool,
}

const COLUMNS: &[Column] = &[
    Column::NAME,
    columns::DISPLAY_NAME,
    Column::text("Template", "The template that is followed, or the chart of a template that is written out.", |vci, _| template(vci)),
    Column::text("Cluster", "The host cluster.", |vci, _| text_at(vci, &["spec", "clusterRef", "cluster"])),
    columns::owner("The user or the team that owns the object."),
    Column::text("Phase", "Where the virtual cluster is in its life.", |vci, _| text(phase(vci))),
    Column::AGE,
    Column::text("Virtual Cluster", "The name of the virtual cluster in its namespace.", |vci, _| {
        text_at(vci, &["spec", "clusterRef", "virtualCluster"])
    })
    .wide(),
    Column::text("Host Namespace", "The namespace in the host cluster.", |vci, _| text_at(vci, &["spec", "clusterRef", "namespace"]))
        .wide(),
    Column::text("Version", "The version of the chart that runs the control plane.", |vci, _| text(chart(vci, "version"))).wide(),
    Column::text("Kubernetes", "The version of Kubernetes that runs inside.", |vci, _| text_at(vci, &["status", "kubernetesVersion"]))
        .wide(),
    Column::text("Message", "The cause of the phase.", |vci, _| text_at(vci, &["status", "message"])).wide(),
];

const SELECTABLE: &[SelectableField] = &[
    SelectableField { label: "spec.templateRef.name", path: &["spec", "templateRef", "name"] },
    SelectableField { label: "spec.owner.user", path: &["spec", "owner", "user"] },
    SelectableField { label: "spec.owner.team", path: &["spec", "owner", "team"] },
    SelectableField { label: "spec.clusterRef.cluster", path: &["spec", "clusterRef", "cluster"] },
    SelectableField { label: "status.phase", path: &["status", "phase"] },
];

const EXTENDED: &[ExtendedField] =
    &[ExtendedField { verb: "use", path: &["status", "canUse"] }, ExtendedField { verb: "update", path: &["status", "canUpdate"] }];

/// The resource `virtualclusterinstances`.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClusterInstances;

impl Resource for VirtualClusterInstances {
    stored_kind! {
        types: VirtualClusterInstanceSpec, VirtualClusterInstanceStatus;
        description: "A virtual cluster: a Kubernetes cluster that runs inside a namespace of another one and belongs to a project.";
        descriptor: {
            kind: "VirtualClusterInstance",
            plural: crate::plural::INSTANCES,
            singular: "virtualclusterinstance",
            scope: Scope::Namespaced,
            columns: COLUMNS,
            selectable_fields: SELECTABLE,
            extended: EXTENDED,
        };
        size_limits: &[ACCESS, CONDITIONS, EXTRA_ACCESS_RULES, TEMPLATE_RULES];
        errors: spec_errors;
        access: access;
        keeps: keep_owner, keep_cluster_ref;
    }

    fn prepare_for_create(&self, ctx: &RequestContext, object: &mut Object) {
        default_owner(ctx, object);
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Vec<FieldError> {
        CLUSTER_REF.iter().filter_map(|name| immutable_once_set(new, old, &["spec", "clusterRef", name])).collect()
    }

    fn private_parts(&self) -> &'static [PrivatePart] {
        private::PARTS
    }

    /// What annotations say of sleep mode is told in the status, where clients look for it.
    fn computed_fields(&self) -> &'static [&'static [&'static str]] {
        &[&["status", "sleepModeConfig"]]
    }

    /// A virtual cluster bears its instance's name, unless somebody else deploys it. Command lines show the field as the name.
    fn fill_extended(&self, object: &mut Object) {
        if let Some(sleep_mode) = sleep::config(object).and_then(|config| serde_json::to_value(config).ok()) {
            object_mut(object, "status").insert("sleepModeConfig".into(), sleep_mode);
        }
        let external = object.at(&["spec", "external"]) == Some(&Value::Bool(true));
        if external || !object.str_at(&["spec", "clusterRef", "virtualCluster"]).is_empty() {
            return;
        }
        let name = object.name().to_owned();
        set_cluster_ref(object, "virtualCluster", &name);
    }
}

fn spec_errors(spec: &VirtualClusterInstanceSpec, path: &FieldPath, instance: &Object) -> Vec<FieldError> {
    let mut errors = template_errors(spec, path);
    errors.extend(role_errors(&spec.extra_access_rules, &path.child("extraAccessRules")));
    errors.extend(condition_errors(instance));
    errors
}

/// Users and teams to whom a rule gives a role inside the virtual cluster, such as `vcluster platform share` adds, see and use the
/// instance too.
fn access(instance: &Object) -> ObjectAccess {
    let mut access = access_of(instance);
    access.rules.extend(use_of(instance));
    access
}

/// The fields of `spec.clusterRef`.
const CLUSTER_REF: [&str; 3] = ["cluster", "namespace", "virtualCluster"];

/// Keeps what `spec.clusterRef` said where the new form says nothing: the platform has filled it in, and files of clients leave
/// it out.
fn keep_cluster_ref(new: &mut Object, old: &Object) {
    for name in CLUSTER_REF {
        let set = old.str_at(&["spec", "clusterRef", name]);
        if !set.is_empty() && new.str_at(&["spec", "clusterRef", name]).is_empty() {
            set_cluster_ref(new, name, set);
        }
    }
}

fn set_cluster_ref(object: &mut Object, name: &str, value: &str) {
    let cluster_ref = object_mut(object, "spec").entry("clusterRef").or_insert_with(|| json!({}));
    if let Value::Object(cluster_ref) = cluster_ref {
        cluster_ref.insert(name.into(), value.into());
    }
}

/// One rule for all users and teams that `spec.extraAccessRules` names. Rules of templates give none of this: they say which
/// role those get who may use the virtual cluster.
fn use_of(object: &Object) -> Option<AccessRule> {
    let rules: Vec<InstanceAccessRule> = part(object, &["spec", "extraAccessRules"]).unwrap_or_default();
    let verbs = || ["get", "use"].map(str::to_owned).into();
    let (users, teams) = rules.into_iter().fold((Vec::new(), Vec::new()), |(mut users, mut teams), rule| {
        users.extend(rule.users);
        teams.extend(rule.teams);
        (users, teams)
    });
    let names_somebody = !users.is_empty() || !teams.is_empty();
    names_somebody.then(|| AccessRule { verbs: verbs(), subresources: Vec::new(), users, teams })
}

fn template_errors(spec: &VirtualClusterInstanceSpec, path: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let by_reference = spec.template_ref.as_ref().is_some_and(|reference| *reference != TemplateRef::default());
    if by_reference && spec.template.is_some() {
        errors.push(FieldError::forbidden(&path.child("template"), "may not be set together with spec.templateRef"));
    }
    if let Some(reference) = &spec.template_ref
        && !is_version_pattern(&reference.version)
    {
        let detail = "must be three parts separated by dots, each a number or x, such as 1.2.x";
        errors.push(FieldError::invalid(&path.child("templateRef").child("version"), reference.version.as_str(), detail));
    }
    if let Some(template) = &spec.template {
        errors.extend(definition_errors(template, &path.child("template")));
    }
    errors
}

/// Empty, or three parts separated by dots, each a number or an x, with an optional v before them.
fn is_version_pattern(version: &str) -> bool {
    let is_part = |part: &str| matches!(part, "x" | "X") || !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = version.strip_prefix('v').unwrap_or(version).split('.');
    version.is_empty() || parts.clone().count() == 3 && parts.clone().all(is_part)
}

/// A cell with the template that is followed, or the chart of a template that is written out.
fn template(object: &Object) -> Value {
    match object.str_at(&["spec", "templateRef", "name"]) {
        "" => text(chart(object, "name")),
        name => text(name),
    }
}

/// A field of the chart that runs the control plane: as deployed, else as wanted.
fn chart<'a>(object: &'a Object, name: &str) -> &'a str {
    match object.str_at(&["status", "virtualCluster", "helmRelease", "chart", name]) {
        "" => object.str_at(&["spec", "template", "helmRelease", "chart", name]),
        deployed => deployed,
    }
}

fn phase(object: &Object) -> &str {
    match object.str_at(&["status", "phase"]) {
        _ if object.is_terminating() => "Terminating",
        "" => "Pending",
        phase => phase,
    }
}
