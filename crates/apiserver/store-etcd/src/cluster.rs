//! The members and who is asked: one connection to each, all calls to the one that worked last.
//!
//! etcd-client's own balancing over endpoints is refused: with one of two members dead it fails every other call, and it does
//! not say whether the failed one was sent. Here a member that fails is left for the next one, a read is then repeated, and a
//! write only if it is certain that nothing was sent.

use apiserver_store::{ProgressSupport, StoreError};
use etcd_client::{
    AlarmAction, AlarmMember, AlarmType, Client, ConnectOptions, Error, KvClient, MaintenanceClient, StatusResponse, WatchClient,
};
use futures::TryFutureExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tower::util::BoxCloneSyncService;

use crate::channel::Channel;
use crate::config::{ConnectError, EtcdConfig, Timeouts};
use crate::fault::Fault;
use crate::keys::Keys;
use crate::revision::RevisionQuestion;
use crate::transport::{self, Connector};
use crate::version::Version;

/// How often every member is tried before a call fails.
const ROUNDS: usize = 3;
/// Between the rounds.
const PAUSE: Duration = Duration::from_millis(100);
/// The largest answer that is read. Pages and watch messages are far smaller; etcd's own limit of a request is 1.5 MiB.
const MAX_ANSWER: usize = 64 << 20;

/// One member of the cluster.
pub(crate) struct Member {
    pub(crate) endpoint: String,
    pub(crate) watch: WatchClient,
    kv: KvClient,
    maintenance: MaintenanceClient,
    pub(crate) revision: Arc<RevisionQuestion>,
    /// As it said last; `None` before it was ever reached.
    version: Mutex<Option<Version>>,
}

/// All members.
pub(crate) struct Cluster {
    members: Vec<Member>,
    preferred: AtomicUsize,
    timeouts: Timeouts,
}

/// Which failed calls may be repeated at another member.
#[derive(Clone, Copy)]
enum Repeat {
    /// Whatever failed: it changes nothing.
    Read,
    /// Writes that were certainly not sent.
    Write,
}

impl Cluster {
    /// Prepares the connections; nothing is sent yet.
    pub(crate) async fn new(config: &EtcdConfig, keys: &Keys) -> Result<Self, ConnectError> {
        let endpoints = config.parse_endpoints()?;
        if let Some(files) = &config.tls {
            transport::client_config(files)?;
        }
        let mut members = Vec::with_capacity(endpoints.len());
        for (text, endpoint) in config.endpoints.iter().zip(&endpoints) {
            let channel = Channel::new(Connector::new(endpoint.clone(), config.tls.clone()), config.timeouts.connect)?;
            // A member that is cut off from the others must not answer for them.
            let options = ConnectOptions::new().with_require_leader(true);
            let layered = etcd_client::Channel::Custom(BoxCloneSyncService::new(channel.clone()));
            let client = Client::from_channel(layered, Some(options)).await;
            let client = client.map_err(|error| ConnectError::Config(error.to_string()))?;
            members.push(Member {
                endpoint: text.clone(),
                watch: client.watch_client().max_decoding_message_size(MAX_ANSWER),
                kv: client.kv_client().max_decoding_message_size(MAX_ANSWER),
                maintenance: client.maintenance_client(),
                revision: Arc::new(RevisionQuestion::new(channel, &keys.nothing())),
                version: Mutex::new(None),
            });
        }
        Ok(Self { members, preferred: AtomicUsize::new(0), timeouts: config.timeouts })
    }

    /// Asks every member who it is. One that answers is enough; those that do must be of one cluster.
    pub(crate) async fn introduce(&self) -> Result<(), ConnectError> {
        let answers = futures::future::join_all(self.members.iter().map(|member| self.status(member))).await;
        let mut known: Option<(&Member, u64)> = None;
        let mut cause = String::new();
        for (index, (member, answer)) in self.members.iter().zip(answers).enumerate() {
            let id = match answer {
                Ok(status) => status.header().map_or(0, |header| header.cluster_id()),
                Err(fault) => {
                    cause = fault.to_string();
                    continue;
                }
            };
            match known {
                Some((first, other)) if other != id => {
                    let (one, two) = (&first.endpoint, &member.endpoint);
                    return Err(ConnectError::Config(format!("{one} and {two} are members of different clusters")));
                }
                Some(_) => {}
                None => {
                    known = Some((member, id));
                    self.preferred.store(index, Ordering::Relaxed);
                }
            }
        }
        let endpoints = || self.members.iter().map(|member| member.endpoint.as_str()).collect::<Vec<_>>().join(",");
        known.map(|_| ()).ok_or_else(|| ConnectError::Unreachable { endpoints: endpoints(), cause })
    }

    /// Asks one member for its status and notes its version.
    pub(crate) async fn status(&self, member: &Member) -> Result<StatusResponse, Fault> {
        let mut maintenance = member.maintenance.clone();
        let patience = self.timeouts.connect;
        let answer = timeout(patience, maintenance.status()).await.map_err(|_| Fault::late(patience))?;
        let status = answer.map_err(Fault::from)?;
        *member.version.lock().unwrap_or_else(PoisonError::into_inner) = Version::parse(status.version());
        Ok(status)
    }

