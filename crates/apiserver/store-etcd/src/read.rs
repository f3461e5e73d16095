//! Reads, all linearizable: get, range, the current revision.

use apiserver_store::{Entry, Key, RangeRequest, RangeResponse, Revision, StoreError};
use etcd_client::{GetOptions, GetResponse};

use crate::Shared;
use crate::fault::Fault;
use crate::keys::KeyRange;

/// Wanted size of one page of a range.
const PAGE_BYTES: usize = 4 << 20;
/// Entries of the first page, if nothing is known of their size. etcd counts the whole rest of a range for every page, so
/// pages are not made smaller than they must.
const FIRST_PAGE: usize = 1000;
/// Entries of any page.
const MAX_PAGE: usize = 10_000;
/// How often a range of the current state begins again when somebody compacts it away between two pages.
const RESTARTS: usize = 3;

impl Shared {
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let mut answer = self.fetch(&self.keys.of(key), &GetOptions::new()).await.map_err(Fault::of_read)?;
        self.note(answer.header())?;
        answer.take_kvs().pop().map(|pair| self.keys.entry(pair)).transpose()
    }

    pub(crate) async fn revision(&self) -> Result<Revision, StoreError> {
        let revision = self.cluster.revision().await.map_err(Fault::of_read)?;
        self.note_revision(revision)
    }

    /// etcd tells the oldest revision only to somebody who asks for an older one, so whether there is an older one comes first.
    pub(crate) async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        let first = GetOptions::new().with_count_only().with_revision(1);
        match self.fetch(&self.keys.nothing(), &first).await {
            Ok(_) => Ok(1),
            Err(Fault::Compacted) => {
                let untold = || StoreError::Unavailable("etcd does not tell up to which revision it is compacted".into());
                self.oldest().await.ok_or_else(untold)
            }
            Err(fault) => Err(fault.of_read()),
        }
    }

    pub(crate) async fn range(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let mut restarts = 0;
        loop {
            match self.range_once(request).await {
                Err(StoreError::Compacted { .. }) if request.at.is_none() && restarts < RESTARTS => restarts += 1,
                outcome => return outcome,
            }
        }
    }

    /// Reads page after page at the revision of the first one.
    async fn range_once(&self, request: &RangeRequest) -> Result<RangeResponse, StoreError> {
        let KeyRange { mut start, end } = self.keys.range(&request.prefix, &request.start);
        let mut at = request.at;
        let mut entries: Vec<Entry> = Vec::new();
        let mut size = 0;
        let mut page = PAGE_BYTES.checked_div(request.entry_size).map_or(FIRST_PAGE, |fitting| fitting.clamp(1, MAX_PAGE));
        loop {
            let wanted = if request.limit == 0 { page } else { page.min(request.limit - entries.len()) };
            let options = GetOptions::new().with_range(end.clone()).with_limit(wanted as i64);
            let options = match at {
                Some(revision) => options.with_revision(self.readable(revision).await?),
                None => options,
            };
            let mut answer = match self.fetch(&start, &options).await {
                Ok(answer) => answer,
                Err(Fault::AnswerTooLarge) if page > 1 => {
                    page = (page / 10).max(1);
                    continue;
                }
                Err(fault) => return Err(self.range_error(fault, at).await),
            };
            let current = self.note(answer.header())?;
            let revision = *at.get_or_insert(current);
            let pairs = answer.take_kvs();
            let taken = pairs.len();
            for pair in pairs {
                size += pair.key().len() + pair.value().len();
                entries.push(self.keys.entry(pair)?);
            }
            let (false, Some(last)) = (!answer.more() || entries.len() == request.limit, entries.last()) else {
                // etcd counts the whole of what was asked for last, whatever the limit was.
                let remaining = u64::try_from(answer.count()).ok().and_then(|count| count.checked_sub(taken as u64));
                return Ok(RangeResponse { entries, more: answer.more(), remaining, revision });
            };
            start = self.keys.of(&last.key);
            start.push(0);
            page = (PAGE_BYTES * entries.len() / size.max(1)).clamp(1, MAX_PAGE);
        }
    }

    /// etcd takes revision 0 for the current one, and none above 63 bits.
    async fn readable(&self, revision: Revision) -> Result<i64, StoreError> {
        match i64::try_from(revision) {
            Ok(0) => Err(StoreError::Compacted { oldest: 1 }),
            Ok(revision) => Ok(revision),
            Err(_) => Err(self.range_error(Fault::Future, Some(revision)).await),
        }
    }

    /// Adds what etcd's error does not say: the oldest, or the current revision.
    async fn range_error(&self, fault: Fault, at: Option<Revision>) -> StoreError {
        match (fault, at) {
            (Fault::Compacted, Some(at)) => StoreError::Compacted { oldest: self.oldest().await.unwrap_or(at + 1) },
            (Fault::Future, Some(requested)) => match self.revision().await {
                Ok(current) => StoreError::Future { requested, current },
                Err(error) => error,
            },
            (fault, _) => fault.of_read(),
        }
    }

    pub(crate) async fn fetch(&self, key: &[u8], options: &GetOptions) -> Result<GetResponse, Fault> {
        self.cluster
            .read(|mut kv| {
                let (key, options) = (key.to_vec(), options.clone());
                async move { kv.get(key, Some(options)).await }
            })
            .await
    }
}
