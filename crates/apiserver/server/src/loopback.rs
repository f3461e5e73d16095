//! The server as a client of its own API, for the parts of it that work as any other client would.
//!
//! A request goes to the router in this process, past every filter that a request from the network passes, as the user that
//! kube-apiserver's own loopback client is. What it shows is a token that only this process ever holds. Refused: a connection of
//! its own, for which the serving certificate would have to be valid.

use apiserver_auth::{Authentication, Authenticator, Credentials, StaticToken};
use apiserver_registry::loopback;
use async_trait::async_trait;
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

use crate::StartError;

/// A service that answers every request as the server does, to the server itself (`system:apiserver` of `system:masters`). Clients
/// of Kubernetes can be built on it. Before the server is ready, and while it stops, it is told so as others are.
#[derive(Clone)]
pub struct Loopback {
    router: axum::Router,
    authorization: HeaderValue,
}

impl<B> Service<Request<B>> for Loopback
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = axum::routing::future::RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        self.router.call(request.map(Body::new))
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback").finish_non_exhaustive()
    }
}

/// The secret between a [`Loopback`] and the authenticator that knows it.
pub(crate) struct LoopbackToken(String);

impl LoopbackToken {
    /// A fresh one, of 256 random bits.
    pub(crate) fn new() -> Result<Self, StartError> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|error| StartError::Internal(format!("random numbers: {error}")))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bits)))
    }

    pub(crate) fn authenticator(&self) -> Arc<dyn Authenticator> {
        Arc::new(LoopbackAuthenticator(StaticToken::new(&self.0, loopback::user())))
    }

    pub(crate) fn client(&self, router: axum::Router) -> Result<Loopback, StartError> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", self.0))
            .map_err(|error| StartError::Internal(format!("the loopback client's token: {error}")))?;
        authorization.set_sensitive(true);
        Ok(Loopback { router, authorization })
    }
}

/// Knows the one token, and leaves all others to those who know others.
#[derive(Debug)]
struct LoopbackAuthenticator(StaticToken);

#[async_trait]
impl Authenticator for LoopbackAuthenticator {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication {
        match self.0.authenticate(credentials).await {
            Authentication::Failed(_) => Authentication::NotRequested,
            known => known,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::extract::State;
    use http::HeaderMap;
    use tower::ServiceExt as _;

    /// Answers with the caller's name.
    async fn whoami(State(authenticator): State<Arc<dyn Authenticator>>, headers: HeaderMap) -> String {
        match authenticator.authenticate(Credentials { headers: &headers, certificates: &[] }).await {
            Authentication::Authenticated(identity) => format!("{} {:?}", identity.user.name, identity.user.groups),
            Authentication::NotRequested => "nobody".into(),
            Authentication::Failed(reason) | Authentication::Undetermined(reason) => reason,
        }
    }

    async fn text(response: Response) -> String {
        String::from_utf8(axum::body::to_bytes(response.into_body(), 1000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn only_its_own_client_is_the_server() {
        let (token, other) = (LoopbackToken::new().unwrap(), LoopbackToken::new().unwrap());
        let router = axum::Router::new().fallback(whoami).with_state(token.authenticator());
        let ask = |client: Loopback| client.oneshot(Request::new(Body::empty()));
        let own = text(ask(token.client(router.clone()).unwrap()).await.unwrap()).await;
        assert_eq!(own, r#"system:apiserver ["system:masters", "system:authenticated"]"#);
        assert_eq!(text(ask(other.client(router.clone()).unwrap()).await.unwrap()).await, "nobody");
        assert_eq!(text(router.oneshot(Request::new(Body::empty())).await.unwrap()).await, "nobody");
    }
}
