//! Stores when access keys were last used.
//!
//! A request leaves the time at the key, in memory; here it is stored now and then, by one task and in small batches. A key
//! costs at most one write a minute (sooner where it may lie idle for a short time only), however often it is used. Replicas
//! do not fight: a time is only ever moved forward, and what another one has stored is known here a moment later. What could
//! not be stored is tried again later; the memory for that is one number for each key.

use crate::clock::unix_seconds;
use crate::directory::{Directory, KeyRecord, Lifetime};
use crate::identity_informer::record;
use crate::server_writes::server_writes;
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, Subresource};
use apiserver_registry::loopback;
use apiserver_registry::{Registry, WriteFailure};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often is looked for uses that are not stored.
const ROUND: Duration = Duration::from_secs(1);
/// Seconds between two writes of one key, at least.
const PERIOD: i64 = 60;
/// Writes of one round. With as many keys in use as fit into a minute of these, times are stored later, not lost.
const BATCH: usize = 100;
/// Time for one write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long is waited after a write that failed.
const PAUSE: Duration = Duration::from_secs(10);
/// Time at the end of the server for what is not stored yet.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// Stores the last uses of access keys.
#[derive(Clone, Debug)]
pub(crate) struct KeyActivity {
    directory: Arc<Directory>,
    keys: Arc<Registry>,
    /// Spreads the writes of keys that are used together, and of replicas.
    jitter: RandomState,
    /// When this server began, in Unix seconds: before that nothing was used, and a restart is no reason to write at once.
    begun: i64,
}

impl KeyActivity {
    /// Of the keys in this directory, which are stored in this registry.
    pub(crate) fn new(directory: Arc<Directory>, keys: Arc<Registry>) -> Self {
        Self { directory, keys, jitter: RandomState::new(), begun: unix_seconds() }
    }

    /// Stores now and then, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(ROUND)).await.is_some() {
            let now = unix_seconds();
            let due = self.directory.last_uses(BATCH, |key, _| now - key.last_activity.max(self.begun) >= self.period(key));
            if let Some(Err(error)) = stop.run_until_cancelled(self.store_all(due)).await {
                tracing::warn!(%error, "last use of access keys is not stored, it is tried again");
                let _ = stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }

    /// Stores everything that is not stored yet, at the end of the server, as far as there is time.
    pub(crate) async fn finish(&self) {
        let rest = self.directory.last_uses(usize::MAX, |_, _| true);
        match tokio::time::timeout(LAST_ROUND, self.store_all(rest)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "last use of access keys is not stored"),
            Err(_) => tracing::warn!("no time to store the last use of all access keys"),
        }
    }

    /// Seconds between two writes of this key: a quarter of the time that it may lie idle, at most [`PERIOD`], and up to a
    /// quarter more.
    fn period(&self, key: &KeyRecord) -> i64 {
        let least = match key.lifetime {
            Lifetime::Idle { seconds, .. } => (seconds / 4).clamp(1, PERIOD),
            Lifetime::Endless | Lifetime::Until(_) => PERIOD,
        };
        let random = self.jitter.hash_one((&key.name, key.last_activity)) % 1024;
        least + least * i64::try_from(random).unwrap_or(0) / 4096
    }

    async fn store_all(&self, uses: Vec<(String, i64)>) -> Result<(), ApiError> {
        for (name, used) in uses {
            self.store(&name, used).await?;
        }
        Ok(())
    }

    async fn store(&self, name: &str, used: i64) -> Result<(), ApiError> {
        let (ctx, key) = (loopback::context(WRITE_TIMEOUT), ObjectKey::new("", name));
        let item = match self.keys.cache().cached_existing(&key) {
            Some(item) => item,
            None => match self.keys.find(&ctx, &key).await? {
                Some(item) => item,
                None => return Ok(()),
            },
        };
        let value = serde_json::from_slice(&item.bytes).map_err(ApiError::internal)?;
        let Some(mut object) = Object::from_value(value) else { return Ok(()) };
        if record::key(&object).is_none_or(|stored| stored.last_activity >= used) {
            return Ok(());
        }
        let time = jiff::Timestamp::from_second(used).map_err(ApiError::internal)?;
        if let Some(status) = object.0.entry("status").or_insert_with(|| serde_json::json!({})).as_object_mut() {
            status.insert("lastActivity".into(), time.to_string().into());
        }
        match self.keys.update(&ctx, &key, Subresource::Status, object, &server_writes(), &ObjectFilter::All).await {
            // Gone, or changed by somebody else at this moment: then it is looked at again.
            Ok(_) | Err(WriteFailure::Missing(_) | WriteFailure::Stale(_)) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests;
