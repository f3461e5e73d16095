//! Lists: which revision a list shows, and its pages, from a snapshot of the cache or from the store.

use super::Cache;
use super::continue_token::Continue;
use super::filter::{Extent, Filter};
use super::freshness::Freshness;
use super::history::undo;
use super::rows::Rows;
use super::snapshot::Snapshot;
use crate::item::Item;
use crate::list::{List, ListRows};
use crate::store_error::from_store;
use apiserver_meta::options::{ListOptions, ResourceVersion, VersionMatch};
use apiserver_meta::{ApiError, ObjectFilter, RequestContext};
use apiserver_store::{RangeRequest, Revision, StoreError};
use std::sync::Arc;

/// The largest number of entries asked of the store at once.
const STORE_PAGE: usize = 10_000;

/// Which state a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// One as fresh as this.
    Fresh(ResourceVersion),
    Exactly(Revision),
}

/// One page to be made.
#[derive(Debug)]
struct Page {
    shown: Shown,
    filter: Arc<Filter>,
    /// The first path.
    start: String,
    /// 0 is no limit.
    limit: usize,
    /// How many objects there are from `start` on, where that is known beforehand.
    left: Option<u64>,
    /// Whether it goes on from another page.
    goes_on: bool,
}

impl Page {
    fn new(cache: &Cache, namespace: &str, options: &ListOptions, view: &ObjectFilter) -> Result<Self, ApiError> {
        let filter = Arc::new(Filter::new(cache.descriptor(), namespace, options, view));
        let limit = options.limit;
        if options.continue_token.is_empty() {
            let shown = shown(options);
            return Ok(Self { shown, start: filter.prefix().to_owned(), filter, limit, left: None, goes_on: false });
        }
        if matches!(options.resource_version, ResourceVersion::At(_)) {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let token = Continue::decode(&options.continue_token, &prefix)?;
        let shown = token.revision.map_or(Shown::Fresh(ResourceVersion::Unset), Shown::Exactly);
        Ok(Self { shown, start: token.start, filter, limit, left: token.left, goes_on: true })
    }

    /// Whether it has all objects from the beginning to the end, whoever asks.
    fn is_everything(&self) -> bool {
        let is_open = matches!(self.filter.extent, Extent::All | Extent::Namespace(_));
        is_open && self.filter.is_plain() && self.limit == 0 && !self.goes_on
    }

    /// The page of a snapshot, and how many objects were looked at for it.
    fn of(&self, snapshot: &Snapshot) -> (List, usize) {
        let (mut items, mut looked_at) = (Vec::new(), 0);
        let mut next = None;
        for (path, item) in snapshot.objects.candidates(&self.filter, &self.start) {
            // An object's path may be the beginning of other ones, which stand behind it.
            if !self.filter.spans(path) {
                break;
            }
            looked_at += 1;
            if !self.filter.shows(item) {
                continue;
            }
            if self.limit > 0 && items.len() == self.limit {
                next = Some(path);
                break;
            }
            items.push(Arc::clone(item));
        }
        let remaining = next.and_then(|next| self.remaining(snapshot, next, items.len()));
        let continue_token = next.map(|next| token(next, Some(snapshot.revision), remaining));
        (List { items, revision: snapshot.revision, continue_token, remaining }, looked_at)
    }

    /// How many objects follow from `next` on; `None` where not everything is shown.
    fn remaining(&self, snapshot: &Snapshot, next: &str, taken: usize) -> Option<u64> {
        if !self.filter.is_plain() {
            return None;
        }
        let from_start = if self.goes_on { self.left } else { Some(snapshot.objects.count(&self.filter.extent) as u64) };
        let known = from_start.and_then(|left| left.checked_sub(taken as u64));
        // A page goes on, so at least one object follows. Counted are those of a page whose token does not say how many there
        // are: the first one at a newer revision than that of the pages before it.
        known.filter(|count| *count > 0).or_else(|| Some(snapshot.objects.range(self.filter.prefix(), next).count() as u64))
    }
}

/// The token for the page that begins with `next`.
fn token(next: &str, revision: Option<Revision>, left: Option<u64>) -> String {
    Continue { revision, start: next.to_owned(), left }.encode()
}

/// The table of resourceVersion, match and limit (Kubernetes API concepts, "Resource versions").
fn shown(options: &ListOptions) -> Shown {
    match (options.resource_version, options.version_match) {
        (ResourceVersion::At(revision), Some(VersionMatch::Exact)) => Shown::Exactly(revision),
        // What limits meant before there was a match.
        (ResourceVersion::At(revision), None) if options.limit > 0 => Shown::Exactly(revision),
        (version, _) => Shown::Fresh(version),
    }
}

impl Cache {
    /// The objects of a namespace, or of all when it is empty, that selectors and view let through.
    ///
    /// # Errors
    /// As [`Cache::get`]; 400 for a bad continue token, 410 for a revision that is forgotten, with a token to go on
    /// at the newest where the list was going on.
    pub async fn list(&self, ctx: &RequestContext, namespace: &str, options: &ListOptions, view: &ObjectFilter) -> Result<List, ApiError> {
        let page = Page::new(self, namespace, options, view)?;
        match self.source_of(ctx, &page).await? {
            Freshness::Cached(snapshot) => Ok(self.page_of_snapshot(&page, &snapshot)),
            Freshness::AskStore => self.page_of_store(&page).await,
        }
    }

