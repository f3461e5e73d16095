//! Whether there is room for one more request ([`crate::permits`]).

use crate::app::App;
use crate::permits::Permit;
use crate::request_info::RequestInfo;
use apiserver_auth::Identity;
use apiserver_meta::ApiError;
use apiserver_meta::context::GROUP_MASTERS;
use http::request::Parts;
use std::sync::Arc;

/// Takes a permit, which the response is to hold. A watch may leave its request behind, as other long-running requests, so it keeps the permit itself.
pub(super) fn admit(app: &App, info: &RequestInfo, parts: &mut Parts) -> Result<Option<Permit>, ApiError> {
    let user = parts.extensions.get::<Identity>().map(|identity| Arc::clone(&identity.user)).unwrap_or_default();
    if user.in_group(GROUP_MASTERS) || info.resource.is_none() {
        return Ok(None);
    }
    let refused = || ApiError::too_many_requests("too many requests, please try again later.", 1);
    let permit = app.permits.take(info, &user.name).ok_or_else(refused)?;
    if info.is_long_running() {
        parts.extensions.insert(Arc::new(permit));
        return Ok(None);
    }
    Ok(Some(permit))
}
