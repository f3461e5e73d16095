//! The tokio runtime of connections: threads that no handler computes on. See [`crate::listen`].

use crate::StartError;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A runtime that may be dropped anywhere.
pub(super) struct ConnectionRuntime(Option<Runtime>);

impl ConnectionRuntime {
    /// Starts its threads: as many as the machine has cores, so that TLS gets what there is.
    pub(super) fn start() -> Result<Self, StartError> {
        let runtime = Builder::new_multi_thread().thread_name("connections").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| StartError::Internal(error.to_string()))
    }

    /// Runs a task on it; without a runtime, which is only while it is dropped, on the one that this is called on.
    pub(super) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match &self.0 {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        }
    }
}

impl Drop for ConnectionRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
