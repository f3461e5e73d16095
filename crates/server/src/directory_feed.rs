//! Keeps the directory of users, teams, projects and access keys as the watch caches have them.
//!
//! One task for each kind follows the kind's own watch, so that what another replica writes is known here as soon as the
//! store tells it. A watch that ends is begun again with the state as its first events; what these do not name is gone.

pub(crate) mod record;

use crate::own_context::own_context;
use futures::StreamExt as _;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vci_auth::directory::Directory;
use vci_meta::options::{ListOptions, VersionMatch};
use vci_meta::{ApiError, Object, Resource, View};
use vci_registry::{EventKind, Frame, Item, Registry, Watch};
use vci_store::Revision;

/// How long to wait before a watch that failed is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// No watch of the registry lasts longer than this.
const WATCH_TIME: Duration = Duration::from_secs(24 * 60 * 60);

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
            "users" => Some(Self::User),
            "teams" => Some(Self::Team),
            "projects" => Some(Self::Project),
            "ownedaccesskeys" => Some(Self::AccessKey),
            _ => None,
        }
    }

    fn put(self, directory: &Directory, kind: &dyn Resource, object: &Object) {
        match self {
            Self::User => directory.put_user(record::user(object)),
            Self::Team => directory.put_team(record::team(object)),
            Self::Project => directory.put_project(record::project(object, kind.access(object))),
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
pub(crate) struct DirectoryFeed {
    /// The newest revision known of; `None` before the first fill.
    kinds: Vec<(&'static str, watch::Receiver<Option<Revision>>)>,
}

impl DirectoryFeed {
    /// Starts the tasks, for those registries that the directory is made of. They end with `stop`.
    pub(crate) fn start(directory: &Arc<Directory>, registries: &[Arc<Registry>], stop: &CancellationToken) -> Self {
        let concerned = registries.iter().filter_map(|registry| Some((Kind::of(registry.descriptor().plural)?, Arc::clone(registry))));
        let kinds = concerned.map(|(kind, registry)| {
            let (progress, seen) = watch::channel(None);
            let plural = registry.descriptor().plural;
            let task = Task { kind, registry, directory: Arc::clone(directory), progress, known: HashSet::new() };
            tokio::spawn(task.run(stop.clone()));
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

struct Task {
    kind: Kind,
    registry: Arc<Registry>,
    directory: Arc<Directory>,
    progress: watch::Sender<Option<Revision>>,
    known: HashSet<String>,
}

impl Task {
    async fn run(mut self, stop: CancellationToken) {
        while let Some(ended) = stop.run_until_cancelled(self.follow()).await {
            if let Err(error) = ended {
                tracing::debug!(kind = ?self.kind, %error, "directory: watch is begun again");
                let _ = stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }

    async fn follow(&mut self) -> Result<(), ApiError> {
        self.registry.cache().ready().await;
        let options = ListOptions {
            watch: true,
            bookmarks: true,
            initial_events: Some(true),
            version_match: Some(VersionMatch::NotOlderThan),
            ..ListOptions::default()
        };
        let watch = self.registry.watch(&own_context(WATCH_TIME), "", &options, &View::All).await?;
        self.read(watch).await
    }

    async fn read(&mut self, mut watch: Watch) -> Result<(), ApiError> {
        let mut initial = Some(HashSet::new());
        while let Some(frame) = watch.next().await {
            match frame {
                Frame::Event { kind: EventKind::Deleted, item, .. } => self.remove(&item.key.name, item.revision),
                Frame::Event { item, .. } => {
                    self.put(&item);
                    if let Some(initial) = &mut initial {
                        initial.insert(item.key.name.clone());
                    } else {
                        self.reached(item.revision);
                    }
                }
                Frame::Bookmark { revision, initial_events_end } => {
                    if initial_events_end && let Some(named) = initial.take() {
                        self.forget_all_but(&named);
                    }
                    if initial.is_none() {
                        self.reached(revision);
                    }
                }
                Frame::Error(status) => return Err(ApiError::internal(&status.message)),
            }
        }
        Ok(())
    }

    fn put(&mut self, item: &Item) {
        let value = serde_json::from_slice(&item.bytes).ok();
        let Some(object) = value.and_then(Object::from_value) else {
            tracing::error!(kind = ?self.kind, key = %item.key, "directory: stored object cannot be read");
            return;
        };
        self.kind.put(&self.directory, self.registry.resource().as_ref(), &object);
        self.known.insert(item.key.name.clone());
    }

    fn remove(&mut self, name: &str, revision: Revision) {
        self.kind.remove(&self.directory, name);
        self.known.remove(name);
        if self.progress.borrow().is_some() {
            self.reached(revision);
        }
    }

    fn forget_all_but(&mut self, named: &HashSet<String>) {
        let gone: Vec<String> = self.known.difference(named).cloned().collect();
        for name in gone {
            self.kind.remove(&self.directory, &name);
            self.known.remove(&name);
        }
    }

    fn reached(&self, revision: Revision) {
        self.progress.send_if_modified(|known| {
            let newer = known.is_none_or(|known| revision > known);
            if newer {
                *known = Some(revision);
            }
            newer
        });
    }
}
