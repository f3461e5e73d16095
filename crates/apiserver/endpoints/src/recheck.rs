//! A watch is good only as long as its caller is who they were and may do what they might, and a write begins when its body was read.
//!
//! Whoever sends a body slowly could be locked out meanwhile, and their key deleted. So when something may have changed since the
//! request was let in, its caller is authenticated and authorized again once the body is there, and the write is that of
//! whoever they are by then. As long as nothing has changed this costs two comparisons: what is stored is counted, and time, by which keys
//! expire, goes on in seconds.
//!
//! When the configuration says that something may have changed, the caller of every open watch is authenticated and
//! authorized again, with the credentials that the request came with, and with whom it acts for. Whoever is then somebody else, may no longer,
//! sees by another sort of [`ObjectFilter`] or is to be shown more or less of each object ([`Private`]), is told 410, so that the client lists
//! again and gets the answer that holds now. Where it cannot be found out what somebody may, their watch goes on for a while: others cannot
//! be asked, and all their watches would end at once. The same holds for a list while it is sent, which a slow client can make last: there
//! is no way to say something within it, so that it breaks off. What a view reaches in each namespace, and shows of each object, changes
//! inside of the watch.

use crate::PeerCertificates;
use crate::app::App;
use crate::call::Call;
use crate::layers::{self, identify, impersonated_user, is_credential, is_impersonation_header, permitted};
use crate::private::Private;
use crate::request_info::RequestInfo;
use apiserver_auth::{Credentials, Identity};
use apiserver_meta::{ApiError, ObjectFilter};
use apiserver_registry::{Frame, Registry, Watch};
use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use futures::StreamExt;
use futures::stream::poll_fn;
use http::HeaderMap;
use http::request::Parts;
use http_body::SizeHint;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// How long to wait before it is tried again to find out whether a watch may go on, and how often that is tried in all: about
/// a minute.
const DOUBT: Duration = Duration::from_secs(5);
const DOUBTS: u32 = 12;
/// Bytes of a list that are out of this server's hands as soon as it answers.
const SENT_AT_ONCE: u64 = 64 * 1024;

/// What a caller has offered as proof of who they are, and when to look at it again. A request extension; has no
/// `Debug`, because it holds secrets.
#[derive(Clone)]
pub(crate) struct RetainedCredentials {
    headers: HeaderMap,
    certificates: PeerCertificates,
    /// `None` where callers of watches are not looked at again.
    changes: Option<watch::Receiver<u64>>,
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

/// Who is calling, and by which view they may do what they ask for.
pub(crate) struct Allowed {
    pub(crate) identity: Identity,
    pub(crate) view: ObjectFilter,
}

impl RetainedCredentials {
    /// Whether the caller of such a request may have to be looked at again.
    pub(crate) fn is_wanted(info: &RequestInfo) -> bool {
        info.resource.is_some() && !matches!(&*info.verb, "get" | "head")
    }

    /// To be taken before the request is authenticated: what changes while it is being let in counts.
    pub(crate) fn of(app: &App, parts: &Parts) -> Self {
        let moment = Moment::now(app);
        let mut changes = app.config.access_changes.clone();
        changes.iter_mut().for_each(watch::Receiver::mark_unchanged);
        let chain = &app.config.authenticators;
        let offered = parts.headers.iter().filter(|(name, _)| is_credential(name, chain) || is_impersonation_header(name));
        let headers = offered.map(|(name, value)| (name.clone(), value.clone())).collect();
        let certificates = parts.extensions.get::<PeerCertificates>().cloned().unwrap_or_default();
        Self { headers, certificates, changes, moment }
    }

    /// Who is calling now, and by which view they may; `None` while nothing can have changed. Whoever has become somebody else by
    /// another name is nobody: a request is one caller's.
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
        let view = permitted(app, info, identity.clone(), standing).await?;
        Ok(Some(Allowed { identity, view }))
    }

    /// Who would be calling by a request that came now.
    async fn who(&self, app: &App) -> Result<(Identity, layers::AuthenticationState), ApiError> {
        let credentials = Credentials { headers: &self.headers, certificates: &self.certificates.0 };
        let (caller, standing) = identify(&app.config.authenticators, credentials).await?;
        impersonated_user(app, &self.headers, &caller, standing).await
    }
}

