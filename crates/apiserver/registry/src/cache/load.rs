//! Reads a whole collection. Pages are fetched one ahead, decoded on all cores, and put together in their order, all at the same
//! time and off the threads that wait for sockets. What is held beside the result are a few pages, however large the collection.

use super::sharing::Sharing;
use super::snapshot::Snapshot;
use super::source::Source;
use super::state::{Change, Content};
use apiserver_store::{Entry, RangeRequest, RangeResponse, Revision, StoreError};
use futures::stream::{self, Stream, TryStreamExt};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// The first page, before it is known how large entries are.
const FIRST_PAGE: usize = 500;
/// About how many bytes the later pages have, and how many entries at most. etcd counts the whole rest of a collection for every
/// page, so small ones are dear.
const PAGE: (usize, usize) = (4 << 20, 10_000);
/// How many entries are decoded at a stretch.
const PORTION: usize = 256;
/// Decoded portions that wait to be put together.
const WAITING: usize = 2;

/// A collection as it was read.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) snapshot: Snapshot,
    /// What its items have in common.
    pub(super) sharing: Sharing,
    /// The entries that cannot be read.
    pub(super) unreadable: Vec<Change>,
}

impl Loaded {
    fn take(&mut self, change: Change) {
        let Self { snapshot, sharing, unreadable } = self;
        match change.content {
            Content::Object(item) => {
                let item = sharing.shared(item, &snapshot.objects);
                snapshot.objects.insert(&change.path, &item);
            }
            Content::Corrupt(_) => {
                snapshot.corrupt.insert(Arc::clone(&change.path));
                unreadable.push(change);
            }
            Content::Nothing => {}
        }
    }
}

impl Source {
    /// The collection as it is now.
    pub(super) async fn load(self: &Arc<Self>) -> Result<Loaded, StoreError> {
        let (decoded, mut portions) = mpsc::channel::<Vec<Change>>(WAITING);
        let collected = on_a_thread(move || {
            let mut loaded = Loaded::default();
            while let Some(portion) = portions.blocking_recv() {
                portion.into_iter().for_each(|change| loaded.take(change));
            }
            loaded
        });
        let (revision, loaded) = tokio::join!(self.decode_all(decoded), collected);
        let mut loaded = loaded?;
        loaded.snapshot.revision = revision?;
        Ok(loaded)
    }

    /// Sends all changes that make up the collection, and returns its revision.
    async fn decode_all(self: &Arc<Self>, decoded: mpsc::Sender<Vec<Change>>) -> Result<Revision, StoreError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut revision = 0;
        let portions = self.pages(None).map_ok(|page| {
            revision = page.revision;
            stream::iter(portions(page.entries).map(Ok))
        });
        let changes = portions.try_flatten().map_ok(|portion| self.decoded(portion)).try_buffered(cores + 1);
        // The other side ends after this one, unless it fails, which it reports.
        let sent = changes.try_for_each(async |portion| {
            let _ = decoded.send(portion).await;
            Ok(())
        });
        sent.await?;
        Ok(revision)
    }

    /// What entries are to readers.
    pub(super) async fn decoded(self: &Arc<Self>, entries: Vec<Entry>) -> Result<Vec<Change>, StoreError> {
        let source = Arc::clone(self);
        on_a_thread(move || entries.iter().filter_map(|entry| source.read(entry)).collect()).await
    }

    /// The pages of the collection at a revision, or as it is now. While one is looked at, the next one is fetched.
    pub(super) fn pages(self: &Arc<Self>, at: Option<Revision>) -> impl Stream<Item = Result<RangeResponse, StoreError>> + use<> {
        let first = RangeRequest { prefix: self.prefix.clone(), at, limit: FIRST_PAGE, ..RangeRequest::default() };
        let (source, begun) = (Arc::clone(self), self.fetch(first));
        stream::try_unfold(Some(begun), move |fetched| {
            let source = Arc::clone(&source);
            async move {
                let Some(fetched) = fetched else { return Ok(None) };
                let (request, page) = fetched.await.map_err(|_| ended())??;
                let ahead = next(request, &page).map(|next| source.fetch(next));
                Ok(Some((page, ahead)))
            }
        })
    }

    /// Reads a page in a task of its own.
    fn fetch(&self, request: RangeRequest) -> AbortOnDropHandle<Result<(RangeRequest, RangeResponse), StoreError>> {
        let store = Arc::clone(&self.store);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let page = store.range(&request).await?;
            Ok((request, page))
        }))
    }
}

/// The request for the page behind this one.
fn next(request: RangeRequest, page: &RangeResponse) -> Option<RangeRequest> {
    let last = page.entries.last().filter(|_| page.more)?;
    let bytes: usize = page.entries.iter().map(|entry| entry.value.len()).sum();
    let entry_size = (bytes / page.entries.len()).max(1);
    let limit = (PAGE.0 / entry_size).clamp(1, PAGE.1);
    Some(RangeRequest { start: format!("{}\0", last.key), at: Some(page.revision), limit, entry_size, ..request })
}

/// The entries of a page, some at a time.
fn portions(entries: Vec<Entry>) -> impl Iterator<Item = Vec<Entry>> {
    let mut entries = entries.into_iter();
    std::iter::from_fn(move || {
        let portion: Vec<Entry> = entries.by_ref().take(PORTION).collect();
        (!portion.is_empty()).then_some(portion)
    })
}

/// Runs what computes where it holds up nobody.
pub(super) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => Err(StoreError::Corrupt(format!("decoding failed badly: {error}"))),
        Err(_) => Err(ended()),
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the process is shutting down".into())
}
