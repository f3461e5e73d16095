//! From stored objects to the directory's records. Stored objects were validated: what is missing here means nothing.

use serde_json::Value;
mod scope;

use crate::directory::{Holder, HolderIdentity, KeyRecord, Lifetime, Member, Principal, ProjectRecord, Role, TeamRecord, UserRecord};
use apiserver_meta::Object;
use std::sync::Arc;
use vci_management::access::{ObjectAccess, owner_of};
use vci_management::key_hash;

pub(crate) fn user(object: &Object) -> UserRecord {
    UserRecord {
        name: object.name().into(),
        uid: object.uid().into(),
        groups: strings(object.at(&["spec", "groups"])),
        disabled: flag(object, &["spec", "disabled"]),
        cluster_roles: names(object.at(&["spec", "clusterRoles"])),
        created: created(object),
    }
}

pub(crate) fn team(object: &Object) -> TeamRecord {
    TeamRecord {
        name: object.name().into(),
        uid: object.uid().into(),
        users: strings(object.at(&["spec", "users"])),
        groups: strings(object.at(&["spec", "groups"])),
        cluster_roles: names(object.at(&["spec", "clusterRoles"])),
        created: created(object),
    }
}

/// When it was created. A time that cannot be read is still to come, so that no older key is taken for this one's.
fn created(object: &Object) -> i64 {
    object.created_at().unwrap_or(i64::MAX)
}

/// `access` is what the kind reads out of the object.
pub(crate) fn project(object: &Object, access: ObjectAccess) -> ProjectRecord {
    ProjectRecord {
        name: object.name().into(),
        uid: object.uid().into(),
        creation_timestamp: object.meta_str("creationTimestamp").into(),
        resource_version: object.resource_version().into(),
        owner: owner(object),
        members: items(object.at(&["spec", "members"])).filter_map(member).collect(),
        allowed_clusters: names(object.at(&["spec", "allowedClusters"])),
        access,
    }
}

/// `None` for a key that is nobody's or has no secret.
pub(crate) fn key(object: &Object) -> Option<KeyRecord> {
    Some(KeyRecord {
        name: object.name().into(),
        digest: key_hash::parse(object.str_at(&["status", "keyHash"]))?,
        holder: Holder::named(object.str_at(&["spec", "user"]), object.str_at(&["spec", "team"]), object.str_at(&["spec", "subject"]))?,
        holder_identity: match object.str_at(&["status", "holderUID"]) {
            // Keys of servers that did not note it.
            "" => HolderIdentity::CreatedBy(object.created_at().unwrap_or(i64::MIN)),
            uid => HolderIdentity::Uid(uid.into()),
        },
        disabled: flag(object, &["spec", "disabled"]),
        lifetime: lifetime(object),
        last_activity: last_activity(object).unwrap_or(0),
        scope: object.at(&["spec", "scope"]).filter(|scope| !scope.is_null()).map(scope::read).map(Arc::new),
    })
}

/// A lifetime counts from the key's creation, or from its last use where it says so. The creation is no use, but the
/// first one has as much time.
fn lifetime(object: &Object) -> Lifetime {
    let Some(seconds) = object.at(&["spec", "ttl"]).and_then(Value::as_i64).filter(|ttl| *ttl > 0) else { return Lifetime::Endless };
    // A time that cannot be read is long past: such a key is refused.
    let created = object.created_at().unwrap_or(0);
    if flag(object, &["spec", "ttlAfterLastActivity"]) {
        return Lifetime::Idle { seconds, since: last_activity(object).unwrap_or(created) };
    }
    Lifetime::Until(created.saturating_add(seconds))
}

/// `status.lastActivity`; one that cannot be read is long past.
fn last_activity(object: &Object) -> Option<i64> {
    let text = object.str_at(&["status", "lastActivity"]);
    (!text.is_empty()).then(|| text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second))
}

fn owner(object: &Object) -> Option<Principal> {
    match owner_of(object) {
        ("", "") => None,
        ("", team) => Some(Principal::Team(team.into())),
        (user, _) => Some(Principal::User(user.into())),
    }
}

/// `None` for members of no role that is known: they have none.
fn member(entry: &Value) -> Option<Member> {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or("");
    let who = match (text("kind"), text("name")) {
        (_, "") => return None,
        ("Team", "*") => Principal::AnyTeam,
        ("Team", name) => Principal::Team(name.into()),
        ("User" | "", "*") => Principal::Everyone,
        ("User" | "", name) => Principal::User(name.into()),
        _ => return None,
    };
    Some(Member { who, role: Role::from_cluster_role(text("clusterRole"))? })
}

/// The names of a list of references.
fn names(list: Option<&Value>) -> Vec<String> {
    items(list).filter_map(|reference| reference.get("name")?.as_str()).map(str::to_owned).collect()
}

fn strings(list: Option<&Value>) -> Vec<String> {
    items(list).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

fn flag(object: &Object, path: &[&str]) -> bool {
    object.at(path).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests;
