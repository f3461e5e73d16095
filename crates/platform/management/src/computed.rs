//! Kinds that are answered and never stored: their descriptors and forms. Who answers, and what, is not said here.

use crate::ownedaccesskey::scope::AccessKeyScope;
use crate::plural;
use crate::types::EntityInfo;
use crate::{GROUP, VERSION};
use apiserver_meta::schema::{Field, ListMerge, MapMerge, Presence, Shape};
use apiserver_meta::virtual_resource::{Audience, Method, Place};
use apiserver_meta::{Resource, Schema, Scope, VirtualDescriptor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

const fn question(kind: &'static str, plural: &'static str, singular: &'static str, audience: Audience) -> VirtualDescriptor {
    VirtualDescriptor {
        group: GROUP,
        version: VERSION,
        kind,
        place: Place::Collection { plural, singular, scope: Scope::Cluster },
        audience,
    }
}

const fn view(kind: &'static str, of: &'static str, name: &'static str) -> VirtualDescriptor {
    let place = Place::Subresource { of, name, method: Method::Get };
    VirtualDescriptor { group: GROUP, version: VERSION, kind, place, audience: Audience::Allowed }
}

/// Who is calling, and by which key. The first thing that every client of the platform asks.
pub static SELF: VirtualDescriptor = question("Self", "selves", "self", Audience::Known);
/// May the caller: the form of `authorization.k8s.io`.
pub static SELF_SUBJECT_ACCESS_REVIEW: VirtualDescriptor =
    question("SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview", Audience::Known);
/// May somebody: the form of `authorization.k8s.io`.
pub static SUBJECT_ACCESS_REVIEW: VirtualDescriptor =
    question("SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview", Audience::Allowed);
/// The users and teams in a project.
pub static PROJECT_MEMBERS: VirtualDescriptor = view("ProjectMembers", plural::PROJECTS, "members");
/// The templates that a project allows.
pub static PROJECT_TEMPLATES: VirtualDescriptor = view("ProjectTemplates", plural::PROJECTS, "templates");
/// The host clusters that a project allows.
pub static PROJECT_CLUSTERS: VirtualDescriptor = view("ProjectClusters", plural::PROJECTS, "clusters");
/// An access key of a virtual cluster itself.
pub static VIRTUAL_CLUSTER_ACCESS_KEY: VirtualDescriptor = view("VirtualClusterAccessKey", plural::INSTANCES, "accesskey");
/// The access keys of a user.
pub static USER_ACCESS_KEYS: VirtualDescriptor = view("UserAccessKeys", plural::USERS, "accesskeys");
/// The access keys of a team.
pub static TEAM_ACCESS_KEYS: VirtualDescriptor = view("TeamAccessKeys", plural::TEAMS, "accesskeys");

/// The question of a Self.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.SelfSpec"))]
pub struct SelfSpec {
    /// The secret of another access key, to be told whose that is. It is not repeated in the answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
}

/// Who is calling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.SelfStatus"))]
pub struct SelfStatus {
    /// The user; absent for the keys of teams and for identities from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserInfo>,
    /// The team that the key acts as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<EntityInfo>,
    /// The name of the access key; absent for whoever came without one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    /// What the key is narrowed to; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_scope: Option<AccessKeyScope>,
    /// What sort of key it is: empty, `Login`, `User`, `Other`, `Reset`, `OIDCRefreshToken`, `NetworkPeer` or `Workspace`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key_type: String,
    /// The name that rules and audit know the caller by.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// An identifier of the caller that survives a rename.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The groups that the caller is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// With what the name of a project becomes that of its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_namespace_prefix: Option<String>,
}

/// A user, and the user's teams.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.UserInfo"))]
pub struct UserInfo {
    /// The user.
    #[serde(flatten)]
    pub info: EntityInfo,
    /// The teams that the user is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<EntityInfo>,
}

/// A member of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.ProjectMember"))]
pub struct ProjectMember {
    /// Who it is.
    pub info: EntityInfo,
}

/// The forms of a Self.
pub fn self_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> =
        LazyLock::new(|| Schema::kind::<SelfSpec, SelfStatus>("sh.loft.management.v1.Self", "Who is calling, and by which access key."));
    &SCHEMA
}

/// The form of a project's members.
pub fn project_members_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let member = || Schema::of::<ProjectMember>();
        let fields = [("teams", list(member(), "The teams.")), ("users", list(member(), "The users."))];
        answer("ProjectMembers", "The users and teams in a project.", fields)
    });
    &SCHEMA
}

/// The form of a project's templates.
pub fn project_templates_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let template = crate::virtualclustertemplate::VirtualClusterTemplates.schema().clone();
        let default = "The template that is taken when none is given; absent when there is none.";
        let fields = [
            ("defaultVirtualClusterTemplate", word(default)),
            ("virtualClusterTemplates", list(template, "The templates for virtual clusters.")),
        ];
        answer("ProjectTemplates", "The templates that a project allows.", fields)
    });
    &SCHEMA
}

/// The form of a project's clusters.
pub fn project_clusters_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let fields = [("clusters", list(crate::cluster::Clusters.schema().clone(), "The clusters."))];
        answer("ProjectClusters", "The host clusters that a project allows.", fields)
    });
    &SCHEMA
}

/// The form of a user's access keys.
pub fn user_access_keys_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| keys("UserAccessKeys", "The access keys of a user, without their secrets."));
    &SCHEMA
}

/// The form of a team's access keys.
pub fn team_access_keys_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| keys("TeamAccessKeys", "The access keys of a team, without their secrets."));
    &SCHEMA
}

/// The form of an access key of a virtual cluster.
pub fn virtual_cluster_access_key_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let fields = [("accessKey", word("The secret of a key that was made for this answer."))];
        answer("VirtualClusterAccessKey", "An access key with which a virtual cluster acts for itself.", fields)
    });
    &SCHEMA
}

fn keys(kind: &str, description: &str) -> Schema {
    let key = crate::ownedaccesskey::OwnedAccessKeys.schema().clone();
    answer(kind, description, [("accessKeys", list(key, "The keys."))])
}

/// A kind without spec and status.
fn answer<const N: usize>(kind: &str, description: &str, fields: [(&str, Field); N]) -> Schema {
    let metadata = field(Schema::of::<apiserver_meta::types::ObjectMeta>(), "Metadata that every object has.", Presence::Always);
    let own = [("apiVersion", word("The version of this form.")), ("kind", word("The kind of this form.")), ("metadata", metadata)];
    let fields = own.into_iter().chain(fields).map(|(name, field)| (name.to_owned(), field)).collect::<BTreeMap<_, _>>();
    Schema {
        description: description.into(),
        shape: Shape::Object { fields, merge: MapMerge::Granular },
        component: Some(format!("sh.loft.management.v1.{kind}")),
    }
}

fn list(items: Schema, description: &str) -> Field {
    field(Schema::plain(Shape::List { items: Arc::new(items), merge: ListMerge::Atomic }), description, Presence::OmitZero)
}

fn word(description: &str) -> Field {
    field(Schema::plain(Shape::String { format: None, allowed: Vec::new() }), description, Presence::OmitZero)
}

fn field(schema: Schema, description: &str, presence: Presence) -> Field {
    Field { schema: Arc::new(schema), description: description.into(), presence, required: false, default: None }
}
