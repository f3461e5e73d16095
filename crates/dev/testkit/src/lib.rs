//! For tests only: what it takes to run the server against real etcds and real clients.
//!
//! Everything here fails by panicking with a text that says what was expected, and cleans up after itself: processes
//! die and folders go when their owner is dropped. Fakes are refused: an etcd is an etcd, a server is the binary.
#![warn(missing_docs)]

pub mod certs;
pub mod client;
pub mod collector;
pub mod etcd;
pub mod held;
pub mod keeper;
pub mod kube;
#[cfg(target_os = "linux")]
pub mod nodes;
mod process;
pub mod program;
pub mod proxy;
pub mod server;
mod skip;
pub mod webhook;

pub use skip::{lacking, skip};

use std::time::{Duration, Instant};

/// How long [`wait_for`] and the spawners wait: far more than anything takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Reads YAML; panics when it is none.
pub fn yaml(text: &str) -> serde_json::Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("not YAML ({error}): {text}"))
}

/// Waits until `condition` holds, asking every 20 ms; panics with `what` when it does not within [`PATIENCE`].
pub async fn wait_for<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
