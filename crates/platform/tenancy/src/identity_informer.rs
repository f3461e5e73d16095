//! Keeps the directory of users, teams, projects and access keys as the watch caches have them: one follower for each kind,
//! so that what another replica writes is known here as soon as the store tells it.

pub(crate) mod record;

use crate::directory::Directory;
use crate::virtual_cluster_keys::CachedInstances;
use apiserver_meta::{Object, Resource};
use apiserver_registry::informer::{self, Delta};
use apiserver_registry::{Item, Registry};
use apiserver_store::Revision;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vci_management::access::ObjectAccess;
use vci_management::plural;

/// The kinds that the directory is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Team,
    Project,
    AccessKey,
}

impl Kind {
    /// The kind that a resource is, by its plural name.
    pub(crate) fn of(plural: &str) -> Option<Self> {
        match plural {
            plural::USERS => Some(Self::User),
            plural::TEAMS => Some(Self::Team),
            plural::PROJECTS => Some(Self::Project),
            plural::ACCESS_KEYS => Some(Self::AccessKey),
            _ => None,
        }
    }

    fn put(self, directory: &Directory, kind: &dyn Resource, object: &Object) {
        match self {
            Self::User => directory.put_user(record::user(object)),
            Self::Team => directory.put_team(record::team(object)),
            Self::Project => directory.put_project(record::project(object, ObjectAccess::read(kind, object))),
            Self::AccessKey => match record::key(object) {
                Some(key) => directory.put_key(key),
                // Nobody's, or without a secret: it opens nothing.
                None => directory.remove_key(object.name()),
            },
        }
    }

    fn remove(self, directory: &Directory, name: &str) {
        match self {
            Self::User => directory.remove_user(name),
            Self::Team => directory.remove_team(name),
            Self::Project => directory.remove_project(name),
            Self::AccessKey => directory.remove_key(name),
        }
    }
}

/// How far the directory has followed each kind.
#[derive(Clone, Debug)]
pub(crate) struct IdentityInformer {
    /// The newest revision known of; `None` before the first fill.
    kinds: Vec<(&'static str, watch::Receiver<Option<Revision>>)>,
}

impl IdentityInformer {
    /// Starts the tasks, for those registries that the directory is made of. They end with `stop`.
    pub(crate) fn start(directory: &Arc<Directory>, registries: &[Arc<Registry>], stop: &CancellationToken) -> Self {
        if let Some(instances) = registries.iter().find(|registry| registry.descriptor().plural == plural::INSTANCES) {
            directory.set_instances(Arc::new(CachedInstances(Arc::clone(instances))));
        }
        let concerned = registries.iter().filter_map(|registry| Some((Kind::of(registry.descriptor().plural)?, Arc::clone(registry))));
        let kinds = concerned.map(|(kind, registry)| {
            let (progress, seen) = watch::channel(None);
            let plural = registry.descriptor().plural;
            let follower = Follower { kind, resource: Arc::clone(registry.resource()), directory: Arc::clone(directory), progress };
            tokio::spawn(informer::follow(registry, stop.clone(), move |delta| follower.hear(delta)));
            (plural, seen)
        });
        Self { kinds: kinds.collect() }
    }

    /// Waits until the directory has been filled from every kind.
    pub(crate) async fn filled(&self) {
        for (_, seen) in &self.kinds {
            // An error means that the task has ended, with the server.
            let _ = seen.clone().wait_for(Option::is_some).await;
        }
    }

    /// Waits until the directory knows of what was written to a kind at this revision.
    pub(crate) async fn reached(&self, plural: &str, revision: Revision) {
        let Some((_, seen)) = self.kinds.iter().find(|(name, _)| *name == plural) else { return };
        let _ = seen.clone().wait_for(|known| known.is_some_and(|known| known >= revision)).await;
    }
}

struct Follower {
    kind: Kind,
    resource: Arc<dyn Resource>,
    directory: Arc<Directory>,
    progress: watch::Sender<Option<Revision>>,
}

impl Follower {
    fn hear(&self, delta: Delta) {
        match delta {
            Delta::Added(item) | Delta::Updated { new: item, .. } => self.put(&item),
            Delta::Deleted(last) => self.kind.remove(&self.directory, last.name()),
            // Who came and went meanwhile left nothing here.
            Delta::Gap => {}
            Delta::Synced(revision) => drop(self.progress.send_replace(Some(revision))),
        }
    }

    fn put(&self, item: &Item) {
        let value = serde_json::from_slice(&item.bytes).ok();
        let Some(object) = value.and_then(Object::from_value) else {
            tracing::error!(kind = ?self.kind, key = %item.key(), "directory: stored object cannot be read");
            return;
        };
        self.kind.put(&self.directory, self.resource.as_ref(), &object);
    }
}
