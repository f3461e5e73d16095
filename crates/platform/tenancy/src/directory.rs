//! The picture of users, teams, projects and access keys that decisions are made from.
//!
//! Its owner puts and removes one record at a time, every request reads it. Locks are held for a few map
//! look-ups and never across an await. Secrets are not in it, only their SHA-256: keys are at least 256 random
//! bits, so that a slow hash would protect nothing. Refused: JSON, stores, deciding what a role allows.

mod identities;
mod key;
mod record;
pub(crate) mod scope;
#[cfg(test)]
mod tests;

pub use record::{Holder, HolderIdentity, KeyRecord, Lifetime, Member, Principal, ProjectRecord, Role, TeamRecord, UserRecord};
pub use scope::{KeyRole, KeyScope, RoleInScope, RuleResources, ScopeParts, ScopeRule};

use crate::namespace_prefix::NamespacePrefix;
use apiserver_auth::Identity;
use apiserver_meta::User;
use apiserver_meta::context::{GROUP_AUTHENTICATED, GROUP_MASTERS};
use key::{KeyEntry, same};
use scope::names;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;
use vci_management::access::{Caller, VirtualClusterIdentity};
use vci_management::key_hash::{self, Digest};

/// The group of every caller who is known by an access key of this server.
pub const GROUP_LOFT_AUTHENTICATED: &str = "loft:authenticated";
/// The group of every caller who acts as a User object.
pub const GROUP_USERS: &str = "loft:user:*";
/// The prefix of the user name of a caller who acts as a team. The team's name follows.
pub const TEAM_PREFIX: &str = "loft:team:";
/// The key of [`User::extra`] under which the name of the access key stands that a request came with.
pub const EXTRA_ACCESS_KEY: &str = "management.loft.sh/access-key";
/// The cluster role, of a user or of one of the user's teams, that may do everything.
pub const CLUSTER_ROLE_ADMIN: &str = "loft-management-admin";
/// The prefix of projects' namespaces when no other is configured.
pub const DEFAULT_NAMESPACE_PREFIX: &str = "loft-p-";

/// The picture, kept current by its owner and read by every request.
#[derive(Debug)]
pub struct Directory {
    namespace_prefix: NamespacePrefix,
    tables: RwLock<Tables>,
    /// Without one no virtual cluster is known.
    instances: OnceLock<Arc<dyn Instances>>,
    /// How often a decision may have become another one.
    changes: watch::Sender<u64>,
}

/// Tells which instances there are: the keys of a virtual cluster are good as long as its instance is there.
pub trait Instances: fmt::Debug + Send + Sync {
    /// The UID of the instance; `None` when there is none.
    fn uid(&self, identity: &VirtualClusterIdentity) -> Option<String>;
}

#[derive(Debug, Default)]
struct Tables {
    users: HashMap<String, UserEntry>,
    teams: BTreeMap<String, TeamEntry>,
    projects: BTreeMap<String, ProjectRecord>,
    keys: HashMap<String, KeyEntry>,
    /// Names of keys by digest. More than one key may hold the same secret.
    digests: HashMap<Digest, Vec<String>>,
    /// How many keys each holder has.
    held: HashMap<Holder, usize>,
}

/// The holder of a key that is good.
enum FoundHolder {
    Known(Identity),
    /// Known if its instance is there, which is not for the directory to say.
    VirtualCluster(VirtualClusterIdentity),
}

#[derive(Debug)]
struct UserEntry {
    record: UserRecord,
    /// Made by the first request after a change of the user or of any team, then shared by all.
    identity: OnceLock<Identity>,
}

#[derive(Debug)]
struct TeamEntry {
    record: TeamRecord,
    identity: Identity,
}

/// A project's namespace, as `kubectl get namespaces` shows it when no cluster stands behind the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// The namespace's name: prefix and project.
    pub name: String,
    /// The project's name.
    pub project: String,
    /// The project's UID.
    pub uid: String,
    /// RFC 3339.
    pub creation_timestamp: String,
    /// The project's resourceVersion.
    pub resource_version: String,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new(DEFAULT_NAMESPACE_PREFIX)
    }
}

impl Directory {
    /// An empty directory. The namespace of project P is `namespace_prefix` followed by P.
    pub fn new(namespace_prefix: &str) -> Self {
        Self {
            namespace_prefix: NamespacePrefix::new(namespace_prefix),
            tables: RwLock::default(),
            instances: OnceLock::new(),
            changes: watch::Sender::new(0),
        }
    }

