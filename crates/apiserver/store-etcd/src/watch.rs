//! A watch that outlives its connections.
//!
//! etcd-client gives one stream on one connection; it ends with that. The task here remembers the last revision up to which
//! everything was told, and begins again behind it, at the next member if need be, until the receiver is dropped or that revision
//! is compacted. A stream carries one watch only: then the progress that is asked for on it is that watch's own.
//!
//! Every write of this store changes one key, so a revision has one event here, and fragments of etcd's messages (which keep a
//! catching-up watch within bounds) never divide one.

use apiserver_store::{Entry, Event, Form, ProgressSupport, Revision, StoreError, WatchMessage, WatchStream};
use etcd_client::{EventType, GetOptions, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use futures::StreamExt;
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch as signal};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, warn};

use crate::Shared;
use crate::cluster::Member;
use crate::fault::Fault;
use crate::keys::{self, KeyRange};

/// Messages that wait for the receiver; behind them gRPC's flow control holds etcd back.
const QUEUE: usize = 16;
/// How long a member may take to begin a watch.
const CREATION: Duration = Duration::from_secs(5);
/// Between two requests for progress while the wanted one has not come: etcd gives none while the watch catches up.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);
/// Before the next request when progress came, but from a member that lags behind, or too early.
const PROGRESS_AGAIN: Duration = Duration::from_millis(2);
/// A silent watch asks for progress, so that what it resumes behind does not fall out of history.
const SILENCE: Duration = Duration::from_secs(30);
/// The wait before the first and the longest before any further attempt.
const BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// A connection that lasted so long was a good one, also when it had nothing to tell.
const STEADY: Duration = Duration::from_secs(10);

/// Begins a watch of what has the prefix and is newer than `after`.
pub(crate) fn start(shared: Arc<Shared>, prefix: &str, after: Revision) -> WatchStream {
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    let wanted = shared.wanted.subscribe();
    let watcher =
        Watcher { range: shared.keys.range(prefix, ""), shared, last: after, origin: Origin::Caller, sender, wanted, heard: false };
    tokio::spawn(watcher.run());
    futures::stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

struct Watcher {
    shared: Arc<Shared>,
    range: KeyRange,
    /// Everything up to this revision was told.
    last: Revision,
    origin: Origin,
    sender: mpsc::Sender<Result<WatchMessage, StoreError>>,
    wanted: signal::Receiver<Revision>,
    /// Whether the present connection has brought anything.
    heard: bool,
}

/// Where the last revision comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The caller named it; etcd may not have come so far yet.
    Caller,
    /// etcd told it.
    Etcd,
}

/// Why a connection is left.
enum End {
    /// The receiver is gone.
    Dropped,
    /// Nothing can mend it.
    Failed(StoreError),
    /// Another one may do better.
    Broken(Fault),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// One stream at one member.
struct Connection {
    requests: WatchRequestSender,
    responses: WatchResponseStream,
    support: ProgressSupport,
    /// Progress is wanted up to here.
    wanted: Option<Revision>,
    /// When to ask for it, again or because of the silence.
    ask_at: Instant,
}

impl Watcher {
    async fn run(mut self) {
        let sender = self.sender.clone();
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            let end = tokio::select! {
                () = sender.closed() => return,
                Err(end) = self.connection() => end,
            };
            let fault = match end {
                End::Dropped => return,
                End::Failed(error) => {
                    let _ = sender.send(Err(error)).await;
                    return;
                }
                End::Broken(fault) => fault,
            };
            let good = std::mem::take(&mut self.heard) || begun.elapsed() > STEADY;
            failures = if good { 0 } else { failures + 1 };
            let prefix = String::from_utf8_lossy(&self.range.start);
            // A long outage is told once; the rest is for those who look closely.
            match failures {
                0 | 1 => warn!(%prefix, after = self.last, %fault, "watch is interrupted"),
                _ => debug!(%prefix, after = self.last, %fault, "watch is still interrupted"),
            }
            tokio::select! {
                () = sender.closed() => return,
                () = sleep(backoff(failures)) => {}
            }
        }
    }

    /// Follows one connection to its end.
    async fn connection(&mut self) -> Result<Infallible, End> {
        let shared = Arc::clone(&self.shared);
        let (index, member) = shared.cluster.preferred();
        let followed = match self.open(member).await {
            Ok(mut connection) => self.follow(&mut connection).await,
            Err(end) => Err(end),
        };
        followed.map_err(|end| match end {
            End::Broken(fault) => {
                shared.cluster.avoid(index);
                End::Broken(fault.at(&member.endpoint))
            }
            end @ (End::Dropped | End::Failed(_)) => end,
        })
    }

