//! The server as a caller of its own registries.

use apiserver_meta::context::{GROUP_AUTHENTICATED, GROUP_MASTERS};
use apiserver_meta::{Principal, RequestContext, User};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The server's name, by which kube-apiserver calls itself too.
const NAME: &str = "system:apiserver";

/// The user that the server is to itself.
pub fn user() -> User {
    User { name: NAME.into(), groups: vec![GROUP_MASTERS.into(), GROUP_AUTHENTICATED.into()], ..User::default() }
}

/// A context in which the server acts for itself, for this long.
pub fn context(time: Duration) -> RequestContext {
    RequestContext::new(Arc::new(user()), Principal::default(), Instant::now() + time, "self".into())
}

/// Whether the server acts for itself.
pub fn is_loopback(ctx: &RequestContext) -> bool {
    ctx.user.name == NAME && ctx.user.in_group(GROUP_MASTERS)
}