    /// How projects and their namespaces are named after each other.
    pub(crate) fn namespace_prefix(&self) -> &NamespacePrefix {
        &self.namespace_prefix
    }

    /// The identity of the holder of this secret at `now` (Unix seconds). The answer is `None`, without a reason, for a secret of no
    /// key, a disabled or expired key, and a key whose user or team is disabled or missing.
    pub fn identify(&self, secret: &str, now: i64) -> Option<Identity> {
        self.find(secret, now, |_| ())
    }

    /// Identifies the holder as [`Directory::identify`] does, and notes that the key was used.
    pub fn authenticate(&self, secret: &str, now: i64) -> Option<Identity> {
        self.find(secret, now, |key| key.note_use(now))
    }

    /// Whether this is the secret of an access key, usable or not. Such a token must not be shown to any other authenticator.
    pub fn is_secret(&self, text: &str) -> bool {
        let digest = key_hash::digest(text);
        self.read().digests.contains_key(&digest)
    }

    /// Every secret costs one digest, one look-up and one comparison, be it right or wrong; that of a virtual cluster's key costs a
    /// second round. The look-up is by digest, of which nobody can choose the first bytes to find out how far they match.
    fn find(&self, secret: &str, now: i64, found: impl Fn(&KeyEntry)) -> Option<Identity> {
        let digest = key_hash::digest(secret);
        let own = match self.find_holder(&digest, now, None, &found)? {
            FoundHolder::Known(identity) => return Some(identity),
            FoundHolder::VirtualCluster(own) => own,
        };
        // Looked up without the lock: who looks through instances may be waiting for it.
        let uid = self.instances.get()?.uid(&own)?;
        match self.find_holder(&digest, now, Some((&own, &uid)), &found)? {
            FoundHolder::Known(identity) => Some(identity),
            FoundHolder::VirtualCluster(_) => None,
        }
    }

    /// The holder of the key of this digest. `instance` is one that is there, with its UID.
    fn find_holder(
        &self,
        digest: &Digest,
        now: i64,
        instance: Option<(&VirtualClusterIdentity, &str)>,
        found: &impl Fn(&KeyEntry),
    ) -> Option<FoundHolder> {
        let tables = self.read();
        let keys = tables.digests.get(digest).into_iter().flatten().filter_map(|name| tables.keys.get(name));
        let usable = keys.filter(|key| key.is_good(now)).find_map(|key| Some((key, tables.found_holder(key, instance)?)));
        let known = usable.as_ref().map_or(&[0; 32], |(key, _)| &key.record.digest);
        if !same(known, digest) {
            return None;
        }
        let (key, holder) = usable?;
        if matches!(holder, FoundHolder::Known(_)) {
            found(key);
        }
        Some(holder)
    }

    /// The identity of the User of this name, or with [`TEAM_PREFIX`] of the Team. `None` when there is no such object or it is disabled.
    pub fn known_as(&self, name: &str) -> Option<Identity> {
        let holder = match name.strip_prefix(TEAM_PREFIX) {
            Some(team) => Holder::Team(team.into()),
            None => Holder::User(name.into()),
        };
        self.read().holder(&holder)
    }

    /// Whether the caller is a user who is known here by more than the name, and can have access keys.
    pub(crate) fn holds_keys(&self, caller: &Caller) -> bool {
        caller.user.as_ref().is_some_and(|name| self.read().users.contains_key(name))
    }

    /// Looks instances up there, from now on.
    pub fn set_instances(&self, instances: Arc<dyn Instances>) {
        // They are set once, by whoever follows what is stored.
        let _ = self.instances.set(instances);
    }

    /// Says that a holder has gone, which the directory does not follow itself. Returns the names of its keys.
    pub fn holder_gone(&self, holder: &Holder) -> Vec<String> {
        if self.keys_held(holder) == 0 {
            return Vec::new();
        }
        self.changes.send_modify(|count| *count += 1);
        self.names_of_keys(|key| key.holder == *holder)
    }

    /// The names of all keys of virtual clusters.
    pub fn keys_of_virtual_clusters(&self) -> Vec<String> {
        self.names_of_keys(|key| matches!(key.holder, Holder::VirtualCluster(_)))
    }

    fn names_of_keys(&self, is_meant: impl Fn(&KeyRecord) -> bool) -> Vec<String> {
        let tables = self.read();
        tables.keys.values().map(|key| &key.record).filter(|key| is_meant(key)).map(|key| key.name.clone()).collect()
    }

