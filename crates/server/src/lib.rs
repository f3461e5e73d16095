//! A server as a process: configuration, certificates, connections, first objects, health, start and stop.
//!
//! The binary hands over plain data, a store and the kinds to serve; what HTTP requests mean is
//! [`vci_endpoints`]' business. Refused: flags, which store it is, which kinds there are.
#![warn(missing_docs)]

mod access_changes;
mod admission;
mod answers;
mod bootstrap;
mod clock;
mod compaction;
mod config;
mod directory_feed;
mod error;
mod health;
mod key_activity;
mod key_admission;
mod kubeconfig;
mod leftovers;
mod listen;
pub mod logging;
pub mod open_files;
mod own_context;
mod pki;
mod private_file;
mod project;
mod quota;
mod run;
mod secret;
mod signals;
mod tls;
mod trust;

pub use config::{Config, Connections, FrontProxyTrust, ServingCertificate, StoreUse, Trust};
pub use error::StartError;
pub use run::{Prepared, Ready, Stopped};
pub use signals::Signals;
pub use vci_auth::FrontProxyTerms;

/// Makes the data directory, which only the server's own user may look into, and the ones above it, where they are missing.
///
/// # Errors
/// [`StartError::File`].
pub fn make_data_dir(path: &std::path::Path) -> Result<(), StartError> {
    private_file::make_dir(path)
}
