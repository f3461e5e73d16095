//! Writes, each one transaction: put, delete; and compaction.

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use vci_store::{Entry, Expect, Key, Revision, StoreError, WriteError};

use crate::Shared;
use crate::fault::Fault;

/// A mod_revision that no key ever has; a key without a value has 0.
const NEVER: i64 = -1;

impl Shared {
    pub(crate) async fn put(&self, key: &Key, value: &Bytes, expect: Expect) -> Result<Revision, WriteError> {
        let expected = match expect {
            Expect::Absent => 0,
            Expect::Revision(revision) => mod_revision(revision),
        };
        self.transact(key, expected, value.len(), |key| TxnOp::put(key, value.clone(), None)).await
    }

    pub(crate) async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        self.transact(key, mod_revision(expect), 0, |key| TxnOp::delete(key, None)).await
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

    async fn transact(&self, key: &Key, expected: i64, size: usize, operation: impl Fn(Vec<u8>) -> TxnOp) -> Result<Revision, WriteError> {
        let key = self.keys.of(key);
        let answer = self.cluster.write(|mut kv| {
            let unchanged = Compare::mod_revision(key.clone(), CompareOp::Equal, expected);
            let transaction = Txn::new().when([unchanged]).and_then([operation(key.clone())]).or_else([TxnOp::get(key.clone(), None)]);
            async move { kv.txn(transaction).await }
        });
        let answer = answer.await.map_err(|fault| fault.of_write(size))?;
        let revision = self.note(answer.header())?;
        if answer.succeeded() {
            return Ok(revision);
        }
        Err(WriteError::Conflict(self.found(answer.op_responses().pop())?))
    }

    /// What the else branch has read.
    fn found(&self, response: Option<TxnOpResponse>) -> Result<Option<Entry>, StoreError> {
        let Some(TxnOpResponse::Get(mut response)) = response else {
            return Err(StoreError::Corrupt("etcd's transaction has no answer to its read".into()));
        };
        response.take_kvs().pop().map(|pair| self.keys.entry(pair)).transpose()
    }
}

/// 0 would be etcd's word for a key without a value, which is not what a caller with a revision expects.
fn mod_revision(expected: Revision) -> i64 {
    i64::try_from(expected).ok().filter(|revision| *revision > 0).unwrap_or(NEVER)
}
