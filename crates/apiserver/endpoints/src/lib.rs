//! The HTTP face of the API: request paths and options, one verb a file, negotiation, tables, discovery,
//! OpenAPI, health. The one place that knows wire formats.
//!
//! ```
//! use apiserver_endpoints::RequestInfo;
//!
//! let uri = http::Uri::from_static("/apis/example.com/v1/namespaces/shelf/widgets?watch=true");
//! let info = RequestInfo::parse(&http::Method::GET, &uri, "").expect("a path of the API");
//! let resource = info.resource.expect("a path of the API");
//! assert_eq!(info.verb, "watch");
//! assert_eq!((&*resource.namespace, &*resource.resource, &*resource.name), ("shelf", "widgets", ""));
//! ```
#![warn(missing_docs)]

mod accept;
mod access;
mod app;
mod audit_context;
mod body;
mod call;
mod chunks;
mod config;
mod context;
mod discovery;
mod dispatch;
mod extensions;
mod extra_path;
mod filters;
mod gzip;
mod handler;
mod health;
mod kinds;
mod lifecycle;
mod negotiation;
mod observed_body;
mod observer;
pub mod openapi;
mod permits;
mod pretty;
mod proxy;
mod query;
mod reader_view;
mod render;
mod request_info;
mod respond;
pub mod reviews;
mod router;
mod selectable;
mod verbs;
mod version;
mod virtual_collection;
mod virtual_resource;
mod warning;
mod websocket;

pub use audit_context::{AuditContext, AuditSink, Panicked};
pub use config::{Config, HealthCheck, InFlight, Limits, STARTUP_WAIT};
pub use extensions::{AuditId, ImpersonatedUser, PeerCertificates, Upgrades};
pub use extra_path::Page;
pub use lifecycle::{Lifecycle, Phase};
pub use observed_body::{BodyObserver, Held, observed};
pub use observer::{Authorized, Observer, WatchObserver};
pub use proxy::{BearerToken, Proxy, ProxyCaller, ProxyPath, ProxyRequest, ProxyResponse, ProxyTarget, UpgradedStream};
pub use query::Query;
pub use request_info::{MalformedPath, PathForm, ProxiedInfo, RequestInfo, RequestInfoResolver, ResourceInfo};
pub use router::router;
pub use version::BuildInfo;
pub use virtual_collection::VirtualCollection;
pub use virtual_resource::{Verdict, VirtualRequest, VirtualResource};

#[cfg(test)]
mod tests;
