//! A store that fails on purpose, for the tests of whoever builds on a [`Store`]: a call that is refused before it is
//! done, a write whose reply is lost after it was carried out, slowness, watches that end.

use crate::{
    Entry, Expect, Guard, GuardedError, Key, ProgressSupport, RangeRequest, RangeResponse, Revision, Store, StoreError, WatchStream,
    WriteError,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The fault of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not carried out: [`StoreError::Unavailable`].
    Refused,
    /// A write is carried out, then its answer, success or conflict, is lost: [`StoreError::Unknown`]. A read is
    /// [`StoreError::Unavailable`], as a read has no outcome.
    ReplyLost,
    /// It is carried out after this time.
    Delayed(Duration),
}

/// Which calls a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// `get`, `range`, `revision`, and the opening of a watch.
    Reads,
    /// `put`, `put_guarded` and `delete`.
    Writes,
}

/// A store with faults; without any it is the store it wraps.
#[derive(Debug)]
pub struct Flaky {
    inner: Arc<dyn Store>,
    plan: Mutex<Plan>,
    /// How often watches were ended.
    endings: watch::Sender<u64>,
    /// Whether watches keep what they hear to themselves.
    held: watch::Sender<bool>,
    slowness: Duration,
}

#[derive(Debug, Default)]
struct Plan {
    /// Faults to come: which calls, how many of them pass before.
    faults: Vec<(Calls, usize, Fault)>,
    calls: u64,
}

impl Flaky {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::slow(inner, Duration::ZERO)
    }

    /// Wraps a store so that about every fourth call and watch message takes up to this much longer.
    pub fn slow(inner: Arc<dyn Store>, slowness: Duration) -> Self {
        Self { inner, plan: Mutex::default(), endings: watch::Sender::new(0), held: watch::Sender::new(false), slowness }
    }

    /// Plans a fault for one call, after `pass` others of its kind went well.
    pub fn plan(&self, calls: Calls, pass: usize, fault: Fault) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).faults.push((calls, pass, fault));
    }

    /// Nothing of what was planned happens any more.
    pub fn forget_plan(&self) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).faults.clear();
    }

    /// Ends all open watches with [`StoreError::Unavailable`]; new ones can be opened.
    pub fn end_watches(&self) {
        self.endings.send_modify(|endings| *endings += 1);
    }

    /// From here on watches tell nothing, until [`Flaky::release_watches`]: whoever follows the store lags behind it.
    pub fn hold_watches(&self) {
        self.held.send_replace(true);
    }

    /// Watches tell what was held back, and go on.
    pub fn release_watches(&self) {
        self.held.send_replace(false);
    }

    /// Waits as planned, and tells what else is to go wrong with this call.
    async fn fault(&self, calls: Calls) -> Option<Fault> {
        let (fault, number) = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            plan.calls += 1;
            (plan.take(calls), plan.calls)
        };
        pause(self.slowness, number).await;
        if let Some(Fault::Delayed(time)) = fault {
            tokio::time::sleep(time).await;
        }
        fault
    }

    async fn read(&self) -> Result<(), StoreError> {
        match self.fault(Calls::Reads).await {
            Some(Fault::Refused | Fault::ReplyLost) => Err(refused()),
            Some(Fault::Delayed(_)) | None => Ok(()),
        }
    }

    async fn write<E: From<StoreError>>(&self, work: impl Future<Output = Result<Revision, E>> + Send) -> Result<Revision, E> {
        match self.fault(Calls::Writes).await {
            Some(Fault::Refused) => Err(refused().into()),
            Some(Fault::ReplyLost) => {
                let _ = work.await;
                Err(StoreError::Unknown("the reply was lost on purpose".into()).into())
            }
            Some(Fault::Delayed(_)) | None => work.await,
        }
    }
}

impl Plan {
    /// Counts a call, and takes the fault whose turn it is.
    fn take(&mut self, calls: Calls) -> Option<Fault> {
        let due = self.faults.iter().position(|(kind, pass, _)| *kind == calls && *pass == 0).map(|due| self.faults.remove(due).2);
        for (_, pass, _) in self.faults.iter_mut().filter(|(kind, _, _)| *kind == calls) {
            *pass = pass.saturating_sub(1);
        }
        due
    }
}

/// Waits one time in four, for a time that the number decides.
async fn pause(slowness: Duration, number: u64) {
    let dice = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    if !slowness.is_zero() && dice.is_multiple_of(4) {
        tokio::time::sleep(slowness.mul_f64(dice as f64 / 256.0)).await;
    }
}

fn refused() -> StoreError {
    StoreError::Unavailable("refused on purpose".into())
}

