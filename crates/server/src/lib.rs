//! A server as a process: configuration, certificates, connections, first objects, health, start and stop.
//!
//! The binary hands over plain data, a store and the kinds to serve; what HTTP requests mean is
//! [`vci_endpoints`]' business. Refused: flags, which store it is, which kinds there are.
#![warn(missing_docs)]

mod access_changes;
mod admission;
mod answers;
mod audit;
mod bootstrap;
pub mod certificate_secret;
mod clock;
mod config;
mod directory_feed;
mod error;
mod health;
mod host_cluster;
mod key_activity;
mod key_admission;
mod kubeconfig;
mod leftovers;
mod listen;
pub mod logging;
mod metrics;
pub mod open_files;
mod orphaned_keys;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "otlp/absent.rs"]
mod otlp;
mod own_context;
mod pki;
mod private_file;
mod project;
mod quota;
mod request_log;
mod run;
mod secret;
mod signals;
mod tls;
mod trust;

pub use audit::{AuditConfig, AuditMode, AuditPath, AuditStats, Backups, Rotation};
pub use config::{Arrivals, Config, Connections, FrontProxyTrust, ServingCertificate, Shutdown, SniCertificate, StoreUse, Trust};
pub use error::StartError;
pub use pki::CertificateUsage;
pub use run::{Prepared, Ready, Stopped};
pub use signals::Signals;
pub use tls::{CipherSuite, TlsTerms, TlsVersion};
pub use vci_auth::FrontProxyTerms;
pub use vci_cluster::Source;
pub use vci_endpoints::InFlight;

/// Makes the data directory, which only the server's own user may look into, and the ones above it, where they are missing.
///
/// # Errors
/// [`StartError::File`].
pub fn make_data_dir(path: &std::path::Path) -> Result<(), StartError> {
    private_file::make_dir(path)
}