    /// The keys of a holder beside `most` of them: first those that nobody has used, then those whose last use is longest ago. Keys that
    /// were made or used within ten minutes come last.
    pub fn least_used_keys(&self, holder: &Holder, most: usize, now: i64) -> Vec<String> {
        let tables = self.read();
        let mut keys: Vec<_> =
            tables.keys.values().filter(|key| key.record.holder == *holder).map(|key| (key.rank(now), &key.record.name)).collect();
        keys.sort_unstable();
        let spare = keys.len().saturating_sub(most);
        keys.into_iter().take(spare).map(|(_, name)| name.clone()).collect()
    }

    /// The access key of this name; `None` when there is none, or none any more.
    pub fn key(&self, name: &str) -> Option<KeyRecord> {
        self.read().keys.get(name).map(|key| key.record.clone())
    }

    /// The keys of which `due` says that their last use is to be stored, and when that was: at most `limit` of them.
    /// It is asked with what is known of the key and the time of its last use, in Unix seconds, when that is not stored.
    pub fn last_uses(&self, limit: usize, due: impl Fn(&KeyRecord, i64) -> bool) -> Vec<(String, i64)> {
        let tables = self.read();
        let newer = tables.keys.values().map(|key| (&key.record, key.last_use())).filter(|(record, used)| *used > record.last_activity);
        newer.filter(|(record, used)| due(record, *used)).map(|(record, used)| (record.name.clone(), used)).take(limit).collect()
    }

    /// The names of access keys whose holder is not there any more, as far as it is known here: they open nothing. Keys of virtual
    /// clusters are not among them ([`Directory::holder_gone`]).
    pub fn orphaned_keys(&self) -> Vec<String> {
        let tables = self.read();
        let followed = tables.keys.values().map(|key| &key.record).filter(|key| !matches!(key.holder, Holder::VirtualCluster(_)));
        let orphans = followed.filter(|key| !tables.is_held(key));
        orphans.map(|key| key.name.clone()).collect()
    }

    /// Whether the holder is one of `system:masters` by their own object, locked out or not.
    pub fn is_master(&self, holder: &Holder) -> bool {
        match holder {
            Holder::User(name) => self.read().users.get(name).is_some_and(|user| user.record.groups.iter().any(|one| one == GROUP_MASTERS)),
            Holder::Team(_) | Holder::VirtualCluster(_) => false,
        }
    }

    /// The namespaces that the caller may see, in order of name.
    pub fn namespaces(&self, identity: &Identity) -> Vec<NamespaceRecord> {
        let everything = identity.user.in_group(GROUP_MASTERS) || self.is_admin(Caller::of(&identity.principal));
        let tables = self.read();
        let visible = tables.projects.values().filter(|project| everything || project.role(Caller::of(&identity.principal)).is_some());
        visible.map(|project| self.namespace_record(project)).collect()
    }

    /// The project whose namespace this is; `None` when there is no such project.
    pub fn project_of(&self, namespace: &str) -> Option<String> {
        let name = self.namespace_prefix.project_of(namespace)?;
        self.read().projects.contains_key(name).then(|| name.to_owned())
    }

    /// The greatest role that the caller has in the project whose namespace this is.
    pub fn role(&self, namespace: &str, caller: &Caller) -> Option<Role> {
        self.role_in_project(self.namespace_prefix.project_of(namespace)?, caller)
    }

    /// The greatest role that the caller has in a project.
    pub fn role_in_project(&self, project: &str, caller: &Caller) -> Option<Role> {
        self.read().projects.get(project)?.role(caller)
    }

    /// Whether the caller, or a team of the caller, has the cluster role that may do everything.
    pub fn is_admin(&self, caller: &Caller) -> bool {
        let tables = self.read();
        let admin = |roles: &[String]| roles.iter().any(|role| role == CLUSTER_ROLE_ADMIN);
        let user = caller.user.as_ref().and_then(|name| tables.users.get(name));
        user.is_some_and(|user| !user.record.disabled && admin(&user.record.cluster_roles))
            || caller.teams.iter().filter_map(|name| tables.teams.get(name)).any(|team| admin(&team.record.cluster_roles))
    }

    /// Whether the project itself says that the caller may do this with it: as the owner, or by a rule.
    pub fn project_grants(&self, project: &str, caller: &Caller, verb: &str, subresource: &str) -> bool {
        self.read().projects.get(project).is_some_and(|project| project.access.grants(caller, verb, subresource))
    }

