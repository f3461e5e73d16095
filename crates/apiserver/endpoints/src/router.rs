//! The router: one handler for every path, and the layers around it.

use crate::app::App;
use crate::config::Config;
use crate::{dispatch, layers};
use axum::middleware::{from_fn, from_fn_with_state};
use std::sync::Arc;

/// The whole API as one service.
///
/// Its responses carry as extensions, for layers around it and as far as they were found: [`crate::AuditId`],
/// `Arc<`[`crate::RequestInfo`]`>`, [`apiserver_auth::Identity`], [`crate::ImpersonatedUser`], [`crate::Panicked`], and the
/// [`apiserver_meta::Status`] of an error. A request that has a [`crate::AuditContext`] as an extension leaves one.
pub fn router(config: Config) -> axum::Router {
    let app = Arc::new(App::new(config));
    let with = |app: &Arc<App>| Arc::clone(app);
    // The last layer added is the first that a request meets.
    axum::Router::new()
        .fallback(dispatch::serve)
        .with_state(with(&app))
        .layer(from_fn_with_state(with(&app), layers::authorize))
        .layer(from_fn_with_state(with(&app), layers::in_flight))
        .layer(from_fn_with_state(with(&app), layers::impersonate))
        .layer(from_fn_with_state(with(&app), layers::authenticate))
        .layer(from_fn_with_state(with(&app), layers::deadline))
        .layer(from_fn_with_state(with(&app), layers::phase))
        .layer(from_fn_with_state(with(&app), layers::request_info))
        .layer(from_fn(layers::panics))
        .layer(from_fn(layers::every_answer))
}
