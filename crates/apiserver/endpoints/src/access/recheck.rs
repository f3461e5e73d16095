//! Callers are looked at again: a request is good only as long as its caller is who they were and may do what they might.
//!
//! A write begins when its body was read. A caller who sends a body slowly could be locked out meanwhile, and their key deleted. So when
//! something may have changed since the request was let in, its caller is authenticated and authorized again once the body is there, and
//! the write is that of the caller as they are by then. As long as nothing has changed this costs two comparisons: what is stored is
//! counted, and time, by which keys expire, goes on in seconds.

use super::authentication::{AuthenticationState, identify, is_credential};
use super::impersonation::{impersonated_user, is_impersonation_header};
use super::permission::permitted;
use crate::app::App;
use crate::extensions::PeerCertificates;
use crate::request_info::RequestInfo;
use apiserver_auth::{Credentials, Identity};
use apiserver_meta::{ApiError, ObjectFilter};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Credentials of a caller, and when to look at them again. A request extension; has no `Debug`, because it holds secrets.
#[derive(Clone)]
pub(crate) struct RetainedCredentials {
    headers: Box<[(HeaderName, HeaderValue)]>,
    certificates: PeerCertificates,
    /// `None` where callers of watches are not looked at again.
    pub(crate) changes: Option<watch::Receiver<u64>>,
    moment: Moment,
}

/// Within one moment everybody stays who they are, and may do what they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    /// Keys expire by the second.
    second: u64,
    generation: u64,
}

impl Moment {
    fn now(app: &App) -> Self {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { second, generation: app.config.access_generation.as_ref().map_or(0, |generation| *generation.borrow()) }
    }
}

/// A caller, and the view by which they may do what they ask for.
pub(crate) struct Allowed {
    pub(crate) identity: Identity,
    pub(crate) filter: ObjectFilter,
}

impl RetainedCredentials {
    /// Whether the caller of such a request may have to be looked at again.
    pub(crate) fn is_wanted(info: &RequestInfo) -> bool {
        info.proxied.is_some() || info.resource.is_some() && !matches!(&*info.verb, "get" | "head")
    }

    /// To be taken before the request is authenticated: what changes while it is being let in counts.
    pub(crate) fn of(app: &App, parts: &Parts) -> Self {
        let moment = Moment::now(app);
        let mut changes = app.config.access_changes.clone();
        changes.iter_mut().for_each(watch::Receiver::mark_unchanged);
        let chain = &app.config.authenticators;
        let offered = parts.headers.iter().filter(|(name, _)| is_credential(name, chain) || is_impersonation_header(name));
        let headers = offered.map(|(name, value)| (name.clone(), copied(value))).collect();
        let certificates = parts.extensions.get::<PeerCertificates>().cloned().unwrap_or_default();
        Self { headers, certificates, changes, moment }
    }

    /// The caller as of now, and the view by which they may; `None` while nothing can have changed. Credentials that have become
    /// those of a user of another name count for nothing: a request is one caller's.
    ///
    /// # Errors
    /// 401, 403; 500 when it cannot be found out.
    pub(crate) async fn second_look(&self, app: &App, info: &RequestInfo, before: &Identity) -> Result<Option<Allowed>, ApiError> {
        if Moment::now(app) == self.moment {
            return Ok(None);
        }
        let (identity, standing) = self.who(app).await?;
        if identity.user.name != before.user.name {
            return Err(ApiError::unauthorized().with_source("the credentials have become somebody else's"));
        }
        let filter = permitted(app, info, identity.clone(), standing).await?;
        Ok(Some(Allowed { identity, filter }))
    }

    /// The caller of a request that came now.
    pub(crate) async fn who(&self, app: &App) -> Result<(Identity, AuthenticationState), ApiError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        let credentials = Credentials { headers: &headers, certificates: &self.certificates.0 };
        let (caller, standing) = identify(&app.config.authenticators, credentials).await?;
        impersonated_user(app, &headers, &caller, standing).await
    }
}

/// The value in memory of its own: it is a part of all that was read with the head of the request, which would be kept with it.
fn copied(value: &HeaderValue) -> HeaderValue {
    let Ok(mut own) = HeaderValue::from_bytes(value.as_bytes()) else { return value.clone() };
    own.set_sensitive(value.is_sensitive());
    own
}
