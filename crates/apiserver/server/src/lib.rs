//! A server as a process: configuration, certificates, connections, first objects, health, start and stop.
//!
//! The binary hands over plain data, a store and the kinds to serve; what HTTP requests mean is
//! [`apiserver_endpoints`]' business. Refused: flags, which store it is, which kinds there are.
#![warn(missing_docs)]

mod access_changes;
pub mod admission;
mod audit;
pub mod certificate_secret;
mod clock;
mod config;
mod error;
mod extension;
mod health;
mod host_cluster;
mod listen;
pub mod logging;
mod metrics;
pub mod open_files;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "otlp/absent.rs"]
mod otlp;
mod pki;
pub mod private_file;
mod request_log;
mod run;
mod signals;
mod tls;
mod trust;

pub use apiserver_auth::RequestHeaderConfig;
pub use apiserver_endpoints::InFlight;
pub use apiserver_host::Source;
pub use audit::{AuditConfig, AuditMode, AuditPath, AuditStats, Backups, Rotation};
pub use config::{Config, Connections, DrainMode, FrontProxyTrust, ServingCertificate, Shutdown, SniCertificate, StoreUse, Trust};
pub use error::StartError;
pub use extension::{AdmissionParts, Deployment, Extension, Started};
pub use pki::CertificateUsage;
pub use run::{ApiServer, Prepared, Ready, Stopped};
pub use signals::Signals;
pub use tls::{CipherSuite, TlsOptions, TlsVersion};
