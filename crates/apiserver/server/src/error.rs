//! Errors of starting a server.

use std::net::SocketAddr;
use std::path::PathBuf;

/// An error of starting a server. Its text is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or directory cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A certificate or key is not usable.
    #[error("{}: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A configuration file is not valid.
    #[error("{}: {why}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// The reason, with the path of the field.
        why: String,
    },
    /// A bootstrap file is not valid.
    #[error("{}: document {document}: {why}", path.display())]
    Bootstrap {
        /// The file.
        path: PathBuf,
        /// The number of the document in it, from 1.
        document: usize,
        /// The reason.
        why: String,
    },
    /// The host cluster cannot be reached.
    #[error(transparent)]
    HostCluster(#[from] apiserver_host::ConnectError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
    /// An object that the server needs cannot be created.
    #[error("cannot create {what}: {why}")]
    Create {
        /// Kind and name.
        what: String,
        /// The error of the registry.
        why: String,
    },
    /// An internal error.
    #[error("{0}")]
    Internal(String),
}
