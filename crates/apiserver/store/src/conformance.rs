//! The suite that every [`Store`] must pass: one async function per case, named after the case of the Kubernetes
//! storage suites (`k8s.io/apiserver/pkg/storage/testing`) that it stands for where there is one.
//!
//! A case gets a store that holds nothing under its own keys. Other users may write to the same server meanwhile, so
//! cases expect revisions to grow, not to grow by one; but nobody else may compact it. Selectors, TTLs and objects
//! are left to the layers above, which know what they are.
//!
//! ```ignore
//! apiserver_store::conformance_suite!(fresh()); // async fn fresh() -> (Arc<dyn Store>, impl Sized)
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)] // A suite reports by panicking.

use crate::{
    Entry, Event, Expect, Form, Key, RangeRequest, RangeResponse, Revision, Store, StoreError, WatchMessage, WatchStream, WriteError,
};
use bytes::Bytes;
use futures::StreamExt;
use std::time::Duration;

mod compaction;
mod concurrency;
mod guard;
mod read;
mod watch;
mod write;

pub use compaction::*;
pub use concurrency::*;
pub use guard::*;
pub use read::*;
pub use watch::*;
pub use write::*;

/// Makes one `#[tokio::test]` per case. The expression is awaited anew in every test; it gives an
/// `Arc<dyn Store>` and whatever must stay alive with it.
#[macro_export]
macro_rules! conformance_suite {
    ($factory:expr) => {
        $crate::conformance_suite!(@cases $factory;
            create,
            create_with_key_exist,
            create_after_delete,
            update,
            update_missing,
            update_with_conflict,
            conditional_delete,
            delete_with_conflict,
            delete_missing,
            refused_writes_tell_nothing,
            revisions_are_shared_over_keys,
            size_holds_what_was_written,
            values_with_arbitrary_bytes,
            keys_with_unusual_characters,
            big_values,
            get,
            read_your_writes,
            range_prefix_boundaries,
            range_of_nothing,
            range_limit,
            range_limit_skips_deleted,
            range_start,
            range_pages_at_one_revision,
            range_at_old_revision,
            range_at_future_revision,
            range_of_many,
            watch,
            watch_from_zero,
            watch_after_revision,
            watch_resume,
            watch_delete,
            watch_from_future,
            delayed_watch_delivery,
            slow_watcher_blocks_nobody,
            watch_dropped,
            many_watchers,
            progress,
            progress_never_ahead_of_events,
            compact_revision,
            compact_keeps_current_values,
            compact_after_delete,
            compact_again,
            compact_future,
            oldest_revision,
            watch_after_compaction,
            watch_over_compaction,
            concurrent_creates_have_one_winner,
            concurrent_increments_add_up,
            range_is_one_moment,
            random_writes_match_a_map,
            concurrent_writers_are_linearizable,
            guarded_put_expects_both,
            guarded_put_moves_the_guard,
            guarded_puts_keep_a_limit,
        );
    };
    (@cases $factory:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $factory.await;
                $crate::conformance::$case(store).await;
            }
        )*
    };
}

/// How long a case waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

fn key(text: &str) -> Key {
    Key::new(text)
}

fn bytes(value: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(value.as_ref())
}

fn entry(name: &str, value: impl AsRef<[u8]>, revision: Revision) -> Entry {
    Entry { key: key(name), value: bytes(value), revision, form: Form::Current }
}

async fn add(store: &dyn Store, name: &str, value: impl AsRef<[u8]>) -> Revision {
    store.put(&key(name), bytes(value), Expect::Absent).await.expect("the key is new")
}

async fn replace(store: &dyn Store, name: &str, value: impl AsRef<[u8]>, expect: Revision) -> Revision {
    store.put(&key(name), bytes(value), Expect::Revision(expect)).await.expect("the revision is the current one")
}

async fn remove(store: &dyn Store, name: &str, expect: Revision) -> Revision {
    store.delete(&key(name), expect).await.expect("the revision is the current one")
}

async fn read(store: &dyn Store, name: &str) -> Option<Entry> {
    store.get(&key(name)).await.unwrap()
}

fn under(prefix: &str) -> RangeRequest {
    RangeRequest { prefix: prefix.into(), ..RangeRequest::default() }
}

async fn range(store: &dyn Store, prefix: &str) -> RangeResponse {
    store.range(&under(prefix)).await.unwrap()
}

async fn range_at(store: &dyn Store, prefix: &str, at: Revision) -> Result<RangeResponse, StoreError> {
    store.range(&RangeRequest { at: Some(at), ..under(prefix) }).await
}

fn names(response: &RangeResponse) -> Vec<&str> {
    response.entries.iter().map(|entry| entry.key.as_str()).collect()
}

/// Returns the entry that a refused write found.
fn conflict(result: Result<Revision, WriteError>) -> Option<Entry> {
    match result {
        Err(WriteError::Conflict(current)) => current,
        other => panic!("want a conflict, got {other:?}"),
    }
}

fn assert_compacted<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Compacted { .. })), "want Compacted, got {result:?}");
}

/// The next message, which must come.
async fn message(watch: &mut WatchStream) -> Result<WatchMessage, StoreError> {
    tokio::time::timeout(PATIENCE, watch.next()).await.expect("the watch is silent").expect("the watch ended")
}

/// The next events, at least `count`, progress left out. Checks what holds for every watch: order, and that progress
/// never runs ahead of an event.
async fn events(watch: &mut WatchStream, count: usize) -> Vec<Event> {
    let mut told = Vec::new();
    let mut position = 0;
    while told.len() < count {
        match message(watch).await.expect("the watch broke") {
            WatchMessage::Events(events) => {
                for event in events {
                    assert!(event.revision > position, "event {} comes after {position} was told", event.revision);
                    position = event.revision;
                    told.push(event);
                }
            }
            WatchMessage::Progress(revision) => {
                assert!(revision >= position, "progress {revision} is behind event {position}");
                position = revision;
            }
        }
    }
    told
}

/// A short form of events for comparisons: revision, key, new value.
fn brief(events: &[Event]) -> Vec<(Revision, &str, Option<&[u8]>)> {
    events.iter().map(|event| (event.revision, event.key.as_str(), event.value.as_deref())).collect()
}

/// Random numbers that are the same in every run (SplitMix64): a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}