#[async_trait]
impl Store for Flaky {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.read().await?;
        self.inner.get(key).await
    }

    async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        self.read().await?;
        self.inner.range(request).await
    }

    async fn put(&self, key: &Key, value: Bytes, expect: Expect) -> Result<Revision, WriteError> {
        self.write(self.inner.put(key, value, expect)).await
    }

    async fn put_guarded(&self, key: &Key, value: Bytes, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError> {
        self.write(self.inner.put_guarded(key, value, expect, guards)).await
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        self.write(self.inner.delete(key, expect)).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<WatchStream, StoreError> {
        self.read().await?;
        let mut endings = self.endings.subscribe();
        let ended = async move { endings.changed().await.is_ok() };
        let slowness = self.slowness;
        let held = self.held.subscribe();
        let inner = self.inner.watch(prefix, after).await?.enumerate().then(move |(number, message)| {
            let mut held = held.clone();
            async move {
                pause(slowness, number as u64).await;
                // Without the store itself nobody releases it, and nobody holds it either.
                let _ = held.wait_for(|held| !held).await;
                message
            }
        });
        let error = stream::once(async { Err(StoreError::Unavailable("the watch was ended on purpose".into())) });
        Ok(inner.take_until(ended.boxed()).chain(error).boxed())
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.read().await?;
        self.inner.revision().await
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        self.read().await?;
        self.inner.oldest_revision().await
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.inner.request_progress().await
    }

    fn progress_support(&self) -> ProgressSupport {
        self.inner.progress_support()
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.inner.compact(revision).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::WatchMessage;
    use crate::embedded::{EmbeddedConfig, EmbeddedStore};
    use tempfile::TempDir;

    fn embedded() -> (Arc<dyn Store>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path().join("store.redb"), &EmbeddedConfig::standard()).unwrap();
        (Arc::new(store), folder)
    }

    fn flaky() -> (Flaky, TempDir) {
        let (store, folder) = embedded();
        (Flaky::new(store), folder)
    }

    mod slow {
        use super::*;

        fn fresh() -> (Arc<dyn Store>, TempDir) {
            let (store, folder) = embedded();
            (Arc::new(Flaky::slow(store, Duration::from_millis(2))), folder)
        }

        crate::conformance_suite!(async { fresh() });
    }

    #[tokio::test]
    async fn a_refused_write_is_not_carried_out_and_the_next_is() {
        let (store, _folder) = flaky();
        store.plan(Calls::Writes, 1, Fault::Refused);
        let key = Key::new("pods/a");
        let first = store.put(&key, "1".into(), Expect::Absent).await.unwrap();
        let result = store.put(&key, "2".into(), Expect::Revision(first)).await;
        assert!(matches!(result, Err(WriteError::Store(StoreError::Unavailable(_)))), "got {result:?}");
        assert_eq!(store.get(&key).await.unwrap().unwrap().value, "1");
        store.put(&key, "2".into(), Expect::Revision(first)).await.unwrap();
    }

    #[tokio::test]
    async fn a_write_with_a_lost_reply_is_carried_out() {
        let (store, _folder) = flaky();
        let key = Key::new("pods/a");
        let unknown = |result| assert!(matches!(result, Err(WriteError::Store(StoreError::Unknown(_)))), "got {result:?}");
        store.plan(Calls::Writes, 0, Fault::ReplyLost);
        unknown(store.put(&key, "1".into(), Expect::Absent).await);
        let found = store.get(&key).await.unwrap().unwrap();
        assert_eq!(found.value, "1");
        store.plan(Calls::Writes, 0, Fault::ReplyLost);
        unknown(store.delete(&key, found.revision).await);
        assert_eq!(store.get(&key).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_read_is_refused_in_its_turn() {
        let (store, _folder) = flaky();
        store.plan(Calls::Reads, 1, Fault::Refused);
        store.plan(Calls::Reads, 2, Fault::ReplyLost);
        store.revision().await.unwrap();
        assert!(matches!(store.get(&Key::new("pods/a")).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.range(&RangeRequest::default()).await, Err(StoreError::Unavailable(_))));
        store.revision().await.unwrap();
    }

    #[tokio::test]
    async fn watches_end_and_can_be_resumed() {
        let (store, _folder) = flaky();
        let mut watch = store.watch("pods/", 1).await.unwrap();
        let first = store.put(&Key::new("pods/a"), "1".into(), Expect::Absent).await.unwrap();
        let Some(Ok(WatchMessage::Events(events))) = watch.next().await else { panic!("want an event") };
        assert_eq!(events[0].revision, first);
        store.end_watches();
        assert!(matches!(watch.next().await, Some(Err(StoreError::Unavailable(_)))));
        assert!(watch.next().await.is_none());
        let mut watch = store.watch("pods/", first).await.unwrap();
        let second = store.put(&Key::new("pods/b"), "1".into(), Expect::Absent).await.unwrap();
        let Some(Ok(WatchMessage::Events(events))) = watch.next().await else { panic!("want an event") };
        assert_eq!(events[0].revision, second);
    }
    #[tokio::test]
    async fn held_watches_tell_later() {
        let (store, _folder) = flaky();
        let mut watch = store.watch("pods/", 1).await.unwrap();
        store.hold_watches();
        let first = store.put(&Key::new("pods/a"), "1".into(), Expect::Absent).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), watch.next()).await.is_err());
        store.release_watches();
        let Some(Ok(WatchMessage::Events(events))) = watch.next().await else { panic!("want an event") };
        assert_eq!(events[0].revision, first);
    }
}
