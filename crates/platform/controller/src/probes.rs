//! The HTTP endpoints of a controller that is a process of its own: `/healthz`, `/readyz` and `/metrics`, without TLS, for kubelets
//! and Prometheus. They say nothing of instances.

use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `stop`.
///
/// # Errors
/// The address cannot be had.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>, stop: CancellationToken) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let page = |State(metrics): State<Arc<Metrics>>| async move {
        ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.page())
    };
    let routes = Router::new().route("/healthz", get("ok")).route("/readyz", get("ok")).route("/metrics", get(page)).with_state(metrics);
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned());
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::warn!(%error, "probes are not answered any more");
        }
    });
    Ok(())
}
