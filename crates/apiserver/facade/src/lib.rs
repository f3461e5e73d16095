//! An aggregated Kubernetes API server as a library: kinds in, a server out.
//!
//! A kind is Rust types, a [`meta::Descriptor`] and pure rules ([`meta::Resource`]). [`server::ApiServer`] serves any number of them
//! over TLS with the complete semantics of the Kubernetes API, and joins a cluster as an `APIService`. What a product adds (its own
//! identities, rules, virtual resources) plugs in as a [`server::Extension`].
//!
//! ```
//! use apiserver::meta::{Descriptor, Schema};
//! use apiserver::server::{ApiServer, Config};
//!
//! /// What a caller has to bring: kinds, and how the server is to run.
//! fn server(kinds: Vec<std::sync::Arc<dyn apiserver::meta::Resource>>) -> ApiServer {
//!     ApiServer::builder(Config::standard("./data", "0.1.0")).resources(kinds)
//! }
//! # let _ = (server(Vec::new()), std::mem::size_of::<(Descriptor, Schema)>());
//! ```
//!
//! This crate only hands on: each part is a crate of its own, with its documentation there.
#![warn(missing_docs)]

#[doc(inline)]
pub use apiserver_auth as auth;
#[doc(inline)]
pub use apiserver_endpoints as endpoints;
#[doc(inline)]
pub use apiserver_host as host;
#[doc(inline)]
pub use apiserver_meta as meta;
#[doc(inline)]
pub use apiserver_registry as registry;
#[doc(inline)]
pub use apiserver_server as server;
#[doc(inline)]
pub use apiserver_store as store;
#[cfg(feature = "encryption")]
#[doc(inline)]
pub use apiserver_store_encryption as store_encryption;
#[cfg(feature = "etcd")]
#[doc(inline)]
pub use apiserver_store_etcd as store_etcd;
