//! CEL expressions of the host cluster's administrators: what they may name, and where they are evaluated.

use apiserver_cel::Environment;

/// The variables of match conditions and policies.
pub(super) static ENVIRONMENT: Environment =
    Environment::new(&["object", "oldObject", "request", "params", "namespaceObject", "authorizer", "authorizer.requestResource"]);

/// Runs evaluations on a thread that may block, where a panic ends nothing but them.
///
/// # Errors
/// The panic's message.
pub(super) async fn off_runtime<T: Send + 'static>(evaluations: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(evaluations).await.map_err(|error| format!("internal error: {error}"))
}
