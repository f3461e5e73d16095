//! Writes, each one transaction: put, with fences or without, delete; and compaction.

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use vci_store::{Entry, Expect, Fence, FencedError, Hold, Key, Revision, StoreError, WriteError};

use crate::Shared;
use crate::fault::Fault;

/// A mod_revision that no key ever has; a key without a value has 0.
const NEVER: i64 = -1;

impl Shared {
    pub(crate) async fn put(&self, key: &Key, value: &Bytes, expect: Expect) -> Result<Revision, WriteError> {
        let key = self.keys.of(key);
        let (unchanged, put) = (unchanged(&key, expect), TxnOp::put(key.clone(), value.clone(), None));
        let outcome = self.transact(&key, vec![unchanged], vec![put], value.len()).await?;
        outcome.map_err(WriteError::Conflict)
    }

    /// All in one transaction, so that value and fences have one revision.
    pub(crate) async fn put_fenced(&self, key: &Key, value: &Bytes, expect: Expect, fences: &[Fence]) -> Result<Revision, FencedError> {
        let key = self.keys.of(key);
        let mut expected = vec![unchanged(&key, expect)];
        let mut operations = vec![TxnOp::put(key.clone(), value.clone(), None)];
        for fence in fences {
            let key = self.keys.of(&fence.key);
            expected.push(unchanged(&key, fence.expect));
            if fence.hold == Hold::Exclusive {
                operations.push(TxnOp::put(key, Vec::new(), None));
            }
        }
        let outcome = self.transact(&key, expected, operations, value.len()).await?;
        outcome.map_err(|found| match found.as_ref().map_or(Expect::Absent, |found| Expect::Revision(found.revision)) {
            // As expected, so it was a fence.
            current if current == expect => FencedError::Moved,
            _ => WriteError::Conflict(found).into(),
        })
    }

    pub(crate) async fn delete(&self, key: &Key, expect: Revision) -> Result<Revision, WriteError> {
        let key = self.keys.of(key);
        let (unchanged, delete) = (unchanged(&key, Expect::Revision(expect)), TxnOp::delete(key.clone(), None));
        let outcome = self.transact(&key, vec![unchanged], vec![delete], 0).await?;
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
    async fn transact(
        &self,
        key: &[u8],
        expected: Vec<Compare>,
        operations: Vec<TxnOp>,
        size: usize,
    ) -> Result<Result<Revision, Option<Entry>>, StoreError> {
        let transaction = Txn::new().when(expected).and_then(operations).or_else([TxnOp::get(key, None)]);
        let answer = self.cluster.write(|mut kv| {
            let transaction = transaction.clone();
            async move { kv.txn(transaction).await }
        });
        let answer = answer.await.map_err(|fault| fault.of_write(size))?;
        let revision = self.note(answer.header())?;
        if answer.succeeded() {
            return Ok(Ok(revision));
        }
        Ok(Err(self.found(answer.op_responses().pop())?))
    }

    /// What the else branch has read.
    fn found(&self, response: Option<TxnOpResponse>) -> Result<Option<Entry>, StoreError> {
        let Some(TxnOpResponse::Get(mut response)) = response else {
            return Err(StoreError::Corrupt("etcd's transaction has no answer to its read".into()));
        };
        response.take_kvs().pop().map(|pair| self.keys.entry(pair)).transpose()
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
