#![doc = include_str!("../README.md")]
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
