//! What the objects say, reduced to what decisions need. The objects' owner makes these; nothing here reads JSON.

use vci_meta::Caller;

/// A User object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRecord {
    /// Its name: the name of the identity.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// `spec.groups`.
    pub groups: Vec<String>,
    /// `spec.disabled`: the keys of such a user stop working.
    pub disabled: bool,
    /// The names in `spec.clusterRoles`.
    pub cluster_roles: Vec<String>,
}

/// A Team object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamRecord {
    /// Its name.
    pub name: String,
    /// `spec.users`: members by name.
    pub users: Vec<String>,
    /// `spec.groups`: whoever is in one of these groups is a member.
    pub groups: Vec<String>,
    /// The names in `spec.clusterRoles`.
    pub cluster_roles: Vec<String>,
}

/// Whom an entry of a project speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// One user.
    User(String),
    /// The members of one team.
    Team(String),
    /// Every user and every team: the name `*` of kind User.
    Everyone,
    /// The members of any team: the name `*` of kind Team.
    AnyTeam,
}

impl Principal {
    /// Whether the caller is meant. Identities from elsewhere, which are neither user nor team here, never are.
    pub fn covers(&self, caller: &Caller) -> bool {
        match self {
            Self::User(name) => caller.user.as_ref() == Some(name),
            Self::Team(name) => caller.teams.contains(name),
            Self::Everyone => caller.user.is_some() || !caller.teams.is_empty(),
            Self::AnyTeam => !caller.teams.is_empty(),
        }
    }
}

/// What a member may do in a project; a greater one includes the lesser ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees what was granted.
    Viewer,
    /// Creates, and sees and changes what is owned or was granted.
    User,
    /// Does everything in the project.
    Admin,
}

impl Role {
    /// The role that `spec.members[].clusterRole` names, in its long or short form; `None` for others, which give nothing.
    pub fn from_cluster_role(name: &str) -> Option<Self> {
        match name.strip_prefix("loft-management-project-").unwrap_or(name) {
            "admin" => Some(Self::Admin),
            "user" => Some(Self::User),
            "viewer" => Some(Self::Viewer),
            _ => None,
        }
    }
}

/// An entry of `spec.members`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub who: Principal,
    /// May do what.
    pub role: Role,
}

/// A Project object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectRecord {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its creation, RFC 3339.
    pub creation_timestamp: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// `spec.owner`: admin of the project.
    pub owner: Option<Principal>,
    /// `spec.members`.
    pub members: Vec<Member>,
}

impl ProjectRecord {
    /// The greatest role that the caller has in the project.
    pub fn role(&self, caller: &Caller) -> Option<Role> {
        let owner = self.owner.as_ref().filter(|owner| owner.covers(caller)).map(|_| Role::Admin);
        let member = self.members.iter().filter(|member| member.who.covers(caller)).map(|member| member.role).max();
        owner.max(member)
    }
}

/// Whose key an access key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A user's.
    User(String),
    /// A team's.
    Team(String),
}

/// What a key is narrowed to (`spec.scope`). Only what this server serves can be named; whatever else a scope
/// names opens nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyScope {
    /// Projects; `*` is all.
    pub projects: Vec<String>,
    /// Projects and instances in them; `*` is all of a project.
    pub instances: Vec<(String, String)>,
}

/// An OwnedAccessKey object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its name.
    pub name: String,
    /// SHA-256 of the secret.
    pub digest: [u8; 32],
    /// Whose it is.
    pub holder: Holder,
    /// `spec.disabled`.
    pub disabled: bool,
    /// From when on it is refused, in Unix seconds; `None`: never.
    pub expires: Option<i64>,
    /// What it is narrowed to; `None`: all that its holder may do.
    pub scope: Option<KeyScope>,
}
