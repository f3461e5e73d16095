//! Faults of one call, classified by the one question that matters: was the call carried out?
//!
//! gRPC codes do not answer it: etcd says Unavailable both for a call it refused and for one it lost track of, and
//! OutOfRange stands for a compacted revision, a future one, and an answer above the client's own limit. etcd's error texts are
//! part of its API (`api/v3rpc/rpctypes`), so they decide.

use apiserver_store::StoreError;
use etcd_client::Error;
use std::fmt;
use std::time::Duration;
use tonic::{Code, ConnectError, Status};

/// One failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was begun; another member may do it.
    Unreached(String),
    /// etcd has refused it, and so would every member.
    Refused(String),
    /// etcd's database is as large as it may be.
    Full(String),
    /// The request is larger than etcd takes.
    TooLarge,
    /// The answer is larger than this client takes.
    AnswerTooLarge,
    /// The revision is no longer there.
    Compacted,
    /// The revision is not yet there.
    Future,
    /// The connection broke or etcd lost track: it may have been carried out.
    Broken(String),
}

impl Fault {
    /// No answer came.
    pub(crate) fn late(time: Duration) -> Self {
        Self::Broken(format!("no answer within {time:?}"))
    }

    /// No connection, so nothing was sent.
    pub(crate) fn unreached(error: &ConnectError) -> Self {
        Self::Unreached(root(error))
    }

    /// The fault with the place it happened at.
    pub(crate) fn at(self, endpoint: &str) -> Self {
        match self {
            Self::Unreached(text) => Self::Unreached(format!("{endpoint}: {text}")),
            Self::Refused(text) => Self::Refused(format!("{endpoint}: {text}")),
            Self::Full(text) => Self::Full(format!("{endpoint}: {text}")),
            Self::Broken(text) => Self::Broken(format!("{endpoint}: {text}")),
            other @ (Self::TooLarge | Self::AnswerTooLarge | Self::Compacted | Self::Future) => other,
        }
    }

    /// Maps the fault of a read. Compacted and Future are mapped by the caller, which knows the revision.
    pub(crate) fn of_read(self) -> StoreError {
        match self {
            Self::Unreached(text) | Self::Refused(text) | Self::Broken(text) => StoreError::Unavailable(text),
            Self::Full(text) => StoreError::Full(text),
            Self::AnswerTooLarge => StoreError::Corrupt("etcd holds a value larger than any it takes".into()),
            Self::TooLarge | Self::Compacted | Self::Future => StoreError::Unavailable(format!("etcd's answer does not fit: {self}")),
        }
    }

    /// Maps the fault of a write of `size` bytes.
    pub(crate) fn of_write(self, size: usize) -> StoreError {
        match self {
            Self::Unreached(text) | Self::Refused(text) => StoreError::Unavailable(text),
            Self::Full(text) => StoreError::Full(text),
            Self::TooLarge => StoreError::TooLarge { size },
            Self::Broken(text) => StoreError::Unknown(text),
            Self::AnswerTooLarge | Self::Compacted | Self::Future => StoreError::Unknown(format!("etcd's answer does not fit: {self}")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreached(text) | Self::Refused(text) | Self::Full(text) | Self::Broken(text) => f.write_str(text),
            Self::TooLarge => f.write_str("the request is too large"),
            Self::AnswerTooLarge => f.write_str("the answer is too large"),
            Self::Compacted => f.write_str("the revision is compacted"),
            Self::Future => f.write_str("the revision is in the future"),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::GRpcStatus(status) => Self::from(status),
            // The rest are errors of calls that this crate does not make; a broken stream is the likeliest.
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        let message = status.message();
        let has = |text: &str| message.contains(text);
        if let Some(cause) = connect_cause(&status) {
            return Self::Unreached(cause);
        }
        match status.code() {
            Code::OutOfRange if has("required revision has been compacted") => Self::Compacted,
            Code::OutOfRange if has("required revision is a future revision") => Self::Future,
            Code::OutOfRange if has("message length too large") => Self::AnswerTooLarge,
            Code::InvalidArgument if has("request is too large") => Self::TooLarge,
            Code::ResourceExhausted if has("database space exceeded") => Self::Full(message.to_owned()),
            // What the gRPC server says before etcd sees the request.
            Code::ResourceExhausted if has("larger than max") => Self::TooLarge,
            Code::Unavailable if has("no leader") || has("not supported for learner") => Self::Unreached(message.to_owned()),
            Code::InvalidArgument
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
            | Code::NotFound => Self::Refused(message.to_owned()),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::Aborted
            | Code::OutOfRange
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Broken(describe(&status)),
        }
    }
}

/// Why no connection could be made, if that is what failed: then nothing was sent.
fn connect_cause(status: &Status) -> Option<String> {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.downcast_ref::<ConnectError>().is_some() {
            return Some(root(error));
        }
        source = error.source();
    }
    None
}

fn describe(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => format!("{}: {}", status.message(), root(source)),
        None if status.message().is_empty() => format!("{:?}", status.code()),
        None => status.message().to_owned(),
    }
}

/// The innermost cause, which is the one that says something.
pub(crate) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_etcd() {
        let texts = [
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", Fault::Compacted),
            (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision", Fault::Future),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 6000000 bytes, the limit is: 4194304 bytes",
                Fault::AnswerTooLarge,
            ),
            (Code::InvalidArgument, "etcdserver: request is too large", Fault::TooLarge),
            (Code::ResourceExhausted, "grpc: received message larger than max (2097200 vs. 2097152)", Fault::TooLarge),
        ];
        for (code, text, want) in texts {
            assert_eq!(Fault::from(Status::new(code, text)), want, "{text}");
        }
        let unreached = ["etcdserver: no leader", "etcdserver: rpc not supported for learner"];
        for text in unreached {
            assert_eq!(Fault::from(Status::unavailable(text)), Fault::Unreached(text.into()));
        }
        let refused =
            [(Code::ResourceExhausted, "etcdserver: too many requests"), (Code::PermissionDenied, "etcdserver: permission denied")];
        for (code, text) in refused {
            assert_eq!(Fault::from(Status::new(code, text)), Fault::Refused(text.into()));
        }
        let full = "etcdserver: mvcc: database space exceeded";
        assert_eq!(Fault::from(Status::new(Code::ResourceExhausted, full)), Fault::Full(full.into()));
        let broken = [
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure"),
            (Code::Unavailable, "etcdserver: leader changed"),
            (Code::Unavailable, "etcdserver: server stopped"),
            (Code::Unknown, "transport error"),
            (Code::Cancelled, "operation was canceled"),
        ];
        for (code, text) in broken {
            assert_eq!(Fault::from(Status::new(code, text)), Fault::Broken(text.into()));
        }
    }

    #[test]
    fn a_write_is_called_not_done_only_when_that_is_certain() {
        assert!(matches!(Fault::Unreached(String::new()).of_write(1), StoreError::Unavailable(_)));
        assert!(matches!(Fault::Refused(String::new()).of_write(1), StoreError::Unavailable(_)));
        assert!(matches!(Fault::Full(String::new()).of_write(1), StoreError::Full(_)));
        assert!(matches!(Fault::TooLarge.of_write(7), StoreError::TooLarge { size: 7 }));
        for fault in [Fault::Broken(String::new()), Fault::AnswerTooLarge, Fault::late(Duration::from_secs(1))] {
            assert!(matches!(fault.of_write(1), StoreError::Unknown(_)));
        }
    }
}
