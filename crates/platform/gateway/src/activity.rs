//! Tells the instance that its virtual cluster is used, and wakes one that sleeps.
//!
//! The time of the last use is an annotation of the instance, in Unix seconds. It is written at most once a minute, by whichever server
//! sees a use first: the annotation itself says when that was. A time later than the one at which the virtual cluster fell asleep is what
//! the controller wakes it by. Streams that stay open count until they end. Requests do not wait for the writes; one that fails is made
//! up for a minute later.

use crate::sleep::last_activity;
use apiserver_meta::options::{PatchOptions, WriteOptions};
use apiserver_meta::{ApiError, ObjectFilter, ObjectKey, Subresource};
use apiserver_registry::{Patch, PatchKind, Registry, WriteFailure, loopback};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use vci_management::sleep::LAST_ACTIVITY;

/// Seconds between two writes for one instance.
const PERIOD: i64 = 60;
/// The same, for attempts of this server.
const PAUSE: Duration = Duration::from_secs(60);
/// How long after it was told to wake up a virtual cluster is not told again.
const WAKE_PAUSE: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Instances of which an attempt is remembered.
const MOST: usize = 10_000;

/// Uses of virtual clusters.
#[derive(Debug)]
pub(crate) struct Activity {
    instances: Arc<Registry>,
    attempts: Mutex<HashMap<ObjectKey, Instant>>,
    open: Mutex<HashMap<ObjectKey, usize>>,
}

/// A stream that is open.
#[derive(Debug)]
pub(crate) struct OpenStream {
    activity: Arc<Activity>,
    key: ObjectKey,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.activity.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

impl Activity {
    pub(crate) fn new(instances: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self { instances, attempts: Mutex::default(), open: Mutex::default() })
    }

    /// It is used now.
    pub(crate) fn note(self: &Arc<Self>, key: &ObjectKey, annotations: &BTreeMap<String, String>) {
        let now = unix_seconds();
        if now - last_activity(annotations) < PERIOD || !self.may_try(key, PAUSE) {
            return;
        }
        self.write(key.clone(), now);
    }

    /// Tells the controller to wake it, that fell asleep then.
    pub(crate) fn wake(self: &Arc<Self>, key: &ObjectKey, asleep_since: i64) {
        if self.may_try(key, WAKE_PAUSE) {
            self.write(key.clone(), unix_seconds().max(asleep_since.saturating_add(1)));
        }
    }

    /// A stream is open, until this is dropped.
    pub(crate) fn stream(self: &Arc<Self>, key: &ObjectKey) -> OpenStream {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default() += 1;
        OpenStream { activity: Arc::clone(self), key: key.clone() }
    }

    /// Notes the use of those with open streams, for ever.
    pub(crate) async fn follow_streams(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let keys: Vec<ObjectKey> = self.open.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
            for key in keys {
                let now = unix_seconds();
                if let Err(error) = self.store(&key, now).await {
                    tracing::debug!(%error, instance = %key, "the last use of a virtual cluster is not stored");
                }
            }
        }
    }

    fn may_try(&self, key: &ObjectKey, pause: Duration) -> bool {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.get(key).is_some_and(|attempt| attempt.elapsed() < pause) {
            return false;
        }
        if attempts.len() >= MOST {
            attempts.retain(|_, attempt| attempt.elapsed() < PAUSE);
        }
        if attempts.len() < MOST {
            attempts.insert(key.clone(), Instant::now());
        }
        true
    }

    fn write(self: &Arc<Self>, key: ObjectKey, time: i64) {
        let activity = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = activity.store(&key, time).await {
                tracing::warn!(%error, instance = %key, "the last use of a virtual cluster is not stored, it is tried again later");
            }
        });
    }

    async fn store(&self, key: &ObjectKey, time: i64) -> Result<(), ApiError> {
        let body = json!({"metadata": {"annotations": {LAST_ACTIVITY: time.to_string()}}}).to_string();
        let patch = Patch { kind: PatchKind::Merge, body: body.into(), create_denial: None, mask: None };
        let write = WriteOptions { field_manager: "vci-gateway".into(), ..WriteOptions::default() };
        let options = PatchOptions { write, force: None };
        let ctx = loopback::context(WRITE_TIMEOUT);
        match self.instances.patch(&ctx, key, Subresource::Main, patch, &options, &ObjectFilter::All).await {
            Ok(_) | Err(WriteFailure::Missing(_)) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

pub(crate) fn unix_seconds() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
