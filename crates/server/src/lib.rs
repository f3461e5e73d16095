//! A server as a process: configuration, certificates, connections, first objects, health, start and stop.
//!
//! The binary hands over plain data, a store and the kinds to serve; what HTTP requests mean is
//! [`vci_endpoints`]' business. Refused: flags, which store it is, which kinds there are.
#![warn(missing_docs)]

mod access_changes;
mod admission;
mod bootstrap;
mod compaction;
mod config;
mod directory_feed;
mod error;
mod health;
mod kubeconfig;
mod listen;
pub mod logging;
pub mod open_files;
mod own_context;
mod ownership;
mod pki;
mod private_file;
mod run;
mod signals;
mod tls;

pub use config::{Config, Connections, ServingCertificate, StoreUse};
pub use error::StartError;
pub use run::{Prepared, Ready, Stopped};
pub use signals::Signals;

/// Makes the data directory, which only the server's own user may look into, and the ones above it, where they are missing.
///
/// # Errors
/// [`StartError::File`].
pub fn make_data_dir(path: &std::path::Path) -> Result<(), StartError> {
    private_file::make_dir(path)
}
