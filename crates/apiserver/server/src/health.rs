//! Health checks of `/livez` and `/readyz`.

use crate::run::DeferredStore;
use apiserver_endpoints::{HealthCheck, Lifecycle, Phase};
use apiserver_registry::Registry;
use apiserver_store::Store;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Time for the store's answer.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// The store answers. For readiness only: to start a server again does not bring back its store.
#[derive(Debug)]
pub(crate) struct StoreReachable {
    /// kube-apiserver's name for its store, where this is one.
    pub(crate) name: &'static str,
    pub(crate) store: Arc<DeferredStore>,
}

#[async_trait]
impl HealthCheck for StoreReachable {
    fn name(&self) -> &str {
        self.name
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        if !self.store.is_open() {
            return Err("the store is not open yet".into());
        }
        match tokio::time::timeout(STORE_TIMEOUT, self.store.revision()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", STORE_TIMEOUT.as_secs())),
        }
    }
}

/// The store takes writes. For readiness only: a full disk or a full etcd is not mended by starting the server again, and
/// what is stored can still be read.
#[derive(Debug)]
pub(crate) struct StoreWritable(pub(crate) Arc<dyn Store>);

#[async_trait]
impl HealthCheck for StoreWritable {
    fn name(&self) -> &str {
        "store-writable"
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        match tokio::time::timeout(STORE_TIMEOUT, self.0.writable()).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", STORE_TIMEOUT.as_secs())),
        }
    }
}

/// Every watch cache is filled and follows the store.
#[derive(Debug)]
pub(crate) struct CachesFilled(pub(crate) Vec<Arc<Registry>>);

#[async_trait]
impl HealthCheck for CachesFilled {
    fn name(&self) -> &str {
        "poststarthook/storage-readiness"
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        let unready: Vec<&str> = self.0.iter().filter(|r| !r.cache().is_ready()).map(|r| r.descriptor().plural).collect();
        if unready.is_empty() { Ok(()) } else { Err(format!("not filled: {}", unready.join(", "))) }
    }
}

/// The objects that a server begins with are there.
#[derive(Debug)]
pub(crate) struct FirstObjects(pub(crate) Arc<Lifecycle>);

#[async_trait]
impl HealthCheck for FirstObjects {
    fn name(&self) -> &str {
        "poststarthook/first-objects"
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        if self.0.phase() == Phase::Starting { Err("not finished".into()) } else { Ok(()) }
    }
}

/// The server is not about to stop. Balancers send nothing new to a server that is not ready, while it still serves.
#[derive(Debug)]
pub(crate) struct NotStopping(pub(crate) Arc<Lifecycle>);

#[async_trait]
impl HealthCheck for NotStopping {
    fn name(&self) -> &str {
        "shutdown"
    }

    fn readiness_only(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), String> {
        match self.0.phase() {
            Phase::Starting | Phase::Serving => Ok(()),
            Phase::Stopping | Phase::Refusing => Err("process is shutting down".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_is_who_has_started_and_is_not_stopping() {
        let lifecycle = Arc::new(Lifecycle::new(Phase::Starting));
        let (first_objects, not_stopping) = (FirstObjects(Arc::clone(&lifecycle)), NotStopping(Arc::clone(&lifecycle)));
        assert!(first_objects.readiness_only() && not_stopping.readiness_only(), "a stopping server is alive");
        for (phase, want) in [
            (Phase::Starting, (false, true)),
            (Phase::Serving, (true, true)),
            (Phase::Stopping, (true, false)),
            (Phase::Refusing, (true, false)),
        ] {
            lifecycle.enter(phase);
            assert_eq!((first_objects.check().await.is_ok(), not_stopping.check().await.is_ok()), want, "{phase:?}");
        }
    }

    #[tokio::test]
    async fn a_store_that_is_not_open_is_told_at_once() {
        let check = StoreReachable { name: "etcd", store: Arc::default() };
        assert_eq!(check.check().await, Err("the store is not open yet".into()));
    }
}
