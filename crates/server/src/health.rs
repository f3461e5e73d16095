//! What `/livez` and `/readyz` ask.

use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_endpoints::HealthCheck;
use vci_registry::Registry;
use vci_store::Store;

/// Time for the store's answer.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// The store answers. For readiness only: to start a server again does not bring back its store.
#[derive(Debug)]
pub(crate) struct StoreReachable(pub(crate) Arc<dyn Store>);

#[async_trait]
impl HealthCheck for StoreReachable {
    fn name(&self) -> &str {
        "store"
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        match tokio::time::timeout(STORE_TIMEOUT, self.0.revision()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", STORE_TIMEOUT.as_secs())),
        }
    }
}

/// The store takes writes. For liveness as well: a file that could not be written is mended by opening it again.
#[derive(Debug)]
pub(crate) struct StoreWritable(pub(crate) Arc<dyn Store>);

#[async_trait]
impl HealthCheck for StoreWritable {
    fn name(&self) -> &str {
        "store-writable"
    }

    fn readiness_only(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), String> {
        self.0.writable().map_err(|error| error.to_string())
    }
}

/// Every watch cache is filled and follows the store.
#[derive(Debug)]
pub(crate) struct CachesFilled(pub(crate) Vec<Arc<Registry>>);

#[async_trait]
impl HealthCheck for CachesFilled {
    fn name(&self) -> &str {
        "watch-caches"
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        let unready: Vec<&str> = self.0.iter().filter(|r| !r.cache().is_ready()).map(|r| r.descriptor().plural).collect();
        if unready.is_empty() { Ok(()) } else { Err(format!("not filled: {}", unready.join(", "))) }
    }
}

/// The server is not about to stop. Balancers send nothing new to a server that is not ready, while it still serves.
#[derive(Debug)]
pub(crate) struct NotStopping(pub(crate) CancellationToken);

#[async_trait]
impl HealthCheck for NotStopping {
    fn name(&self) -> &str {
        "shutdown"
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        if self.0.is_cancelled() { Err("process is shutting down".into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stopping_server_is_alive_but_not_ready() {
        let stop = CancellationToken::new();
        let check = NotStopping(stop.clone());
        assert!(check.readiness_only());
        assert_eq!(check.check().await, Ok(()));
        stop.cancel();
        assert!(check.check().await.is_err());
    }
}
