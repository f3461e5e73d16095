//! Why a virtual cluster is out of reach, in words that anybody may read.

use std::io;

/// Why a virtual cluster is out of reach. The texts name neither addresses nor credentials; what is behind them is the `source`, which
/// is for operators.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The Secret is not there (yet).
    #[error("the virtual cluster has no credentials yet: Secret {0} is missing")]
    NoSecret(String),
    /// The Secret holds something else.
    #[error("the credentials of the virtual cluster cannot be used: {key} of Secret {name} is missing or malformed")]
    BadSecret {
        /// The Secret's name.
        name: String,
        /// The key in it.
        key: &'static str,
    },
    /// The host cluster does not answer, or refuses.
    #[error("the host cluster does not tell {what}")]
    Host {
        /// What it was asked for.
        what: &'static str,
        /// What it says.
        source: kube::Error,
    },
    /// No pod is ready.
    #[error("no pod of the virtual cluster is ready")]
    NoPod,
    /// There is no connection.
    #[error("the virtual cluster does not answer")]
    NotReachable(#[source] io::Error),
    /// There is a connection, and no TLS over it.
    #[error("the virtual cluster cannot be trusted: TLS fails")]
    Tls(#[source] io::Error),
    /// It takes too long.
    #[error("the virtual cluster does not answer in time")]
    TimedOut,
}

impl ConnectError {
    /// Whether other credentials may help.
    pub(crate) fn doubts_credentials(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}
