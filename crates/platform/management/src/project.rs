//! Project: a namespace for instances, and who may do what in it.

use crate::access::{AccessRule, ObjectAccess};
use crate::columns::{self, text_at};
use crate::kind::stored_kind;
use crate::rules::{ACCESS, CONDITIONS, access_of, keep_owner, part};
use crate::types::{Access, Condition, TemplateMetadata, Typed, UserOrTeam, is_false};
use apiserver_meta::field::MOST_ERRORS;
use apiserver_meta::resource::PrivatePart;
use apiserver_meta::validation::is_dns1123_label;
use apiserver_meta::{Column, FieldError, FieldPath, Object, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod private;
mod quota;
#[cfg(test)]
mod tests;

pub use quota::{ClusterQuotaUse, Counted, ProjectQuotaStatus, QuotaStatus, Quotas, UserQuotaStatus, UserQuotaUse};

/// A Project as Rust types.
pub type Project = Typed<ProjectSpec, ProjectStatus>;

/// The cluster roles that a member can have, the greatest first.
pub const PROJECT_ROLES: [&str; 3] = ["loft-management-project-admin", "loft-management-project-user", "loft-management-project-viewer"];

/// What the project allows, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ProjectSpec"))]
pub struct ProjectSpec {
    /// The name that people read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the project is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The user or the team that owns the project and may do everything in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserOrTeam>,
    /// Limits on what the project holds.
    pub quotas: Quotas,
    /// Host clusters that instances may run in; the name `*` stands for any. Without an entry there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_clusters: Vec<NameRef>,
    /// Runners that may be used; the name `*` stands for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_runners: Vec<NameRef>,
    /// Templates that may be used; the name `*` stands for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_templates: Vec<AllowedTemplate>,
    /// Node types that may be used: all when absent, none when empty. A name may be `PROVIDER.*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_node_types: Option<Vec<NameRef>>,
    /// Node profiles that may be used: all when absent, none when empty. A name may be `OWNER.*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_node_profiles: Option<Vec<NameRef>>,
    /// The node profile where none is given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub default_node_profile: String,
    /// Whether instances must follow a template.
    pub require_template: RequireTemplate,
    /// Whether workspaces must use a preset.
    pub require_preset: RequirePreset,
    /// Who is in the project, and as what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// Who may do what with this object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// What is put onto the project's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_template: Option<NamespaceTemplate>,
    /// How the namespaces that host instances are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_pattern: Option<NamespacePattern>,
    /// A link with Argo CD. Kept as it is.
    #[serde(rename = "argoCD", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub argo_cd: Option<Map<String, Value>>,
    /// A link with Vault. Kept as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub vault: Option<Map<String, Value>>,
}

impl ProjectSpec {
    /// Whether instances of the project may run in this host cluster: one that is named, or any by the name `*`. A list that is empty
    /// allows none.
    pub fn allows_cluster(&self, cluster: &str) -> bool {
        self.allowed_clusters.iter().any(|allowed| !cluster.is_empty() && ["*", cluster].contains(&allowed.name.as_str()))
    }
}

/// Something that is allowed, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.NameRef"))]
pub struct NameRef {
    /// The name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// A template that may be used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.AllowedTemplate"))]
pub struct AllowedTemplate {
    /// The kind of the template: `VirtualClusterTemplate` or `SpaceTemplate`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The API group of the template, such as `storage.loft.sh`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The name of the template, or `*`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether the template is taken when none is given.
    #[serde(skip_serializing_if = "is_false")]
    pub is_default: bool,
}

/// Whether instances must follow a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.RequireTemplate"))]
pub struct RequireTemplate {
    /// Whether instances may do without a template.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// Whether workspaces must use a preset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.RequirePreset"))]
pub struct RequirePreset {
    /// Whether workspaces must use a preset. The name says the opposite, for reasons of history.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// A member of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.Member"))]
pub struct Member {
    /// `User` or `Team`.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["Team", "User"]))]
    pub kind: String,
    /// The API group of the member, such as `storage.loft.sh`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The name of the user or team, or `*` for everybody.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What the member may do: `loft-management-project-admin`, `loft-management-project-user` or
    /// `loft-management-project-viewer`.
    pub cluster_role: String,
}

impl Member {
    /// Whether the role is one of [`PROJECT_ROLES`], in its long or short form. Others give nothing.
    pub fn has_known_role(&self) -> bool {
        PROJECT_ROLES.iter().any(|role| self.has_role(role))
    }

    /// Whether the role is the greatest.
    fn is_admin(&self) -> bool {
        self.has_role(PROJECT_ROLES[0])
    }

    fn has_role(&self, role: &str) -> bool {
        self.cluster_role == role || role.rsplit('-').next() == Some(self.cluster_role.as_str())
    }
}

/// What is put onto a project's namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.NamespaceTemplate"))]
pub struct NamespaceTemplate {
    /// Labels and annotations for the namespace.
    pub metadata: TemplateMetadata,
}

/// How the namespaces that host instances are named.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.NamespacePattern"))]
pub struct NamespacePattern {
    /// The pattern for spaces.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub space: String,
    /// The pattern for virtual clusters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub virtual_cluster: String,
}

/// What is known of the project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ProjectStatus"))]
pub struct ProjectStatus {
    /// How much of the limits is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotas: Option<QuotaStatus>,
    /// What is known of single aspects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

const COLUMNS: &[Column] = &[
    Column::NAME,
    columns::DISPLAY_NAME,
    columns::owner("The user or the team that owns the project."),
    Column::integer("Members", "How many entries the list of members has.", |project, _| members(project).len().into()),
    Column::AGE,
    Column::text("Description", "What the project is for.", |project, _| text_at(project, &["spec", "description"])).wide(),
];

/// The resource `projects`.
#[derive(Clone, Copy, Debug)]
pub struct Projects;

impl Resource for Projects {
    stored_kind! {
        types: ProjectSpec, ProjectStatus;
        description: "A namespace for virtual clusters, who may do what in it, and what they may use.";
        descriptor: { kind: "Project", plural: crate::plural::PROJECTS, singular: "project", columns: COLUMNS };
        size_limits: &[ACCESS, CONDITIONS];
        errors: spec_errors;
        access: access;
        keeps: keep_owner;
    }

    fn private_parts(&self) -> &'static [PrivatePart] {
        &[private::PART]
    }

    fn warnings(&self, object: &Object) -> Vec<String> {
        let members = members(object).into_iter().enumerate();
        let unknown = members.filter(|(_, member)| !member.has_known_role()).take(MOST_ERRORS).map(|(index, member)| {
            format!("spec.members[{index}].clusterRole: {:?} is no role in projects and gives nothing", member.cluster_role)
        });
        let quotas: Quotas = part(object, &["spec", "quotas"]).unwrap_or_default();
        let idle = quotas.idle(&FieldPath::new("spec").child("quotas"));
        unknown.chain(idle.iter().map(|path| format!("{}: is not counted here and limits nothing", path.as_str()))).collect()
    }
}

fn spec_errors(spec: &ProjectSpec, path: &FieldPath, project: &Object) -> Vec<FieldError> {
    let mut errors = name_errors(project);
    errors.extend(spec.quotas.errors(&path.child("quotas")));
    errors.extend(member_errors(&spec.members, &path.child("members")));
    errors
}

/// Members see their project, and its admins change it.
fn access(project: &Object) -> ObjectAccess {
    let (mut access, members) = (access_of(project), members(project));
    access.rules.push(rule(&["get"], &members, Member::has_known_role));
    access.rules.push(rule(&["update", "patch"], &members, Member::is_admin));
    access
}

fn members(object: &Object) -> Vec<Member> {
    part(object, &["spec", "members"]).unwrap_or_default()
}

/// The rule that lets some members do this with their project. The name `*` of kind User means everybody, teams too.
fn rule(verbs: &[&str], members: &[Member], is_meant: fn(&Member) -> bool) -> AccessRule {
    let meant = || members.iter().filter(|member| is_meant(member));
    let names = |kind: &'static str| meant().filter(move |member| member.kind == kind).map(|member| member.name.clone());
    let everybody = meant().filter(|member| member.kind == "User" && member.name == "*").map(|member| member.name.clone());
    AccessRule {
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        subresources: Vec::new(),
        users: names("User").collect(),
        teams: names("Team").chain(everybody).collect(),
    }
}

/// A project's name is the end of its namespace's name, which is a DNS label.
fn name_errors(object: &Object) -> Vec<FieldError> {
    let path = FieldPath::new("metadata").child("name");
    is_dns1123_label(object.name()).into_iter().map(|why| FieldError::invalid(&path, object.name(), why)).collect()
}

fn member_errors(members: &[Member], path: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, member) in members.iter().enumerate() {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let path = path.index(index);
        match member.kind.as_str() {
            "" => errors.push(FieldError::required(&path.child("kind"), "must be User or Team")),
            "User" | "Team" => {}
            other => errors.push(FieldError::not_supported(&path.child("kind"), other, &["Team", "User"])),
        }
        if member.name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        }
        if member.cluster_role.is_empty() {
            errors.push(FieldError::required(&path.child("clusterRole"), ""));
        }
    }
    errors
}