    /// As [`Cache::list`], for somebody who takes one object after the other. A list of all that there is costs no memory of its own.
    ///
    /// # Errors
    /// As [`Cache::list`].
    pub async fn list_rows(
        &self,
        ctx: &RequestContext,
        namespace: &str,
        options: &ListOptions,
        view: &ObjectFilter,
    ) -> Result<ListRows, ApiError> {
        let page = Page::new(self, namespace, options, view)?;
        match self.source_of(ctx, &page).await? {
            Freshness::Cached(snapshot) if page.is_everything() => {
                let count = snapshot.objects.count(&page.filter.extent);
                self.counters.list(count, count);
                let revision = snapshot.revision;
                let rows = Rows::of(snapshot, page.filter.prefix(), &page.start);
                Ok(ListRows { rows, revision, continue_token: None, remaining: None })
            }
            Freshness::Cached(snapshot) => Ok(self.page_of_snapshot(&page, &snapshot).into()),
            Freshness::AskStore => self.page_of_store(&page).await.map(ListRows::from),
        }
    }

    /// Where a page is taken from.
    async fn source_of(&self, ctx: &RequestContext, page: &Page) -> Result<Freshness, ApiError> {
        let freshness = match page.shown {
            Shown::Fresh(version) => self.fresh(version, ctx.deadline, "list").await?,
            Shown::Exactly(revision) => self.exactly(ctx, revision).await?,
        };
        if let Freshness::Cached(snapshot) = &freshness {
            self.refuse_corrupt(snapshot, &page.filter, "list")?;
        }
        Ok(freshness)
    }

    fn page_of_snapshot(&self, page: &Page, snapshot: &Arc<Snapshot>) -> List {
        let (list, looked_at) = page.of(snapshot);
        self.counters.list(looked_at, list.items.len());
        if list.continue_token.is_some() {
            self.state().snapshots.keep(snapshot);
        }
        list
    }

    /// The collection at exactly this revision, or word that only the store may know it.
    async fn exactly(&self, ctx: &RequestContext, revision: Revision) -> Result<Freshness, ApiError> {
        let Freshness::Cached(newest) = self.at_least(revision, ctx.deadline).await? else {
            return Ok(Freshness::AskStore);
        };
        if newest.revision == revision {
            return Ok(Freshness::Cached(newest));
        }
        if let Some(snapshot) = self.state().snapshots.find(revision) {
            return Ok(Freshness::Cached(snapshot));
        }
        let (objects, events) = {
            let feed = self.state().feed();
            if !feed.history.covers(revision) {
                return Ok(Freshness::AskStore);
            }
            (feed.newest.objects.clone(), feed.history.undo(revision))
        };
        let past = Snapshot { revision, objects: undo(objects, &events), corrupt: newest.corrupt.clone() };
        Ok(Freshness::Cached(Arc::new(past)))
    }

