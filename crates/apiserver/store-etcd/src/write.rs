//! Writes, each one transaction: put, with guards or without, delete; and compaction.

use apiserver_store::{Entry, Expect, Guard, GuardMode, GuardedError, Key, Revision, StoreError, WriteError};
use bytes::Bytes;
use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Shared;
use crate::fault::Fault;

/// Between the attempts to find out what became of a write.
const PAUSE: Duration = Duration::from_millis(50);
/// A mod_revision that no key ever has; a key without a value has 0.
const NEVER: i64 = -1;

/// One transaction on one key.
struct Transaction<'a> {
    key: &'a [u8],
    expect: Expect,
    /// `None`: delete.
    value: Option<&'a Bytes>,
    expected: Vec<Compare>,
    operations: Vec<TxnOp>,
}

/// The revision of a write, or what is there where something expected does not hold.
type Outcome = Result<Revision, Option<Entry>>;

impl Shared {
    pub(crate) async fn put(&self, key: &Key, value: &Bytes, expect: Expect) -> Result<Revision, WriteError> {
        let key = self.keys.of(key);
        let (expected, operations) = (vec![unchanged(&key, expect)], vec![TxnOp::put(key.clone(), value.clone(), None)]);
        let outcome = self.transact(&Transaction { key: &key, expect, value: Some(value), expected, operations }).await?;
        outcome.map_err(WriteError::Conflict)
    }

    /// All in one transaction, so that value and guards have one revision.
    pub(crate) async fn put_guarded(&self, key: &Key, value: &Bytes, expect: Expect, guards: &[Guard]) -> Result<Revision, GuardedError> {
        let key = self.keys.of(key);
        let mut expected = vec![unchanged(&key, expect)];
        let mut operations = vec![TxnOp::put(key.clone(), value.clone(), None)];
        for guard in guards {
            let key = self.keys.of(&guard.key);
            expected.push(unchanged(&key, guard.expect));
            if guard.mode == GuardMode::Exclusive {
                operations.push(TxnOp::put(key, Vec::new(), None));
            }
        }
        let outcome = self.transact(&Transaction { key: &key, expect, value: Some(value), expected, operations }).await?;
        outcome.map_err(|found| match found.as_ref().map_or(Expect::Absent, |found| Expect::Revision(found.revision)) {
            // As expected, so it was a guard.
            current if current == expect => GuardedError::GuardFailed,
            _ => WriteError::Conflict(found).into(),
        })
    }

