//! The question for the current revision. It is asked on behalf of every consistent read, so the little that it takes of etcd's
//! protocol is written here, and bytes that never change are made once.

use prost::Message;
use std::fmt;

use crate::channel::{Channel, Question};
use crate::fault::Fault;

const RANGE: &str = "/etcdserverpb.KV/Range";

/// A linearizable range of one key that has no value. Like every answer, that to this one tells the revision.
pub(crate) struct RevisionQuestion {
    channel: Channel,
    question: Question,
}

/// etcd's `RangeRequest`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bool, tag = "9")]
    count_only: bool,
}

/// etcd's `RangeResponse`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
}

/// etcd's `ResponseHeader`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct ResponseHeader {
    #[prost(int64, tag = "3")]
    revision: i64,
}

impl RevisionQuestion {
    /// `nothing` is a key that never has a value.
    pub(crate) fn new(channel: Channel, nothing: &[u8]) -> Self {
        let request = RangeRequest { key: nothing.to_vec(), count_only: true };
        let question = channel.question(RANGE, &request.encode_to_vec());
        Self { channel, question }
    }

    /// Asks. What is told is not older than any write that was acknowledged before.
    pub(crate) async fn ask(&self) -> Result<i64, Fault> {
        let answer = self.channel.ask(&self.question).await?;
        let answer = RangeResponse::decode(answer).map_err(|error| Fault::Broken(format!("etcd's answer cannot be read: {error}")))?;
        let header = answer.header.ok_or_else(|| Fault::Broken("etcd's answer has no header".into()))?;
        Ok(header.revision)
    }
}

impl fmt::Debug for RevisionQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevisionQuestion").finish_non_exhaustive()
    }
}
