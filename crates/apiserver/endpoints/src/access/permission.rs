//! Whether a request is permitted: by the authorizers, or because everybody who is known may have the answer.

use super::authentication::AuthenticationState;
use super::authorization::{Opinion, Refusal, attributes, decide, target};
use crate::app::App;
use crate::request_info::RequestInfo;
use apiserver_auth::{Identity, Target};
use apiserver_meta::virtual_resource::Audience;
use apiserver_meta::{ApiError, ObjectFilter};

/// Whether somebody may do what a request asks for, and by which view.
pub(crate) async fn permitted(
    app: &App,
    info: &RequestInfo,
    identity: Identity,
    standing: AuthenticationState,
) -> Result<ObjectFilter, ApiError> {
    let decided = decided(app, info, identity, standing).await;
    settled(app, info, standing, decided).map_err(|refusal| refusal.error)
}

/// Decides about a request.
pub(crate) async fn decided(
    app: &App,
    info: &RequestInfo,
    identity: Identity,
    standing: AuthenticationState,
) -> Result<ObjectFilter, Refusal> {
    let is_for_all = || info.resource.as_ref().is_some_and(|resource| app.kinds.is_for_all_known(&info.verb, resource));
    if standing == AuthenticationState::Proved && is_for_all() {
        return Ok(ObjectFilter::All);
    }
    match &info.proxied {
        // Nothing here is theirs; what is theirs there, the API behind decides.
        Some(_) if standing == AuthenticationState::Foreign => Ok(ObjectFilter::All),
        Some(proxied) => decide(&app.config.authorizers, &attributes(identity, proxied.permission, object(info))).await,
        None => decide(&app.config.authorizers, &attributes(identity, &info.verb, target(info))).await,
    }
}

/// The object that a request leads by, as authorizers are asked about it.
fn object(info: &RequestInfo) -> Target {
    let mut target = target(info);
    if let Target::Resource { subresource, .. } = &mut target {
        subresource.clear();
    }
    target
}

/// The answer to a request that was so decided: what every authenticated caller may have is granted in spite of a lack of opinions.
pub(crate) fn settled(
    app: &App,
    info: &RequestInfo,
    standing: AuthenticationState,
    decided: Result<ObjectFilter, Refusal>,
) -> Result<ObjectFilter, Refusal> {
    match decided {
        Ok(view) => Ok(view),
        // A person without credentials is told to show some, not that they may not.
        Err(refusal) if standing == AuthenticationState::Anonymous => {
            Err(Refusal { error: ApiError::unauthorized(), opinion: Opinion::Unauthenticated, ..refusal })
        }
        // The answer holds only what the caller may see.
        Err(Refusal { opinion: Opinion::None, .. }) if is_collection_for_all_known(app, info) => Ok(ObjectFilter::All),
        Err(refusal) => Err(refusal),
    }
}

fn is_collection_for_all_known(app: &App, info: &RequestInfo) -> bool {
    let kind = info.resource.as_ref().and_then(|resource| app.virtual_collection(resource));
    kind.is_some_and(|kind| kind.audience() == Audience::Known)
}