    pub(crate) async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        let (key, expect) = (self.keys.of(key), Expect::Revision(expect));
        let (expected, operations) = (vec![unchanged(&key, expect)], vec![TxnOp::delete(key.clone(), None)]);
        let outcome = self.transact(&Transaction { key: &key, expect, value: None, expected, operations }).await?;
        outcome.map_err(WriteError::Conflict)
    }

    /// Forgets history in etcd's own time; its files shrink later. What is forgotten already stays so.
    pub(crate) async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let current = || self.revision();
        let Ok(target) = i64::try_from(revision) else {
            return Err(StoreError::Future { requested: revision, current: current().await? });
        };
        if target == 0 {
            return Ok(());
        }
        // Repeating it does no harm.
        match self.cluster.read(|mut kv| async move { kv.compact(target, None).await }).await {
            Ok(_) | Err(Fault::Compacted) => Ok(()),
            Err(Fault::Future) => Err(StoreError::Future { requested: revision, current: current().await? }),
            Err(fault) => Err(fault.of_read()),
        }
    }

    /// Carries the operations out if all that is expected holds; otherwise tells what is under the key.
    async fn transact(&self, transaction: &Transaction<'_>) -> Result<Outcome, StoreError> {
        let deadline = Instant::now() + self.cluster.patience();
        match self.send(transaction).await? {
            Ok((outcome, _)) => Ok(outcome),
            Err(lost @ Fault::Broken(_)) => {
                let found = timeout_at(deadline, self.find_out(transaction)).await.ok().flatten();
                found.map_or_else(|| Err(lost.of_write(transaction.size())), Ok)
            }
            Err(fault) => Err(fault.of_write(transaction.size())),
        }
    }

    /// Finds out the outcome of a write whose answer was lost; `None` when it cannot be known.
    ///
    /// A write that expects a revision is sent again: however often, it is carried out once, as the first that succeeds
    /// changes the revision. If it is refused then and what was to be written is there, it was the lost one that wrote it, or
    /// one that wrote the same over the same. A creation is never sent again: created and deleted meanwhile, it would come
    /// back. It is looked for.
    async fn find_out(&self, transaction: &Transaction<'_>) -> Option<Outcome> {
        loop {
            sleep(PAUSE).await;
            let sent = match transaction.expect {
                Expect::Revision(_) => self.send(transaction).await,
                Expect::Absent => self.look_for(transaction.key).await,
            };
            // Not reached, or lost once more.
            let Ok(Ok((outcome, revision))) = sent else { continue };
            let found = match outcome {
                Ok(revision) => return Some(Ok(revision)),
                Err(found) => found,
            };
            let is = found.as_ref().map_or(Expect::Absent, |found| Expect::Revision(found.revision));
            return match (found, transaction.value) {
                (Some(found), Some(value)) if found.value == *value => Some(Ok(found.revision)),
                (None, None) => Some(Ok(revision)),
                // Not there: it may still be on its way.
                (None, Some(_)) if transaction.expect == Expect::Absent => continue,
                // Unchanged: a guard has moved, and nothing was written.
                (found, _) if is == transaction.expect => Some(Err(found)),
                (found @ Some(_), Some(_)) if transaction.expect == Expect::Absent => Some(Err(found)),
                // Others have written since; whether upon this write or in its place, is not seen any more.
                _ => None,
            };
        }
    }

    /// A read in the words of a transaction that was refused.
    async fn look_for(&self, key: &[u8]) -> Result<Result<(Outcome, Revision), Fault>, StoreError> {
        let never = Transaction {
            key,
            expect: Expect::Absent,
            value: None,
            expected: vec![unchanged(key, Expect::Revision(0))],
            operations: Vec::new(),
        };
        self.send(&never).await
    }

    /// One attempt, and the revision at which it was decided.
    async fn send(&self, transaction: &Transaction<'_>) -> Result<Result<(Outcome, Revision), Fault>, StoreError> {
        let Transaction { key, expected, operations, .. } = transaction;
        let txn = Txn::new().when(expected.clone()).and_then(operations.clone()).or_else([TxnOp::get(*key, None)]);
        let answer = self.cluster.write(|mut kv| {
            let txn = txn.clone();
            async move { kv.txn(txn).await }
        });
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(fault) => return Ok(Err(fault)),
        };
        let revision = self.note(answer.header())?;
        if answer.succeeded() {
            return Ok(Ok((Ok(revision), revision)));
        }
        Ok(Ok((Err(self.found(answer.op_responses().pop())?), revision)))
    }

    /// Returns the entry that the else branch of the transaction has read.
    fn found(&self, response: Option<TxnOpResponse>) -> Result<Option<Entry>, StoreError> {
        let Some(TxnOpResponse::Get(mut response)) = response else {
            return Err(StoreError::Corrupt("etcd's transaction has no answer to its read".into()));
        };
        response.take_kvs().pop().map(|pair| self.keys.entry(pair)).transpose()
    }
}

impl Transaction<'_> {
    /// Bytes of the value.
    fn size(&self) -> usize {
        self.value.map_or(0, Bytes::len)
    }
}

fn unchanged(key: &[u8], expect: Expect) -> Compare {
    let expected = match expect {
        Expect::Absent => 0,
        // 0 would be etcd's word for a key without a value, which is not what a caller with a revision expects.
        Expect::Revision(revision) => i64::try_from(revision).ok().filter(|revision| *revision > 0).unwrap_or(NEVER),
    };
    Compare::mod_revision(key, CompareOp::Equal, expected)
}
