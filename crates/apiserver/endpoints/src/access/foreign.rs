//! Tokens of the APIs behind proxies ([`crate::Proxy::foreign_user`]).
//!
//! Only a bearer token of which everybody here is sure that it is none of theirs is shown to a proxy: the API behind is somebody
//! else's, and a token in its hands could be used. Its user has no rights here and no group, whatever the API behind says.

use super::authentication::{AuthenticationState, Unidentified};
use super::impersonation::is_impersonation_header;
use crate::app::App;
use crate::proxy::{BearerToken, ProxyTarget};
use crate::request_info::RequestInfo;
use apiserver_auth::{Identity, bearer};
use apiserver_meta::User;
use apiserver_meta::context::GROUP_UNAUTHENTICATED;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The token of a caller whom the API behind a proxy knows: a request extension.
#[derive(Clone, Debug)]
pub(crate) struct ForeignToken(pub(crate) BearerToken);

/// The caller of a request whose credentials nobody here knows, when a proxy answers for them.
pub(crate) async fn identify_foreign(
    app: &App,
    info: &RequestInfo,
    headers: &HeaderMap,
    unidentified: &Unidentified,
) -> Option<(Identity, AuthenticationState, ForeignToken)> {
    let (proxied, resource) = (info.proxied.as_ref()?, info.resource.as_ref()?);
    if !unidentified.is_certain || headers.keys().any(is_impersonation_header) {
        return None;
    }
    let token = headers.get(AUTHORIZATION)?.to_str().ok().and_then(bearer)?;
    if app.config.identities.owns_token(token) {
        return None;
    }
    let token = BearerToken::new(token);
    let target = ProxyTarget { namespace: &resource.namespace, name: &resource.name };
    let User { name, .. } = app.requests.proxy(proxied)?.foreign_user(&target, &token).await?;
    let user = User { name, groups: vec![GROUP_UNAUTHENTICATED.into()], ..User::default() };
    Some((Identity::of_user(user), AuthenticationState::Foreign, ForeignToken(token)))
}
