//! Old history is forgotten, by one of the servers that share an etcd at a time.
//!
//! The protocol is kube-apiserver's, with its key, so that it may be among these servers. The key's version is a clock
//! that all of them see. Who finds it where they saw it last moves it on, and forgets what is older than that; everybody else
//! looks again an interval later. So there is one compaction in an interval, whoever carries it out, and when its server is
//! gone another one takes its turn within two. No lease, no leader.

use crate::{EtcdStore, keys};
use apiserver_store::{Revision, Store, StoreError};
use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use std::time::Duration;

/// Below nobody's prefix: history is the whole etcd's.
const KEY: &str = "compact_rev_key";

/// One server's part in it.
#[derive(Debug)]
pub struct Compactor {
    store: EtcdStore,
    /// The version of the key, when it was last seen.
    version: i64,
    /// etcd's revision at that time; 0 before.
    revision: Revision,
}

impl Compactor {
    /// Has not looked yet.
    pub fn new(store: EtcdStore) -> Self {
        Self { store, version: 0, revision: 0 }
    }

    /// Takes a turn each interval, for ever: history is kept for one interval at least, and mostly for less than two.
    pub async fn run(mut self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            match self.turn().await {
                Ok(Some(revision)) => tracing::debug!(revision, "etcd: history before this is forgotten"),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "etcd: compaction"),
            }
        }
    }

    /// Compacts history older than this server's last turn, unless another server has done so since. Returns the compacted
    /// revision.
    ///
    /// # Errors
    /// An error of etcd. The next turn may succeed.
    pub async fn turn(&mut self) -> Result<Option<Revision>, StoreError> {
        let (expected, old) = (self.version, self.revision);
        let transaction = Txn::new()
            .when([Compare::version(KEY, CompareOp::Equal, expected)])
            .and_then([TxnOp::put(KEY, old.to_string(), None)])
            .or_else([TxnOp::get(KEY, None)]);
        let shared = &self.store.shared;
        let answer = shared.cluster.write(|mut kv| {
            let transaction = transaction.clone();
            async move { kv.txn(transaction).await }
        });
        let answer = answer.await.map_err(|fault| fault.of_write(0))?;
        self.revision = keys::revision(answer.header().map_or(0, |header| header.revision()))?;
        if !answer.succeeded() {
            self.version = match answer.op_responses().pop() {
                Some(TxnOpResponse::Get(found)) => found.kvs().first().map_or(0, |pair| pair.version()),
                _ => return Err(StoreError::Corrupt("etcd's transaction has no answer to its read".into())),
            };
            return Ok(None);
        }
        self.version = expected + 1;
        if old == 0 {
            // Nobody knows how old that is.
            return Ok(None);
        }
        self.store.compact(old).await.map(|()| Some(old))
    }
}
