//! The router: one handler for every path.

use crate::app::App;
use crate::config::Config;
use crate::handler;
use std::sync::Arc;

/// The whole API as one service.
///
/// Its responses carry as extensions, for layers around it and as far as they were found: [`crate::AuditId`],
/// `Arc<`[`crate::RequestInfo`]`>`, [`apiserver_auth::Identity`], [`crate::ImpersonatedUser`], [`crate::Panicked`], and the
/// [`apiserver_meta::Status`] of an error. A request that has a [`crate::AuditContext`] as an extension leaves one.
pub fn router(config: Config) -> axum::Router {
    axum::Router::new().fallback(handler::serve).with_state(Arc::new(App::new(config)))
}