    /// Bytes of the database of the member to ask.
    pub(crate) async fn size(&self) -> Result<u64, StoreError> {
        let (_, member) = self.preferred();
        let status = self.status(member).await.map_err(|fault| fault.at(&member.endpoint).of_read())?;
        u64::try_from(status.db_size()).map_err(|_| StoreError::Corrupt(format!("a database of {} bytes", status.db_size())))
    }

    /// Whether any member has raised an alarm; any of them knows.
    pub(crate) async fn alarm(&self) -> Result<(), StoreError> {
        let (_, member) = self.preferred();
        let (patience, mut maintenance) = (self.timeouts.connect, member.maintenance.clone());
        let asked = timeout(patience, maintenance.alarm(AlarmAction::Get, AlarmType::None, None)).await;
        let failed = |fault: Fault| fault.at(&member.endpoint).of_read();
        let answer = asked.map_err(|_| failed(Fault::late(patience)))?.map_err(|error| failed(error.into()))?;
        match answer.alarms().iter().map(AlarmMember::alarm).find(|alarm| *alarm != AlarmType::None) {
            None => Ok(()),
            Some(AlarmType::Nospace) => Err(StoreError::Full("etcd has the alarm NOSPACE".into())),
            Some(other) => Err(StoreError::Unavailable(format!("etcd has the alarm {other:?}"))),
        }
    }

    /// Reliable when every member that was ever reached is. A watch asks a member anew before it begins there.
    pub(crate) fn progress_support(&self) -> ProgressSupport {
        let mut support = ProgressSupport::Unreliable;
        for member in &self.members {
            match member.progress_support() {
                Some(ProgressSupport::Reliable) => support = ProgressSupport::Reliable,
                Some(ProgressSupport::Unreliable) => return ProgressSupport::Unreliable,
                None => {}
            }
        }
        support
    }

    /// The member to ask, and its number for [`Cluster::avoid`].
    pub(crate) fn preferred(&self) -> (usize, &Member) {
        let index = self.preferred.load(Ordering::Relaxed) % self.members.len();
        (index, &self.members[index])
    }

    /// Turns to the next member, unless somebody has done so already.
    pub(crate) fn avoid(&self, index: usize) {
        let next = (index + 1) % self.members.len();
        let _ = self.preferred.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// How long a call may take in all.
    pub(crate) fn patience(&self) -> Duration {
        self.timeouts.request
    }

    /// A call that changes nothing.
    pub(crate) async fn read<T, F: Future<Output = Result<T, Error>>>(&self, call: impl Fn(KvClient) -> F) -> Result<T, Fault> {
        let call = |member: &Member| call(member.kv.clone()).map_err(Fault::from);
        self.call(Repeat::Read, call).await
    }

    /// A call that is carried out at most once.
    pub(crate) async fn write<T, F: Future<Output = Result<T, Error>>>(&self, call: impl Fn(KvClient) -> F) -> Result<T, Fault> {
        let call = |member: &Member| call(member.kv.clone()).map_err(Fault::from);
        self.call(Repeat::Write, call).await
    }

    /// The revision that etcd has now, as a quorum of its members knows it.
    pub(crate) async fn revision(&self) -> Result<i64, Fault> {
        let call = |member: &Member| {
            let question = Arc::clone(&member.revision);
            async move { question.ask().await }
        };
        self.call(Repeat::Read, call).await
    }

    async fn call<T, F: Future<Output = Result<T, Fault>>>(&self, repeat: Repeat, call: impl Fn(&Member) -> F) -> Result<T, Fault> {
        let deadline = Instant::now() + self.timeouts.request;
        let mut attempt = 0;
        loop {
            let (index, member) = self.preferred();
            let patience = self.share(repeat, deadline);
            let fault = match timeout(patience, call(member)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(fault)) => fault,
                Err(_) => Fault::late(patience),
            };
            if matches!(fault, Fault::Unreached(_) | Fault::Broken(_)) {
                self.avoid(index);
            }
            attempt += 1;
            let again = repeat.allows(&fault) && attempt < ROUNDS * self.members.len() && Instant::now() + PAUSE < deadline;
            if !again {
                return Err(fault.at(&member.endpoint));
            }
            if attempt % self.members.len() == 0 {
                sleep(PAUSE).await;
            }
        }
    }

    /// How long to wait for one member. A read leaves time to ask another one.
    fn share(&self, repeat: Repeat, deadline: Instant) -> Duration {
        let left = deadline.saturating_duration_since(Instant::now());
        match repeat {
            Repeat::Read => left.min(self.timeouts.request / self.members.len().min(ROUNDS) as u32),
            Repeat::Write => left,
        }
    }
}

impl Member {
    /// By the version it said last.
    pub(crate) fn progress_support(&self) -> Option<ProgressSupport> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).map(Version::progress_support)
    }
}

impl Repeat {
    fn allows(self, fault: &Fault) -> bool {
        match self {
            Self::Read => matches!(fault, Fault::Unreached(_) | Fault::Broken(_)),
            Self::Write => matches!(fault, Fault::Unreached(_)),
        }
    }
}
