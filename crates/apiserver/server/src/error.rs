//! Why a server does not start.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server does not start. Each is one line for the operator, who can do something about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or directory cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A certificate or key is of no use.
    #[error("{}: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A configuration file is of no use.
    #[error("{}: {why}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the path of the field.
        why: String,
    },
    /// A bootstrap file is of no use.
    #[error("{}: document {document}: {why}", path.display())]
    Bootstrap {
        /// The file.
        path: PathBuf,
        /// Which of its documents, from 1.
        document: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The host cluster cannot be asked.
    #[error(transparent)]
    HostCluster(#[from] apiserver_host::ConnectError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// An object that the server needs cannot be created.
    #[error("cannot create {what}: {why}")]
    Create {
        /// Kind and name.
        what: String,
        /// What the registry says.
        why: String,
    },
    /// Something that is not the operator's to mend.
    #[error("{0}")]
    Internal(String),
}