    /// Whether a project in which the caller has a role allows this host cluster.
    pub fn allows_cluster(&self, caller: &Caller, cluster: &str) -> bool {
        let allows = |project: &ProjectRecord| names(&project.allowed_clusters, cluster) && project.role(caller).is_some();
        self.read().projects.values().any(allows)
    }

    /// How many access keys a user or team has, good ones and others.
    pub fn keys_held(&self, holder: &Holder) -> usize {
        self.read().held.get(holder).copied().unwrap_or(0)
    }

    /// The scope of the access key that the identity came with; `None`: no key, or a key without a scope. A key that has been deleted
    /// since then has an empty scope, which allows nothing.
    pub fn scope(&self, identity: &Identity) -> Option<Arc<KeyScope>> {
        let name = identity.user.extra.get(EXTRA_ACCESS_KEY)?.first()?;
        self.read().keys.get(name).map_or_else(|| Some(Arc::default()), |key| key.record.scope.clone())
    }

    /// Changes whenever who somebody is, or what they may do, may have become something else by a change of the
    /// directory. What time alone changes ([`Directory::next_expiry`]) is not seen here.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// When, after `now` (Unix seconds), the next access key expires.
    pub fn next_expiry(&self, now: i64) -> Option<i64> {
        let tables = self.read();
        tables.keys.values().filter_map(KeyEntry::end).filter(|end| *end > now).min()
    }

    /// Adds a user, or replaces the one of this name.
    pub fn put_user(&self, record: UserRecord) {
        self.change(|tables| {
            let matters = tables.users.get(&record.name).is_none_or(|old| old.record != record);
            tables.users.insert(record.name.clone(), UserEntry { record, identity: OnceLock::new() });
            matters
        });
    }

    /// Forgets a user.
    pub fn remove_user(&self, name: &str) {
        self.change(|tables| tables.users.remove(name).is_some());
    }

    /// Adds a team, or replaces the one of this name.
    pub fn put_team(&self, record: TeamRecord) {
        self.change(|tables| {
            tables.forget_identities();
            let matters = tables.teams.get(&record.name).is_none_or(|old| old.record != record);
            let identity = team_identity(&record.name);
            tables.teams.insert(record.name.clone(), TeamEntry { record, identity });
            matters
        });
    }

    /// Forgets a team.
    pub fn remove_team(&self, name: &str) {
        self.change(|tables| {
            tables.forget_identities();
            tables.teams.remove(name).is_some()
        });
    }

    /// Adds a project, or replaces the one of this name.
    pub fn put_project(&self, record: ProjectRecord) {
        self.change(|tables| {
            let matters = tables.projects.get(&record.name).is_none_or(|old| !old.decides_like(&record));
            tables.projects.insert(record.name.clone(), record);
            matters
        });
    }

    /// Forgets a project.
    pub fn remove_project(&self, name: &str) {
        self.change(|tables| tables.projects.remove(name).is_some());
    }

    /// Adds an access key, or replaces the one of this name.
    pub fn put_key(&self, record: KeyRecord) {
        self.change(|tables| {
            let old = tables.remove_key(&record.name);
            let matters = old.as_ref().is_none_or(|old| !old.record.same_but_for_use(&record));
            tables.digests.entry(record.digest).or_default().push(record.name.clone());
            *tables.held.entry(record.holder.clone()).or_default() += 1;
            tables.keys.insert(record.name.clone(), KeyEntry::new(record, old.as_ref()));
            matters
        });
    }

    /// Forgets an access key.
    pub fn remove_key(&self, name: &str) {
        self.change(|tables| tables.remove_key(name).is_some());
    }

