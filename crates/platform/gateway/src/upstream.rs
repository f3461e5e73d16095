//! Connections to virtual clusters.
//!
//! Requests share HTTP/2 connections, a few for each virtual cluster; upgrades, and virtual clusters that do not speak HTTP/2, get
//! HTTP/1.1 connections of their own. Everything is bounded: connections of one virtual cluster, requests on a connection, the time to
//! connect, the time that nobody uses one. Connections that show the administrator's certificate and those that do not are kept apart
//! by their types, and take only requests that fit ([`crate::impersonation`]).

mod connection;
mod pool;

use crate::impersonation::{Authorized, ByImpersonation, ByToken};
use apiserver_endpoints::UpgradedStream;
use axum::body::Body;
use http::{Response, StatusCode, response};
use pool::Pool;
use std::sync::Arc;
use vci_virtualcluster::{Address, ConnectError, Connector};

/// Why a virtual cluster gives no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// It cannot be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// As many connections as there may be are in use.
    #[error("too many requests to the virtual cluster are under way")]
    Busy,
    /// The connection ended before the answer.
    #[error("the virtual cluster ended the connection without an answer")]
    Broken(#[source] hyper::Error),
    /// It does not take the administrator's certificate.
    #[error("the virtual cluster does not accept the credentials that are kept for it")]
    Refused,
}

/// An answer to a request for an upgrade.
pub(crate) enum UpgradeResponse {
    /// There is none.
    Answer(Response<Body>),
    /// The head, and the stream.
    Upgraded(response::Parts, Box<dyn UpgradedStream>),
}

/// The virtual clusters of a host.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    by_impersonation: Arc<Pool<ByImpersonation>>,
    by_token: Arc<Pool<ByToken>>,
}

impl Upstream {
    pub(crate) fn new(connector: &Connector) -> Self {
        Self { by_impersonation: Pool::new(connector.clone()), by_token: Pool::new(connector.clone()) }
    }

    /// Sends a request on behalf of somebody. When the virtual cluster does not know its administrator, the credentials may be old ones:
    /// a request without a body is sent again with what is kept now.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) async fn send(&self, address: &Address, request: Authorized<ByImpersonation>) -> Result<Response<Body>, SendError> {
        let again = request.copy();
        let response = self.by_impersonation.send(address, request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.by_impersonation.forget(address);
        let response = self.by_impersonation.send(address, again.ok_or(SendError::Refused)?).await?;
        if response.status() == StatusCode::UNAUTHORIZED { Err(SendError::Refused) } else { Ok(response) }
    }

    /// Sends a request with a token of the virtual cluster's.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) async fn send_with_token(&self, address: &Address, request: Authorized<ByToken>) -> Result<Response<Body>, SendError> {
        self.by_token.send(address, request).await
    }

    /// Asks for an upgrade on behalf of somebody.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) async fn upgrade(&self, address: &Address, request: Authorized<ByImpersonation>) -> Result<UpgradeResponse, SendError> {
        let again = request.copy();
        let response = self.by_impersonation.upgrade(address, request).await?;
        if !is_unauthorized(&response) {
            return Ok(response);
        }
        self.by_impersonation.forget(address);
        let response = self.by_impersonation.upgrade(address, again.ok_or(SendError::Refused)?).await?;
        if is_unauthorized(&response) { Err(SendError::Refused) } else { Ok(response) }
    }

    /// Asks for an upgrade with a token of the virtual cluster's.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) async fn upgrade_with_token(&self, address: &Address, request: Authorized<ByToken>) -> Result<UpgradeResponse, SendError> {
        self.by_token.upgrade(address, request).await
    }
}

fn is_unauthorized(response: &UpgradeResponse) -> bool {
    matches!(response, UpgradeResponse::Answer(answer) if answer.status() == StatusCode::UNAUTHORIZED)
}