    async fn open(&mut self, member: &Member) -> Result<Connection, End> {
        // A member may have been replaced by one of another version since it was asked last.
        self.shared.cluster.status(member).await?;
        let options = WatchOptions::new()
            .with_range(self.range.end.clone())
            .with_start_revision(start_revision(self.last)?)
            .with_progress_notify()
            .with_fragment();
        let (requests, responses) = create(member, self.range.start.clone(), options).await?;
        self.check_history().await?;
        Ok(Connection {
            requests,
            responses,
            support: member.progress_support().unwrap_or(ProgressSupport::Unreliable),
            wanted: None,
            ask_at: Instant::now() + SILENCE,
        })
    }

    /// Whether the state at the last revision is still there. etcd begins a watch at the very revision it has compacted to, but a
    /// deletion with that revision is forgotten by then; and it waits silently when its own revision has gone back, as after
    /// a restore of an old backup.
    async fn check_history(&self) -> Result<(), End> {
        let Ok(last @ 1..) = i64::try_from(self.last) else { return Ok(()) };
        let options = GetOptions::new().with_count_only().with_revision(last);
        match self.shared.fetch(&self.shared.keys.nothing(), &options).await {
            Err(Fault::Compacted) => {
                Err(End::Failed(StoreError::Compacted { oldest: self.shared.oldest().await.unwrap_or(self.last + 1) }))
            }
            Err(Fault::Future) if self.origin == Origin::Etcd => {
                Err(End::Failed(StoreError::Corrupt(format!("etcd has gone back behind revision {}, which it told before", self.last))))
            }
            Ok(_) | Err(Fault::Future) => Ok(()),
            Err(fault) => Err(End::Broken(fault)),
        }
    }

    async fn follow(&mut self, connection: &mut Connection) -> Result<Infallible, End> {
        // What the connection before this one owes is wanted of it.
        if *self.wanted.borrow() > self.last {
            self.wanted.mark_changed();
        }
        loop {
            tokio::select! {
                message = connection.responses.message() => {
                    let message = message.map_err(Fault::from)?.ok_or_else(|| Fault::Broken("the stream ended".into()))?;
                    self.take(connection, &message).await?;
                }
                Ok(()) = self.wanted.changed() => {
                    let wanted = *self.wanted.borrow_and_update();
                    connection.want(wanted).await?;
                }
                () = sleep_until(connection.ask_at) => connection.ask().await?,
            }
        }
    }

    async fn take(&mut self, connection: &mut Connection, message: &WatchResponse) -> Result<(), End> {
        if message.compact_revision() > 0 {
            return Err(End::Failed(StoreError::Compacted { oldest: keys::revision(message.compact_revision())? }));
        }
        if message.canceled() {
            return Err(End::Broken(Fault::Broken(format!("the watch is canceled: {}", message.cancel_reason()))));
        }
        let told = self.shared.note(message.header())?;
        if message.created() {
            return Ok(());
        }
        self.heard = true;
        connection.heard();
        if !message.events().is_empty() {
            return self.tell_events(message).await;
        }
        let is_still_to_come = self.origin == Origin::Caller && told < self.last;
        if is_still_to_come || connection.support == ProgressSupport::Unreliable {
            return Ok(());
        }
        check_progress(self.last, told)?;
        connection.progressed(told);
        self.tell(WatchMessage::Progress(told), told).await
    }

    async fn tell_events(&mut self, message: &WatchResponse) -> Result<(), End> {
        let events = message.events().iter().map(|event| self.event(event)).collect::<Result<Vec<_>, _>>()?;
        let events = newer(self.last, events)?;
        let Some(newest) = events.last().map(|event| event.revision) else { return Ok(()) };
        self.tell(WatchMessage::Events(events), newest).await
    }

    async fn tell(&mut self, message: WatchMessage, revision: Revision) -> Result<(), End> {
        self.sender.send(Ok(message)).await.map_err(|_| End::Dropped)?;
        self.last = revision;
        self.origin = Origin::Etcd;
        Ok(())
    }

    fn event(&self, event: &etcd_client::Event) -> Result<Event, StoreError> {
        let pair = event.kv().ok_or_else(|| StoreError::Corrupt("etcd tells an event without a key".into()))?;
        let Entry { key, value, revision, .. } = self.shared.keys.entry(pair.clone())?;
        let value = match event.event_type() {
            EventType::Put => Some(value),
            EventType::Delete => None,
        };
        Ok(Event { key, revision, value, form: Form::Current })
    }
}

