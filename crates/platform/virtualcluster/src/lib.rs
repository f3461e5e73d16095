//! Reaches the API of a virtual cluster from outside of it: its credentials, its address, its clients.
//!
//! A virtual cluster is a release of the chart in a namespace of the host cluster ([`Address`]). It keeps the certificate of an
//! administrator in a Secret there, and listens behind a Service. A [`Connector`] reads the one and dials the other: by the Service
//! from inside of the host cluster, by the port-forward API from outside of it ([`Route`]). Trusted is the authority in the Secret
//! and no other; credentials and addresses stay out of `Debug` and of the texts of errors.
//!
//! Refused: to decide who may reach a virtual cluster, and as whom. Everything here is its administrator's.
#![warn(missing_docs)]

mod address;
mod client;
mod connector;
mod credential_cache;
mod credentials;
mod dial;
mod error;
mod kubeconfig;
mod port_forward;
#[cfg(test)]
mod tests;

pub use address::{Address, InvalidAddress};
pub use connector::{Connector, TlsStream};
pub use credentials::{ClientCertificate, Credentials};
pub use dial::{Dial, Route, Stream};
pub use error::ConnectError;
pub use kubeconfig::Tunnel;
