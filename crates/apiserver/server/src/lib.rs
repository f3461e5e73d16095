//! A server as a process: configuration, certificates, connections, first objects, health, start and stop.
//!
//! A program hands over plain data, a store and the kinds to serve; what HTTP requests mean is
//! [`apiserver_endpoints`]' business. Refused: flags, which store it is, which kinds there are.
//!
//! ```
//! use apiserver_server::{ApiServer, Config, Signals, StartError, Stopped, embedded_store};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), StartError> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let folder = folder.path();
//! let config = Config { secure_port: 0, ..Config::standard(folder, "0.1.0") };
//! let prepared = ApiServer::builder(config).resources(Vec::new()).prepare().await?;
//! let (stop, signals) = Signals::channel(); // a program of its own takes `Signals::of_process()`
//! let stopped = prepared.run(embedded_store(folder), signals, |ready| {
//!     println!("serving on {}", ready.url);
//!     stop.try_send(()).expect("the server listens");
//! });
//! assert_eq!(stopped.await?, Stopped::Drained);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod access_changes;
pub mod admission;
mod audit;
pub mod certificate_secret;
mod clock;
mod config;
mod embedded;
mod error;
mod extension;
mod health;
mod host_cluster;
mod listen;
mod local_administrator;
pub mod logging;
mod loopback;
mod metrics;
pub mod open_files;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "otlp/absent.rs"]
mod otlp;
mod pki;
pub mod private_file;
mod process;
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
pub use embedded::embedded_store;
pub use error::StartError;
pub use extension::{AdmissionParts, Deployment, Extension, Started};
pub use local_administrator::LocalAdministrator;
pub use loopback::Loopback;
pub use pki::CertificateUsage;
pub use process::run_process;
pub use run::{ApiServer, Prepared, Ready, Stopped};
pub use signals::Signals;
pub use tls::{CipherSuite, TlsOptions, TlsVersion};
