//! How long a request that is carried on may go on.
//!
//! Its caller is authenticated and authorized again as the caller of a watch is, and the object that it leads by is followed. The
//! request ends when
//!
//! - the caller has become another, or may no longer;
//! - the object is gone, or another one of its name has come;
//! - the object no longer grants the permission, or leads elsewhere, or as somebody else ([`super::Proxy::route`]).
//!
//! While authorization fails it goes on for a while. Nothing is looked at in the first moments: most requests are over by then.

use super::{Proxy, ProxyCaller};
use crate::access::permission::permitted;
use crate::access::recheck::RetainedCredentials;
use crate::app::App;
use crate::request_info::RequestInfo;
use apiserver_auth::Identity;
use apiserver_meta::options::{ListOptions, ResourceVersion, VersionMatch};
use apiserver_meta::selector::FieldSelector;
use apiserver_meta::{ApiError, ObjectFilter, ObjectKey};
use apiserver_registry::{EventKind, Frame, Item, Registry, Watch, loopback};
use futures::StreamExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// When a request is looked at for the first time.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// Time before another attempt to find out whether a request may go on, and the number of attempts in all: about a minute.
const DOUBT: Duration = Duration::from_secs(5);
const DOUBTS: u32 = 12;
/// When a watch of the object is opened again that could not be, or has ended.
const REOPEN: Duration = Duration::from_secs(1);
const OPEN_TIME: Duration = Duration::from_secs(30);

/// What a request goes on by.
pub(super) struct Authorization {
    pub(super) app: Arc<App>,
    pub(super) proxy: Arc<dyn Proxy>,
    pub(super) registry: Arc<Registry>,
    pub(super) info: Arc<RequestInfo>,
    pub(super) caller: ProxyCaller,
    pub(super) object: Arc<Item>,
    pub(super) credentials: Option<RetainedCredentials>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Same,
    Other,
    Doubt,
}

impl Authorization {
    /// Ends when the request may not go on.
    pub(super) async fn lost(self) {
        tokio::time::sleep(FIRST_LOOK).await;
        let mut changes = self.credentials.as_ref().and_then(|credentials| credentials.changes.clone());
        let mut following = Following::new(Arc::clone(&self.registry), self.object.key());
        let mut object = self.registry.cache().cached_existing(&self.object.key());
        while self.holds(object.as_deref()).await {
            tokio::select! {
                () = changed(&mut changes) => {}
                change = following.change() => if let Some(now) = change {
                    object = now;
                },
            }
        }
    }

    async fn holds(&self, object: Option<&Item>) -> bool {
        for _ in 1..DOUBTS {
            match self.look(object).await {
                Found::Doubt => tokio::time::sleep(DOUBT).await,
                found => return found == Found::Same,
            }
        }
        self.look(object).await == Found::Same
    }

    async fn look(&self, object: Option<&Item>) -> Found {
        let Some(object) = object else { return Found::Other };
        if object.uid() != self.object.uid() {
            return Found::Other;
        }
        let caller = match &self.caller {
            ProxyCaller::Known { identity, .. } => match self.known(identity, object).await {
                Ok(caller) => caller,
                Err(error) if error.code() >= 500 => return Found::Doubt,
                Err(_) => return Found::Other,
            },
            foreign @ ProxyCaller::Foreign { .. } => foreign.clone(),
        };
        let is_same = caller == self.caller && self.proxy.route(&caller, object) == self.proxy.route(&self.caller, &self.object);
        if is_same { Found::Same } else { Found::Other }
    }

    /// The caller as of now, whom the object as it is now lets through.
    async fn known(&self, before: &Identity, object: &Item) -> Result<ProxyCaller, ApiError> {
        let (identity, standing) = match &self.credentials {
            Some(credentials) => credentials.who(&self.app).await?,
            None => return Err(ApiError::unauthorized()),
        };
        if identity != *before {
            return Err(ApiError::unauthorized());
        }
        let filter = permitted(&self.app, &self.info, identity.clone(), standing).await?;
        if !filter.allows(object.namespace(), &object.facts) {
            return Err(ApiError::unauthorized());
        }
        Ok(ProxyCaller::known(identity, &filter))
    }
}

/// Waits for a change; for ever, where there is nobody to tell of one.
async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Follows one object by a watch: readers of the cache are told of a change a moment later.
struct Following {
    registry: Arc<Registry>,
    key: ObjectKey,
    watch: Option<Watch>,
    /// Whether the watch has told of it.
    is_there: bool,
}

impl Following {
    fn new(registry: Arc<Registry>, key: ObjectKey) -> Self {
        Self { registry, key, watch: None, is_there: false }
    }

    /// Waits for a change, and returns the object after it: `Some(None)` when it is gone. `None`: nothing is known of a change, but
    /// something may have been missed.
    async fn change(&mut self) -> Option<Option<Arc<Item>>> {
        if let Some(watch) = &mut self.watch {
            return match watch.next().await {
                Some(Frame::Event { kind: EventKind::Deleted, .. }) => Some(None),
                Some(Frame::Event { item, .. }) => {
                    self.is_there = true;
                    Some(Some(item))
                }
                // The watch has begun with the object, or without it.
                Some(Frame::Bookmark { initial_events_end: true, .. }) if !self.is_there => Some(None),
                Some(Frame::Bookmark { .. }) => None,
                Some(Frame::Error(_)) | None => {
                    self.watch = None;
                    None
                }
            };
        }
        match open(&self.registry, &self.key).await {
            Ok(watch) => (self.watch, self.is_there) = (Some(watch), false),
            Err(error) => {
                tracing::debug!(%error, "an object that a request leads by cannot be followed");
                tokio::time::sleep(REOPEN).await;
            }
        }
        None
    }
}

async fn open(registry: &Registry, key: &ObjectKey) -> Result<Watch, ApiError> {
    let fields = FieldSelector::parse(&format!("metadata.name={}", key.name)).map_err(|error| ApiError::internal(error.0))?;
    let options = ListOptions {
        fields,
        resource_version: ResourceVersion::Any,
        version_match: Some(VersionMatch::NotOlderThan),
        watch: true,
        bookmarks: true,
        initial_events: Some(true),
        ..ListOptions::default()
    };
    registry.watch(&loopback::context(OPEN_TIME), &key.namespace, &options, &ObjectFilter::All).await
}
