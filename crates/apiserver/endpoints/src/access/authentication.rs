//! Authentication: the chain of authenticators, and the headers that are credentials.

use apiserver_auth::{Authentication, Authenticator, Credentials, Identity};
use apiserver_meta::{ApiError, User};
use http::HeaderName;
use http::header::AUTHORIZATION;
use std::sync::Arc;

/// Whether a caller has proved an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthenticationState {
    /// Proved it.
    Proved,
    /// Offered nothing, here or to whoever hands the request on.
    Anonymous,
    /// Offered a token of another API, which a [`crate::Proxy`] answers for: without any rights here.
    Foreign,
}

/// Callers who offered credentials that nobody here knows.
#[derive(Debug)]
pub(crate) struct Unidentified {
    pub(crate) error: ApiError,
    /// Whether it is sure that the credentials are none of those that are good here.
    pub(crate) is_certain: bool,
}

impl Unidentified {
    fn refused(error: ApiError) -> Self {
        Self { error, is_certain: false }
    }
}

impl From<Unidentified> for ApiError {
    fn from(unidentified: Unidentified) -> Self {
        unidentified.error
    }
}

impl AuthenticationState {
    pub(super) fn of(identity: &Identity) -> Self {
        if identity.user.is_anonymous() { Self::Anonymous } else { Self::Proved }
    }
}

/// Asks the authenticators in order; the first that knows the caller wins. Offered credentials that none recognises are refused, not
/// taken for an anonymous caller's.
pub(crate) async fn identify(
    chain: &[Arc<dyn Authenticator>],
    credentials: Credentials<'_>,
) -> Result<(Identity, AuthenticationState), Unidentified> {
    if credentials.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(Unidentified::refused(ApiError::unauthorized().with_source("more than one Authorization header")));
    }
    let (mut failures, mut is_certain) = (Vec::new(), true);
    for authenticator in chain {
        match authenticator.authenticate(credentials).await {
            Authentication::Authenticated(identity) => {
                let standing = AuthenticationState::of(&identity);
                return Ok((identity, standing));
            }
            Authentication::Failed(why) => failures.push(why),
            Authentication::Undetermined(why) => {
                is_certain = false;
                failures.push(why);
            }
            Authentication::NotRequested => {}
        }
    }
    // Credentials that nobody here looks at were offered all the same.
    if failures.is_empty() && !credentials.headers.contains_key(AUTHORIZATION) {
        return Ok((Identity::of_user(User::anonymous()), AuthenticationState::Anonymous));
    }
    tracing::debug!(reasons = ?failures, "credentials refused");
    Err(Unidentified { error: ApiError::unauthorized(), is_certain })
}

/// Whether a header says who is calling: to this server, or for a front proxy's client.
pub(crate) fn is_credential(name: &HeaderName, chain: &[Arc<dyn Authenticator>]) -> bool {
    name == AUTHORIZATION || name.as_str().starts_with("x-remote-") || chain.iter().any(|authenticator| authenticator.is_credential(name))
}
