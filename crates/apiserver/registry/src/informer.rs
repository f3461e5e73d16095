//! Follows a kind: its state, then every change, for as long as it is wanted.
//!
//! Whatever in this process acts on the changes of a kind follows it here, as controllers of Kubernetes do with client-go's
//! informers. A watch ends now and then; it goes on behind the last event, so nothing that happens in between is lost.
//! When it cannot go on (410, or anything else that a watch ends with), the kind is listed again and the handler gets
//! the difference: deletions first, because a deletion may have taken a right away. Objects that came and went meanwhile are in
//! no difference: [`Delta::Gap`] says that there may have been some. The objects are those of the cache and
//! share its bytes. Refused: selectors and views (a follower sees everything), waiting for other processes.

use crate::backoff::Backoff;
use crate::frame::{EventKind, Frame};
use crate::item::Item;
use crate::keys::Path;
use crate::list::List;
use crate::registry::Registry;
use apiserver_meta::options::{ListOptions, ResourceVersion};
use apiserver_meta::{ApiError, ObjectFilter, Principal, RequestContext, User};
use apiserver_store::Revision;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The pauses before a kind is listed again.
const RELIST: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
/// How many objects are compared before others may run.
const STRIDE: usize = 256;
/// A watch of the registry ends by itself long before.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// An event of an informer.
#[derive(Clone, Debug)]
pub enum Delta {
    /// It is there, and was not before.
    Added(Arc<Item>),
    /// It has changed.
    Updated {
        /// The object as it was sent before.
        old: Arc<Item>,
        /// The object now.
        new: Arc<Item>,
    },
    /// It is gone; this is the object as it was sent last.
    Deleted(Arc<Item>),
    /// The kind was listed again: objects that came and went since the watch before were sent neither as added nor as deleted.
    Gap,
    /// Everything at or below this revision was sent: after the state, after each change, and now and then without one.
    Synced(Revision),
}

/// Calls `handle` with the state of a kind and then its changes, until `stop`. The handler does what takes long elsewhere (see
/// [`crate::work_queue`]): while it runs nothing else does on this task.
pub async fn follow(registry: Arc<Registry>, stop: CancellationToken, handle: impl FnMut(Delta) + Send) {
    let kind = registry.descriptor().kind;
    stop.run_until_cancelled(
        Informer { source: registry, kind, known: HashSet::new(), reached: None, is_told: false, failures: 0, handle }.run(),
    )
    .await;
}

/// Where objects come from; a test has another one.
#[async_trait]
trait Source: Send + Sync {
    async fn ready(&self);
    async fn list(&self) -> Result<List, ApiError>;
    async fn watch(&self, after: Revision) -> Result<BoxStream<'static, Frame>, ApiError>;
}

#[async_trait]
impl Source for Arc<Registry> {
    async fn ready(&self) {
        self.cache().ready().await;
    }

    /// Lists the cache, which is never behind the events of its own watches.
    async fn list(&self) -> Result<List, ApiError> {
        let options = ListOptions { resource_version: ResourceVersion::Any, ..ListOptions::default() };
        Registry::list(self, &context(), "", &options, &ObjectFilter::All).await
    }

    async fn watch(&self, after: Revision) -> Result<BoxStream<'static, Frame>, ApiError> {
        let resource_version = ResourceVersion::At(after);
        let options = ListOptions { resource_version, watch: true, bookmarks: true, ..ListOptions::default() };
        Ok(Registry::watch(self, &context(), "", &options, &ObjectFilter::All).await?.boxed())
    }
}

fn context() -> RequestContext {
    RequestContext::new(Arc::new(User::default()), Principal::default(), Instant::now() + LONG, "informer".into())
}

/// An object, found by its path.
struct Known(Arc<Item>);

impl Borrow<str> for Known {
    fn borrow(&self) -> &str {
        &self.0.path
    }
}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.path.hash(state);
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.0.path == other.0.path
    }
}

impl Eq for Known {}

struct Informer<S, H> {
    source: S,
    kind: &'static str,
    /// The objects that the handler knows of.
    known: HashSet<Known>,
    /// Behind what a watch can go on; `None`: the state has to be listed.
    reached: Option<Revision>,
    /// The kind was listed before.
    is_told: bool,
    failures: u32,
    handle: H,
}

impl<S: Source, H: FnMut(Delta) + Send> Informer<S, H> {
    /// Never ends.
    async fn run(mut self) {
        loop {
            self.source.ready().await;
            match self.follow().await {
                Ok(()) => self.failures = 1,
                Err(error) => {
                    tracing::debug!(kind = self.kind, %error, "informer: the kind is listed again");
                    (self.reached, self.failures) = (None, self.failures.saturating_add(1));
                }
            }
            tokio::time::sleep(RELIST.pause(self.failures)).await;
        }
    }

    /// Lists, unless it is known where to go on, and sends what happens until the watch ends.
    async fn follow(&mut self) -> Result<(), ApiError> {
        let after = match self.reached {
            Some(reached) => reached,
            None => self.relist().await?,
        };
        let mut watch = self.source.watch(after).await?;
        while let Some(frame) = watch.next().await {
            let revision = match frame {
                Frame::Event { kind, item } => {
                    let revision = item.revision;
                    self.send(kind, item);
                    revision
                }
                Frame::Bookmark { revision, .. } => revision,
                Frame::Error(status) => return Err(ApiError::internal(&status.message)),
            };
            self.failures = 0;
            self.synced(revision);
        }
        Ok(())
    }

    fn send(&mut self, kind: EventKind, item: Arc<Item>) {
        let old = self.known.take(&*item.path);
        if kind == EventKind::Deleted {
            if let Some(Known(last)) = old {
                (self.handle)(Delta::Deleted(last));
            }
            return;
        }
        self.known.insert(Known(Arc::clone(&item)));
        let delta = match (old, kind) {
            (Some(Known(old)), EventKind::Modified | EventKind::Deleted) => Delta::Updated { old, new: item },
            (Some(Known(old)), EventKind::Added) => {
                (self.handle)(Delta::Deleted(old));
                Delta::Added(item)
            }
            (None, _) => Delta::Added(item),
        };
        (self.handle)(delta);
    }

    fn synced(&mut self, revision: Revision) {
        self.reached = Some(revision);
        (self.handle)(Delta::Synced(revision));
    }

    /// Tells what differs between what is known and what is there.
    async fn relist(&mut self) -> Result<Revision, ApiError> {
        let List { items, revision, .. } = self.source.list().await?;
        let there: HashSet<&Path> = items.iter().map(|item| &item.path).collect();
        let gone: Vec<Path> = self.known.iter().map(|known| &known.0.path).filter(|path| !there.contains(path)).cloned().collect();
        drop(there);
        for (index, path) in gone.iter().enumerate() {
            if let Some(Known(last)) = self.known.take(&**path) {
                (self.handle)(Delta::Deleted(last));
            }
            rest_at(index).await;
        }
        for (index, item) in items.into_iter().enumerate() {
            match self.known.get(&*item.path) {
                Some(Known(old)) if old.revision == item.revision => {}
                // One that was deleted and made anew is another one.
                Some(Known(old)) if old.uid() != item.uid() => self.send(EventKind::Added, item),
                Some(_) => self.send(EventKind::Modified, item),
                None => self.send(EventKind::Added, item),
            }
            rest_at(index).await;
        }
        if self.is_told {
            (self.handle)(Delta::Gap);
        }
        self.is_told = true;
        self.synced(revision);
        Ok(revision)
    }
}

async fn rest_at(index: usize) {
    if index % STRIDE == STRIDE - 1 {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests;