impl Connection {
    /// Takes note of a wish; a request that is under way may fulfil it as well.
    async fn want(&mut self, revision: Revision) -> Result<(), End> {
        // Members that answer it wrongly are not asked.
        if self.support == ProgressSupport::Reliable && self.wanted.replace(revision).is_none() {
            self.ask().await?;
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), End> {
        if self.support == ProgressSupport::Reliable {
            self.requests.request_progress().await.map_err(Fault::from)?;
        }
        self.ask_at = Instant::now() + if self.wanted.is_some() { PROGRESS_EVERY } else { SILENCE };
        Ok(())
    }

    fn heard(&mut self) {
        if self.wanted.is_none() {
            self.ask_at = Instant::now() + SILENCE;
        }
    }

    fn progressed(&mut self, told: Revision) {
        let Some(wanted) = self.wanted else { return };
        if told >= wanted {
            self.wanted = None;
            self.ask_at = Instant::now() + SILENCE;
        } else {
            self.ask_at = Instant::now() + PROGRESS_AGAIN;
        }
    }
}

impl Shared {
    /// The oldest revision that etcd still has: what it answers to a watch from the very first one. Where nothing was
    /// compacted it has no answer, and this waits for one in vain.
    pub(crate) async fn oldest(&self) -> Option<Revision> {
        let (_, member) = self.cluster.preferred();
        let (_requests, mut responses) = create(member, self.keys.nothing(), WatchOptions::new().with_start_revision(1)).await.ok()?;
        let compacted = async {
            while let Ok(Some(message)) = responses.message().await {
                if message.compact_revision() > 0 {
                    return Revision::try_from(message.compact_revision()).ok();
                }
            }
            None
        };
        timeout(CREATION, compacted).await.ok().flatten()
    }
}

/// The events that are newer than what was told. A stream that begins behind the last revision has no others, but servers
/// were seen that sent old ones again; events that go back among themselves leave open what is missing.
fn newer(last: Revision, events: Vec<Event>) -> Result<Vec<Event>, Fault> {
    let sent = events.len();
    let newer: Vec<Event> = events.into_iter().filter(|event| event.revision > last).collect();
    if newer.len() < sent {
        warn!(last, count = sent - newer.len(), "etcd sent events again that it had told, they are dropped");
    }
    match newer.windows(2).find(|pair| pair[1].revision < pair[0].revision) {
        Some(pair) => Err(Fault::Broken(format!("etcd tells revision {} after {}", pair[1].revision, pair[0].revision))),
        None => Ok(newer),
    }
}

/// Progress behind what was told comes of a member that does not know what it has told, or of another one that lags.
fn check_progress(last: Revision, told: Revision) -> Result<(), Fault> {
    if told < last { Err(Fault::Broken(format!("etcd tells progress {told} after {last}"))) } else { Ok(()) }
}

async fn create(member: &Member, key: Vec<u8>, options: WatchOptions) -> Result<(WatchRequestSender, WatchResponseStream), Fault> {
    let mut client = member.watch.clone();
    let stream = timeout(CREATION, client.watch(key, Some(options))).await.map_err(|_| Fault::late(CREATION))?;
    Ok(stream.map_err(Fault::from)?.split())
}

fn start_revision(last: Revision) -> Result<i64, StoreError> {
    let start = last.checked_add(1).and_then(|start| i64::try_from(start).ok());
    start.ok_or_else(|| StoreError::Corrupt(format!("no revision follows {last}")))
}

/// Doubles up to the longest wait, and differs by up to a half, so that many watches and servers do not come back at one moment.
fn backoff(failures: u32) -> Duration {
    let longest = BACKOFF.saturating_mul(1 << failures.min(10)).min(MAX_BACKOFF);
    let dice = RandomState::new().hash_one(failures) % 1000;
    longest / 2 + longest / 2 * dice as u32 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use apiserver_store::Key;

    #[test]
    fn only_newer_events_are_told_and_only_in_order() {
        let table: [(&[Revision], Option<&[Revision]>); 8] = [
            (&[], Some(&[])),
            (&[6, 7, 9], Some(&[6, 7, 9])),
            // One transaction of somebody else may change several keys.
            (&[6, 6, 7], Some(&[6, 6, 7])),
            (&[5], Some(&[])),
            (&[1, 5, 6], Some(&[6])),
            (&[6, 4, 7], Some(&[6, 7])),
            (&[7, 6], None),
            (&[6, 8, 7, 9], None),
        ];
        for (sent, want) in table {
            let event = |revision: &Revision| Event { key: Key::new("a"), revision: *revision, value: None, form: Form::Current };
            let told = newer(5, sent.iter().map(event).collect());
            let told = told.map(|events| events.iter().map(|event| event.revision).collect::<Vec<_>>());
            assert_eq!(told.as_deref().ok(), want, "{sent:?}");
        }
    }

    #[test]
    fn progress_that_goes_back_breaks_the_stream() {
        for (told, is_good) in [(4, false), (5, true), (6, true)] {
            assert_eq!(check_progress(5, told).is_ok(), is_good, "{told}");
        }
    }

    #[test]
    fn backoff_grows_to_its_bound() {
        for failures in 0..20 {
            let longest = (BACKOFF * 2_u32.pow(failures.min(6))).min(MAX_BACKOFF);
            let wait = backoff(failures);
            assert!(wait >= longest / 2 && wait <= longest, "{failures}: {wait:?}");
        }
    }
}
