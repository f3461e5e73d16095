//! The filters that every request passes on its way to a handler: the deadline, who is calling, for whom, is there room, may they.
//!
//! A filter leaves what it found as an extension of the request ([`crate::extensions`]). The first that refuses ends the request.

mod authenticate;
mod authorize;
mod deadline;
mod impersonate;
mod in_flight;
pub(crate) mod phase;
mod refused;
mod strip_credentials;

use crate::app::App;
use crate::extensions::ImpersonatedUser;
use crate::observed_body::{Held, observed};
use crate::permits::Permit;
use crate::request_info::RequestInfo;
use apiserver_auth::Identity;
use axum::response::Response;
use http::request::Parts;
pub(crate) use refused::Refused;

/// Findings of the filters that outlive the request: they belong to its response, also when a later filter refuses.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) caller: Option<Identity>,
    pub(crate) impersonated_user: Option<ImpersonatedUser>,
    pub(crate) permit: Option<Permit>,
}

impl Found {
    /// Leaves on a response what belongs to it.
    pub(crate) fn left_on(self, mut response: Response) -> Response {
        if let Some(permit) = self.permit {
            response = response.map(|body| observed(body, Held(permit)));
        }
        if let Some(caller) = self.caller {
            response.extensions_mut().insert(caller);
        }
        if let Some(user) = self.impersonated_user {
            response.extensions_mut().insert(user);
        }
        response
    }
}

/// Lets a request through, or refuses it.
pub(crate) async fn pass(app: &App, info: &RequestInfo, parts: &mut Parts, found: &mut Found) -> Result<(), Refused> {
    deadline::set(app, info, parts)?;
    found.caller = Some(authenticate::authenticate(app, info, parts).await?);
    found.impersonated_user = impersonate::impersonate(app, parts).await?;
    found.permit = in_flight::admit(app, info, parts)?;
    authorize::authorize(app, info, parts).await
}
