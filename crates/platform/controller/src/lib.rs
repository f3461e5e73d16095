//! Brings virtual clusters to life on a host cluster.
//!
//! What a [`VirtualClusterInstance`](vci_management::virtualclusterinstance) wants is made true by passes ([`run`]) that go the same steps
//! every time: where it runs, what it is made from, its namespace, the chart of its control plane, sleep, and then what goes inside.
//! What was found out stands in the instance's conditions. Charts are installed and templates rendered by the helm program.
//! Refused: the way in for people, which is the gateway's; and every right on the host cluster that a step does not need.
#![warn(missing_docs)]

pub mod api;
mod backoff;
mod conditions;
mod config;
mod context;
mod events;
mod halt;
pub mod helm;
pub mod kubeconfig;
pub mod leader;
mod metrics;
mod names;
pub mod probes;
mod reconcile;
mod run;
pub mod sleep;
pub mod template;

pub use config::Config;
pub use context::Clients;
pub use metrics::{Leads, Metrics};
pub use run::{Parts, run};
