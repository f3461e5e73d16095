//! The server as a caller of its own registries.

use std::sync::Arc;
use std::time::{Duration, Instant};
use vci_meta::context::{GROUP_AUTHENTICATED, GROUP_MASTERS};
use vci_meta::options::WriteOptions;
use vci_meta::{Caller, RequestContext, User};

/// The server's name, by which kube-apiserver calls itself too.
const NAME: &str = "system:apiserver";

/// A context in which the server acts for itself, for this long.
pub(crate) fn own_context(time: Duration) -> RequestContext {
    let groups = vec![GROUP_MASTERS.into(), GROUP_AUTHENTICATED.into()];
    let user = User { name: NAME.into(), groups, ..User::default() };
    RequestContext::new(Arc::new(user), Arc::new(Caller::default()), Instant::now() + time, "self".into())
}

/// Whether the server acts for itself.
pub(crate) fn is_own(ctx: &RequestContext) -> bool {
    ctx.user.name == NAME && ctx.user.in_group(GROUP_MASTERS)
}

/// How the server writes for itself: under its own name in managedFields.
pub(crate) fn own_writes() -> WriteOptions {
    WriteOptions { field_manager: "vci-apiserver".into(), ..WriteOptions::default() }
}
