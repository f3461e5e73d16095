//! Watches and lists that end when their caller may no longer have them.
//!
//! When the configuration says that access may have changed, the caller of every open watch is authenticated and authorized again,
//! with the credentials and the impersonation of the request. The watch ends with 410, so that its client lists again, when the caller
//!
//! - has become another user, or may no longer watch;
//! - sees by another sort of [`ObjectFilter`];
//! - is to be shown more or less of each object ([`Private`]).
//!
//! While authorization fails, a watch goes on for a while: otherwise all watches would end at once. A list that a slow client is still
//! reading is treated alike, but it can only break off. Changes inside of a view are followed inside of the watch.

use crate::access::permission::permitted;
use crate::access::private::Private;
use crate::access::recheck::RetainedCredentials;
use crate::app::App;
use crate::call::Call;
use crate::observed_body::{BodyObserver, observed};
use crate::permits::Permit;
use crate::request_info::RequestInfo;
use apiserver_auth::Identity;
use apiserver_meta::{ApiError, ObjectFilter};
use apiserver_registry::{Frame, Registry, Watch, WhenWoken};
use axum::body::HttpBody as _;
use axum::response::Response;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;

/// Time before another attempt to find out whether a watch may go on, and the number of attempts in all: about
/// a minute.
const DOUBT: Duration = Duration::from_secs(5);
const DOUBTS: u32 = 12;
/// Bytes of a list that are out of this server's hands as soon as it answers.
const SENT_AT_ONCE: u64 = 64 * 1024;

/// The response to a list; it breaks off when its caller may no longer have it. One that is sent at once is left as it is.
pub(crate) fn list_while_allowed(call: &Call, response: Response, private: Option<Private>) -> Response {
    let is_sent_at_once = response.body().size_hint().exact().is_some_and(|size| size <= SENT_AT_ONCE);
    match WatchAuthorization::of(call, private) {
        Some(standing) if !is_sent_at_once => response.map(|body| observed(body, WhileAllowed(Box::pin(standing.lost())))),
        _ => response,
    }
}

/// Breaks a body off when its caller may no longer have it.
struct WhileAllowed<F>(Pin<Box<F>>);

impl<F: Future<Output = ()> + Send + 'static> BodyObserver for WhileAllowed<F> {
    fn poll_break(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        self.0.as_mut().poll(cx).map(|()| "access has changed")
    }
}

/// A watch that ends when its caller may no longer have it, and holds its place until it is dropped.
pub(crate) struct AllowedWatch {
    watch: Watch,
    /// Ends when it may not go on; `None` where nobody is looked at again.
    lost: Option<WhenWoken<BoxFuture<'static, ()>>>,
    is_over: bool,
    _permit: Option<Arc<Permit>>,
}

impl AllowedWatch {
    pub(crate) fn new(call: &Call, watch: Watch, private: Option<Private>) -> Self {
        let lost = WatchAuthorization::of(call, private).map(|standing| WhenWoken::new(standing.lost().boxed()));
        Self { watch, lost, is_over: false, _permit: call.permit.clone() }
    }
}

impl Stream for AllowedWatch {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.lost.as_mut().is_some_and(|lost| lost.poll_unpin(cx).is_ready()) {
            self.is_over = true;
            return Poll::Ready(Some(farewell()));
        }
        self.watch.poll_next_unpin(cx)
    }
}

fn farewell() -> Frame {
    Frame::Error(Arc::new(ApiError::expired("access has changed, list again").status()))
}

/// Authorization of a watch or a list: its caller, its request, and the view by which they see.
struct WatchAuthorization {
    app: Arc<App>,
    credentials: RetainedCredentials,
    changes: watch::Receiver<u64>,
    info: Arc<RequestInfo>,
    identity: Identity,
    filter: ObjectFilter,
    registry: Arc<Registry>,
    /// The part of the objects that is hidden from them.
    private: Option<Private>,
}

impl WatchAuthorization {
    /// `None` where nobody is looked at again.
    fn of(call: &Call, private: Option<Private>) -> Option<Self> {
        let credentials = call.credentials.clone()?;
        let changes = credentials.changes.clone()?;
        Some(Self {
            app: Arc::clone(&call.app),
            credentials,
            changes,
            info: Arc::clone(&call.info),
            identity: call.identity.clone(),
            filter: call.filter.clone(),
            registry: Arc::clone(&call.registry),
            private,
        })
    }

    /// Ends when the watch may not go on.
    async fn lost(mut self) {
        // Without a sender nothing changes any more.
        while self.changes.changed().await.is_ok() {
            // In a box of its own: it is large, and nearly always there is nothing to look at.
            if !Box::pin(self.holds()).await {
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
        let (identity, standing) = match self.credentials.who(&self.app).await {
            Ok(found) => found,
            Err(error) => return Found::refused(&error),
        };
        if identity != self.identity {
            return Found::Other;
        }
        match (permitted(&self.app, &self.info, identity, standing).await, &self.filter) {
            (Ok(ObjectFilter::All), ObjectFilter::All) | (Ok(ObjectFilter::Access(_)), ObjectFilter::Access(_)) => {
                self.look_at_what_is_hidden().await
            }
            (Ok(_), _) => Found::Other,
            (Err(error), _) => Found::refused(&error),
        }
    }

    async fn look_at_what_is_hidden(&self) -> Found {
        let now = Private::of(&self.app.config.authorizers, &self.identity, &self.info, &**self.registry.resource()).await;
        match &now {
            Some(now) if now.is_doubtful => Found::Doubt,
            now if Private::is_like(now.as_ref(), self.private.as_ref()) => Found::Same,
            _ => Found::Other,
        }
    }
}

/// The finding of a second look at a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The caller is the same and may do the same.
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