    /// The collection as the store has it now, as far as a filter shows it.
    pub(super) async fn snapshot_of_store(&self, filter: &Arc<Filter>) -> Result<Snapshot, ApiError> {
        let filter = Arc::clone(filter);
        let page = Page {
            shown: Shown::Fresh(ResourceVersion::Unset),
            start: filter.prefix().to_owned(),
            filter,
            limit: 0,
            left: None,
            goes_on: false,
        };
        let list = self.page_of_store(&page).await?;
        let objects = list.items.into_iter().map(|item| (Arc::clone(&item.path), item)).collect();
        Ok(Snapshot { revision: list.revision, objects, ..Snapshot::default() })
    }

    /// The page read from the store: for what the cache does not know, or cannot be trusted to know.
    async fn page_of_store(&self, page: &Page) -> Result<List, ApiError> {
        let source = self.source();
        let at = match page.shown {
            Shown::Exactly(revision) => Some(revision),
            Shown::Fresh(_) => None,
        };
        let prefix = page.filter.prefix();
        let start = page.start.as_str().max(prefix);
        let folder = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
        let is_one = matches!(page.filter.extent, Extent::Object(_));
        let mut request = RangeRequest {
            prefix: format!("{}{folder}", source.prefix),
            start: format!("{}{start}", source.prefix),
            at,
            limit: match page.limit {
                _ if is_one => 1,
                0 => STORE_PAGE,
                // One more than the page holds tells whether there is a next one.
                limit => limit.saturating_add(1).min(STORE_PAGE),
            },
            ..RangeRequest::default()
        };
        let mut items: Vec<Arc<Item>> = Vec::new();
        let (mut next, mut remaining) = (None, None);
        'store: loop {
            let found = source.store.range(&request).await.map_err(|error| self.expired(error, page))?;
            request.at = Some(found.revision);
            for (place, entry) in found.entries.iter().enumerate() {
                let item = Item::from_entry(&*source.resource, entry).map_err(|error| from_store(error, self.descriptor(), "list"))?;
                let path = source.path(entry).unwrap_or_default();
                if !page.filter.spans(path) || !page.filter.shows(&item) {
                    continue;
                }
                if page.limit > 0 && items.len() == page.limit {
                    next = Some(path.to_owned());
                    // This one and those behind it. What was read is what the filter spans: all of it counts.
                    remaining = found.remaining.map(|behind| (found.entries.len() - place) as u64 + behind);
                    break 'store;
                }
                items.push(Arc::new(item));
            }
            let Some(last) = found.entries.last().filter(|_| found.more && !is_one) else { break };
            request.start = format!("{}\0", last.key);
            request.limit = (request.limit * 2).min(STORE_PAGE);
        }
        let revision = request.at.unwrap_or_default();
        let known = page.left.and_then(|left| left.checked_sub(items.len() as u64));
        let remaining = remaining.or(known).filter(|count| page.filter.is_plain() && *count > 0);
        let continue_token = next.map(|next| token(&next, Some(revision), remaining));
        let remaining = remaining.filter(|_| continue_token.is_some());
        Ok(List { items, revision, continue_token, remaining })
    }

    /// A failure of the store, for a page; when the page's revision is forgotten, with a token to go on at the newest.
    fn expired(&self, error: StoreError, page: &Page) -> ApiError {
        if !page.goes_on || !matches!(error, StoreError::Compacted { .. }) {
            return from_store(error, self.descriptor(), "list");
        }
        let mut expired = ApiError::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the \
             continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with \
             the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time \
             the first chunk was returned and now may show up in the list.",
        )
        .with_source(error);
        expired.continue_token = Some(token(&page.start, None, None));
        expired
    }
}

#[cfg(test)]
mod tests;
