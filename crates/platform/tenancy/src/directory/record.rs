//! The content of users, teams, projects and keys, reduced to what decisions need. Nothing here reads JSON.

use super::KeyScope;
use std::sync::Arc;
use vci_management::access::{Caller, ObjectAccess, VirtualClusterIdentity};
use vci_management::key_hash::Digest;

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
    /// Its creation, in Unix seconds.
    pub created: i64,
}

/// A Team object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamRecord {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// `spec.users`: members by name.
    pub users: Vec<String>,
    /// `spec.groups`: whoever is in one of these groups is a member.
    pub groups: Vec<String>,
    /// The names in `spec.clusterRoles`.
    pub cluster_roles: Vec<String>,
    /// Its creation, in Unix seconds.
    pub created: i64,
}

/// The users that an entry of a project is for.
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

/// The role of a member in a project. A greater role includes the lesser ones.
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
    /// The user or the team.
    pub who: Principal,
    /// The role that it has.
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
    /// The names in `spec.allowedClusters`; `*` is all.
    pub allowed_clusters: Vec<String>,
    /// The owner and the access rules of the object: `spec.owner` and `spec.access`.
    pub access: ObjectAccess,
}

impl ProjectRecord {
    /// Whether both let the same callers do the same.
    pub(super) fn decides_like(&self, other: &Self) -> bool {
        let Self { owner, members, allowed_clusters, access, .. } = self;
        (owner, members, allowed_clusters, access) == (&other.owner, &other.members, &other.allowed_clusters, &other.access)
    }

    /// The greatest role that the caller has in the project.
    pub fn role(&self, caller: &Caller) -> Option<Role> {
        let owner = self.owner.as_ref().filter(|owner| owner.covers(caller)).map(|_| Role::Admin);
        let member = self.members.iter().filter(|member| member.who.covers(caller)).map(|member| member.role).max();
        owner.max(member)
    }
}

/// The user, the team or the virtual cluster that an access key acts as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A user's.
    User(String),
    /// A team's.
    Team(String),
    /// A virtual cluster's own.
    VirtualCluster(VirtualClusterIdentity),
}

impl Holder {
    /// The holder whom a key's `spec.user`, `spec.team` or `spec.subject` names.
    pub fn named(user: &str, team: &str, subject: &str) -> Option<Self> {
        match (user, team) {
            ("", "") => VirtualClusterIdentity::parse(subject).map(Self::VirtualCluster),
            ("", team) => Some(Self::Team(team.into())),
            (user, _) => Some(Self::User(user.into())),
        }
    }
}

/// Which of all who ever bore the holder's name holds a key. A name can be given again, and keys do not go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderIdentity {
    /// The one with this UID.
    Uid(String),
    /// It was not noted: whoever had been created when the key was, at this time in Unix seconds.
    CreatedBy(i64),
}

impl HolderIdentity {
    /// Whether somebody with this UID, who was created at this time, is meant.
    pub fn is(&self, uid: &str, created: i64) -> bool {
        match self {
            Self::Uid(noted) => noted == uid,
            Self::CreatedBy(time) => created <= *time,
        }
    }
}

/// How long a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For ever.
    Endless,
    /// Until this time, in Unix seconds.
    Until(i64),
    /// As long as it is used at least once in so many seconds.
    Idle {
        /// How long it may lie unused.
        seconds: i64,
        /// Its creation, or the last use that is stored, in Unix seconds.
        since: i64,
    },
}

impl Lifetime {
    /// From when on the key is refused, when it was last used at `used`; both in Unix seconds. `None`: never.
    pub fn end(self, used: i64) -> Option<i64> {
        match self {
            Self::Endless => None,
            Self::Until(end) => Some(end),
            Self::Idle { seconds, since } => Some(since.max(used).saturating_add(seconds)),
        }
    }

    /// Whether a key with this lifetime gives no more time than one with the other, both seen at `now`.
    pub fn within(self, other: Self, now: i64) -> bool {
        match (self, other) {
            (_, Self::Endless) => true,
            (Self::Endless, _) | (Self::Idle { .. }, Self::Until(_)) => false,
            (Self::Until(end), Self::Until(bound)) => end <= bound,
            // What lies idle for so long is refused; whoever uses it now has it until then.
            (Self::Until(end), Self::Idle { seconds, .. }) => end <= now.saturating_add(seconds),
            (Self::Idle { seconds, .. }, Self::Idle { seconds: bound, .. }) => seconds <= bound,
        }
    }
}

/// An OwnedAccessKey object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its name.
    pub name: String,
    /// SHA-256 of the secret.
    pub digest: Digest,
    /// The user or the team that the key acts as, by name.
    pub holder: Holder,
    /// The object of that name that holds the key: a later object of the same name does not.
    pub holder_identity: HolderIdentity,
    /// `spec.disabled`.
    pub disabled: bool,
    /// How long it is good.
    pub lifetime: Lifetime,
    /// `status.lastActivity` in Unix seconds; 0 when it is not known to have been used.
    pub last_activity: i64,
    /// The scope that the key is narrowed to; `None`: all that its holder may do.
    pub scope: Option<Arc<KeyScope>>,
}

impl KeyRecord {
    /// Whether both say the same, but for when the key was last used.
    pub(super) fn same_but_for_use(&self, other: &Self) -> bool {
        let unused = |key: &Self| {
            let lifetime = match key.lifetime {
                Lifetime::Idle { seconds, .. } => Lifetime::Idle { seconds, since: 0 },
                lifetime => lifetime,
            };
            Self { last_activity: 0, lifetime, ..key.clone() }
        };
        unused(self) == unused(other)
    }
}