/// The response to a list; it breaks off when its caller may no longer have it. One that is sent at once is left as it is.
pub(crate) fn list_while_allowed(call: &Call, response: Response, private: Option<Private>) -> Response {
    let is_sent_at_once = response.body().size_hint().exact().is_some_and(|size| size <= SENT_AT_ONCE);
    match WatchAuthorization::of(call, private) {
        Some(standing) if !is_sent_at_once => {
            let lost = Box::pin(standing.lost());
            response.map(|body| Body::new(WhileAllowed { body, lost }))
        }
        _ => response,
    }
}

/// A body that breaks off when its caller may no longer have it.
struct WhileAllowed<F> {
    body: Body,
    lost: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> HttpBody for WhileAllowed<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        if self.lost.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new("access has changed"))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The same watch; it ends when its caller may no longer have it, and holds its place until it is dropped.
pub(crate) fn while_allowed(call: &Call, mut watch: Watch, private: Option<Private>) -> Watch {
    let place = call.place.clone();
    let Some(standing) = WatchAuthorization::of(call, private) else { return watch.inspect(move |_| _ = &place).boxed() };
    let mut lost = Some(Box::pin(standing.lost()));
    poll_fn(move |cx| {
        let _ = &place;
        let Some(waiting) = &mut lost else { return Poll::Ready(None) };
        if waiting.as_mut().poll(cx).is_pending() {
            return watch.poll_next_unpin(cx);
        }
        lost = None;
        Poll::Ready(Some(farewell()))
    })
    .boxed()
}

fn farewell() -> Frame {
    Frame::Error(Arc::new(ApiError::expired("access has changed, list again").status()))
}

/// Who asked for a watch or a list, for what, and by which view they see.
struct WatchAuthorization {
    app: Arc<App>,
    proof: RetainedCredentials,
    changes: watch::Receiver<u64>,
    info: Arc<RequestInfo>,
    identity: Identity,
    view: ObjectFilter,
    registry: Arc<Registry>,
    /// What of the objects is hidden from them.
    private: Option<Private>,
}

impl WatchAuthorization {
    /// `None` where nobody is looked at again.
    fn of(call: &Call, private: Option<Private>) -> Option<Self> {
        let proof = call.proof.clone()?;
        let changes = proof.changes.clone()?;
        Some(Self {
            app: Arc::clone(&call.app),
            proof,
            changes,
            info: Arc::clone(&call.info),
            identity: call.identity.clone(),
            view: call.view.clone(),
            registry: Arc::clone(&call.registry),
            private,
        })
    }

    /// Ends when the watch may not go on.
    async fn lost(mut self) {
        // Without a sender nothing changes any more.
        while self.changes.changed().await.is_ok() {
            if !self.holds().await {
                return;
            }
        }
        std::future::pending().await
    }

    async fn holds(&self) -> bool {
        for _ in 1..DOUBTS {
            match self.look().await {
                Found::Doubt => tokio::time::sleep(DOUBT).await,
                found => return found == Found::Same,
            }
        }
        self.look().await == Found::Same
    }

    async fn look(&self) -> Found {
        let (identity, standing) = match self.proof.who(&self.app).await {
            Ok(found) => found,
            Err(error) => return Found::refused(&error),
        };
        if identity != self.identity {
            return Found::Other;
        }
        match (permitted(&self.app, &self.info, identity, standing).await, &self.view) {
            (Ok(ObjectFilter::All), ObjectFilter::All) | (Ok(ObjectFilter::Access(_)), ObjectFilter::Access(_)) => {
                self.look_at_what_is_hidden().await
            }
            (Ok(_), _) => Found::Other,
            (Err(error), _) => Found::refused(&error),
        }
    }

    async fn look_at_what_is_hidden(&self) -> Found {
        let now = Private::of(&self.app, &self.identity, &self.info, &**self.registry.resource()).await;
        match &now {
            Some(now) if now.is_doubtful => Found::Doubt,
            now if Private::is_like(now.as_ref(), self.private.as_ref()) => Found::Same,
            _ => Found::Other,
        }
    }
}

/// What a second look at a caller finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Who they were, and they may do what they might.
    Same,
    Other,
    /// It cannot be found out now.
    Doubt,
}

impl Found {
    fn refused(error: &ApiError) -> Self {
        if error.code() >= 500 { Self::Doubt } else { Self::Other }
    }
}
