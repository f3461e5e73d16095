//! What clients are told of a virtual cluster that gives no answer. Nothing of where it is, or of credentials, is in the texts.

use crate::upstream::SendError;
use apiserver_meta::ApiError;
use vci_virtualcluster::ConnectError;

/// Seconds after which to come back.
const SOON: u32 = 2;

/// The error for a request to this virtual cluster.
pub(crate) fn of_send(instance: &str, error: &SendError) -> ApiError {
    let text = format!("error trying to reach virtual cluster {instance:?}: {error}");
    let told = match error {
        SendError::Busy => ApiError::too_many_requests(text, SOON),
        SendError::Connect(ConnectError::TimedOut) => ApiError::timeout(text),
        SendError::Connect(_) | SendError::Broken(_) | SendError::Refused => ApiError::unavailable(text, SOON),
    };
    // For operators: the whole chain.
    tracing::warn!(instance, error = error as &dyn std::error::Error, "a virtual cluster is out of reach");
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_for_operators() {
        let cause = || std::io::Error::other("connect to 10.0.0.7:443 refused");
        for (error, code) in [
            (SendError::Connect(ConnectError::NotReachable(cause())), 503),
            (SendError::Connect(ConnectError::Tls(cause())), 503),
            (SendError::Connect(ConnectError::NoSecret("vc-x".into())), 503),
            (SendError::Connect(ConnectError::TimedOut), 504),
            (SendError::Busy, 429),
            (SendError::Refused, 503),
        ] {
            let told = of_send("my-vc", &error);
            assert_eq!(told.code(), code, "{}", told.message);
            assert!(told.message.contains("my-vc") && !told.message.contains("10.0.0.7"), "{}", told.message);
            assert!(told.source.is_none(), "it is logged once");
        }
    }
}
