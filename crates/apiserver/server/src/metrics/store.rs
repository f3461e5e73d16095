//! A store that is watched at its work: every call is timed, under the names that upstream has for etcd, whichever store it is.

use super::Source;
use super::buckets::REQUEST;
use super::histogram::Histogram;
use super::text::Text;
use apiserver_meta::Descriptor;
use apiserver_registry::collection_prefix;
use apiserver_store::{
    Entry, Expect, Guard, GuardedError, Key, ProgressSupport, RangeRequest, RangeResponse, Revision, Store, StoreError, WatchStream,
    WriteError,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// An operation of the store (label `operation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// One value, or the newest revision.
    Get,
    List,
    Create,
    Update,
    Delete,
    Compact,
}

impl Operation {
    const ALL: [Self; 6] = [Self::Get, Self::List, Self::Create, Self::Update, Self::Delete, Self::Compact];

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Compact => "compact",
        }
    }

    fn of_put(expect: Expect) -> Self {
        match expect {
            Expect::Absent => Self::Create,
            Expect::Revision(_) => Self::Update,
        }
    }
}

/// The calls of a store.
#[derive(Debug)]
struct Calls {
    collections: Vec<Collection>,
    /// Calls that belong to no kind.
    whole: Collection,
}

#[derive(Debug)]
struct Collection {
    prefix: String,
    group: &'static str,
    resource: &'static str,
    times: [Histogram; Operation::ALL.len()],
    errors: [AtomicU64; Operation::ALL.len()],
}

impl Collection {
    fn new(prefix: String, group: &'static str, resource: &'static str) -> Self {
        let times = std::array::from_fn(|_| Histogram::new(&REQUEST));
        Self { prefix, group, resource, times, errors: Default::default() }
    }
}

impl Calls {
    /// Tells these kinds apart.
    fn new<'a>(kinds: impl IntoIterator<Item = &'a Descriptor>) -> Self {
        let collection = |kind: &Descriptor| Collection::new(collection_prefix(kind, ""), kind.group, kind.plural);
        Self { collections: kinds.into_iter().map(collection).collect(), whole: Collection::new(String::new(), "", "") }
    }

    fn begin(&self, operation: Operation, key: &str) -> Call<'_> {
        let collection = self.collections.iter().find(|collection| key.starts_with(&collection.prefix)).unwrap_or(&self.whole);
        Call { collection, operation, begun: Instant::now() }
    }
}

impl Source for Calls {
    fn write(&self, text: &mut Text) {
        let mut seen = Vec::new();
        for collection in self.collections.iter().chain([&self.whole]) {
            for ((operation, times), errors) in Operation::ALL.iter().zip(&collection.times).zip(&collection.errors) {
                let times = times.read();
                if !times.is_empty() {
                    let labels = [("group", collection.group), ("operation", operation.as_str()), ("resource", collection.resource)];
                    seen.push((labels, times, errors.load(Ordering::Relaxed)));
                }
            }
        }
        let mut durations = text.histogram("etcd_request_duration_seconds", "Seconds that the store took for each request.");
        for (labels, times, _) in &seen {
            durations.distribution(labels, times);
        }
        let mut requests = text.counter("etcd_requests_total", "Requests to the store.");
        for (labels, times, _) in &seen {
            requests.sample(labels, times.count());
        }
        let mut errors = text.counter("etcd_request_errors_total", "Requests in which the store failed; a conflict is no failure.");
        for (labels, _, count) in seen.iter().filter(|(.., count)| *count > 0) {
            errors.sample(labels, count);
        }
    }
}

/// One call under way.
struct Call<'a> {
    collection: &'a Collection,
    operation: Operation,
    begun: Instant,
}

impl Call<'_> {
    fn end<T, E: Failure>(self, outcome: Result<T, E>) -> Result<T, E> {
        let index = self.operation as usize;
        if let Some(times) = self.collection.times.get(index) {
            times.time(self.begun.elapsed());
        }
        if let (Err(error), Some(errors)) = (&outcome, self.collection.errors.get(index))
            && error.is_failure()
        {
            errors.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

/// Which errors are the store's.
trait Failure {
    fn is_failure(&self) -> bool;
}

impl Failure for StoreError {
    fn is_failure(&self) -> bool {
        true
    }
}

impl Failure for WriteError {
    fn is_failure(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl Failure for GuardedError {
    fn is_failure(&self) -> bool {
        matches!(self, Self::Write(WriteError::Store(_)))
    }
}

/// A store whose calls are counted.
#[derive(Debug)]
pub(crate) struct InstrumentedStore {
    store: Arc<dyn Store>,
    calls: Arc<Calls>,
}

impl InstrumentedStore {
    /// Wraps a store so that its calls are counted by kind. Also returns the source of these metrics.
    pub(crate) fn around<'a>(store: Arc<dyn Store>, kinds: impl IntoIterator<Item = &'a Descriptor>) -> (Arc<dyn Store>, Arc<dyn Source>) {
        let calls = Arc::new(Calls::new(kinds));
        (Arc::new(Self { store, calls: Arc::clone(&calls) }), calls)
    }
}

#[async_trait]
impl Store for InstrumentedStore {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let call = self.calls.begin(Operation::Get, key.as_str());
        call.end(self.store.get(key).await)
    }

    async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let call = self.calls.begin(Operation::List, &request.prefix);
        call.end(self.store.range(request).await)
    }

    async fn put(&self, key: &Key, value: Bytes, expect: Expect) -> Result<Revision, WriteError> {
        let call = self.calls.begin(Operation::of_put(expect), key.as_str());
        call.end(self.store.put(key, value, expect).await)
    }

    async fn put_guarded(&self, key: &Key, value: Bytes, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError> {
        let call = self.calls.begin(Operation::of_put(expect), key.as_str());
        call.end(self.store.put_guarded(key, value, expect, guards).await)
    }

    async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        let call = self.calls.begin(Operation::Delete, key.as_str());
        call.end(self.store.delete(key, expect).await)
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<WatchStream, StoreError> {
        self.store.watch(prefix, after).await
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        let call = self.calls.begin(Operation::Get, "");
        call.end(self.store.revision().await)
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        let call = self.calls.begin(Operation::Get, "");
        call.end(self.store.oldest_revision().await)
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.store.request_progress().await
    }

    fn progress_support(&self) -> ProgressSupport {
        self.store.progress_support()
    }

    async fn writable(&self) -> Result<(), StoreError> {
        self.store.writable().await
    }

    async fn size(&self) -> Result<Option<u64>, StoreError> {
        self.store.size().await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let call = self.calls.begin(Operation::Compact, "");
        call.end(self.store.compact(revision).await)
    }
}

#[cfg(test)]
mod tests;