    /// Changes the tables, and tells so when the change says that it matters. Told after the lock is free: whoever is
    /// woken reads.
    fn change(&self, change: impl FnOnce(&mut Tables) -> bool) {
        if change(&mut self.write()) {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    fn namespace_record(&self, project: &ProjectRecord) -> NamespaceRecord {
        NamespaceRecord {
            name: self.namespace_prefix.namespace_of(&project.name),
            project: project.name.clone(),
            uid: project.uid.clone(),
            creation_timestamp: project.creation_timestamp.clone(),
            resource_version: project.resource_version.clone(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn holder(&self, holder: &Holder) -> Option<Identity> {
        match holder {
            Holder::User(name) => {
                let user = self.users.get(name).filter(|user| !user.record.disabled)?;
                Some(user.identity.get_or_init(|| self.user_identity(&user.record)).clone())
            }
            Holder::Team(name) => self.teams.get(name).map(|team| team.identity.clone()),
            Holder::VirtualCluster(_) => None,
        }
    }

    /// The teams that take in one of these groups.
    fn teams_of<'a>(&'a self, groups: &'a [String]) -> impl Iterator<Item = &'a String> {
        let takes_in = |team: &&TeamRecord| team.groups.iter().any(|group| groups.contains(group));
        self.teams.values().map(|team| &team.record).filter(takes_in).map(|team| &team.name)
    }

    /// The holder of a key; nobody when they are gone, though somebody else may go by the name by now.
    fn identity(&self, key: &KeyEntry) -> Option<Identity> {
        let holder = self.holder(&key.record.holder).filter(|_| self.is_held(&key.record))?;
        Some(key.identity(holder))
    }

    fn found_holder(&self, key: &KeyEntry, instance: Option<(&VirtualClusterIdentity, &str)>) -> Option<FoundHolder> {
        let Holder::VirtualCluster(own) = &key.record.holder else { return self.identity(key).map(FoundHolder::Known) };
        let Some((there, uid)) = instance else { return Some(FoundHolder::VirtualCluster(own.clone())) };
        let is_held = there == own && key.record.holder_identity == HolderIdentity::Uid(uid.to_owned());
        is_held.then(|| FoundHolder::Known(key.identity(virtual_cluster_identity(own, uid))))
    }

    fn is_held(&self, key: &KeyRecord) -> bool {
        let of_that_name = match &key.holder {
            Holder::User(name) => self.users.get(name).map(|user| (&user.record.uid, user.record.created)),
            Holder::Team(name) => self.teams.get(name).map(|team| (&team.record.uid, team.record.created)),
            Holder::VirtualCluster(_) => None,
        };
        of_that_name.is_some_and(|(uid, created)| key.holder_identity.is(uid, created))
    }

    fn user_identity(&self, record: &UserRecord) -> Identity {
        let mut groups = record.groups.clone();
        let own = format!("loft:user:{}", record.name);
        groups.extend([GROUP_AUTHENTICATED.into(), GROUP_LOFT_AUTHENTICATED.into(), GROUP_USERS.into(), own]);
        let member = |team: &&TeamRecord| team.users.contains(&record.name) || team.groups.iter().any(|group| groups.contains(group));
        let teams: Vec<String> = self.teams.values().map(|team| &team.record).filter(member).map(|team| team.name.clone()).collect();
        groups.extend(teams.iter().map(|team| format!("{TEAM_PREFIX}{team}")));
        Identity {
            user: Arc::new(User { name: record.name.clone(), uid: record.uid.clone(), groups, extra: BTreeMap::new() }),
            principal: apiserver_meta::Principal::new(Caller { user: Some(record.name.clone()), teams, ..Caller::default() }),
        }
    }

    fn forget_identities(&mut self) {
        self.users.values_mut().for_each(|user| user.identity = OnceLock::new());
    }

    fn remove_key(&mut self, name: &str) -> Option<KeyEntry> {
        let old = self.keys.remove(name)?;
        if let Entry::Occupied(mut held) = self.held.entry(old.record.holder.clone()) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
        let digest = old.record.digest;
        if let Some(names) = self.digests.get_mut(&digest) {
            names.retain(|other| other != name);
            if names.is_empty() {
                self.digests.remove(&digest);
            }
        }
        Some(old)
    }
}

fn team_identity(name: &str) -> Identity {
    let group = format!("{TEAM_PREFIX}{name}");
    Identity {
        user: Arc::new(User {
            name: group.clone(),
            groups: vec![GROUP_AUTHENTICATED.into(), GROUP_LOFT_AUTHENTICATED.into(), group],
            ..User::default()
        }),
        principal: apiserver_meta::Principal::new(Caller { teams: vec![name.to_owned()], ..Caller::default() }),
    }
}

fn virtual_cluster_identity(identity: &VirtualClusterIdentity, uid: &str) -> Identity {
    Identity {
        user: Arc::new(User {
            name: identity.to_string(),
            uid: uid.into(),
            groups: vec![GROUP_AUTHENTICATED.into(), GROUP_LOFT_AUTHENTICATED.into()],
            ..User::default()
        }),
        principal: apiserver_meta::Principal::new(Caller { virtual_cluster: Some(identity.clone()), ..Caller::default() }),
    }
}
