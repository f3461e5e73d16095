//! A watch is good only as long as its caller is who they were and may do what they might.
//!
//! When the configuration says that something may have changed, the caller of every open watch is authenticated and
//! authorized again, with the credentials that the request came with, and with whom it acts for. Whoever is then somebody else, may no longer, or
//! sees by another sort of [`View`], is told 410, so that the client lists again and gets the answer that holds now. Where
//! it cannot be found out what somebody may, their watch goes on for a while: others cannot be asked, and all their watches
//! would end at once. What a view reaches in each namespace changes inside of the watch and is the registry's business.

use crate::PeerCertificates;
use crate::app::App;
use crate::call::Call;
use crate::layers::{acting_for, attributes, decide, identify, is_credential, is_wish};
use crate::request_info::RequestInfo;
use futures::StreamExt;
use futures::stream::poll_fn;
use http::HeaderMap;
use http::request::Parts;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use vci_auth::{Credentials, Identity};
use vci_meta::{ApiError, View};
use vci_registry::{Frame, Watch};

/// How long to wait before it is tried again to find out whether a watch may go on, and how often that is tried in all: about
/// a minute.
const DOUBT: Duration = Duration::from_secs(5);
const DOUBTS: u32 = 12;

/// What a caller has offered as proof of who they are, and when to look at it again. A request extension; has no
/// `Debug`, because it holds secrets.
#[derive(Clone)]
pub(crate) struct Proof {
    headers: HeaderMap,
    certificates: PeerCertificates,
    changes: watch::Receiver<u64>,
}

impl Proof {
    /// To be taken before the request is authenticated: what changes while it is being let in counts. `None` where
    /// nobody is looked at again.
    pub(crate) fn of(app: &App, parts: &Parts) -> Option<Self> {
        let mut changes = app.config.access_changes.clone()?;
        changes.mark_unchanged();
        let chain = &app.config.authenticators;
        let offered = parts.headers.iter().filter(|(name, _)| is_credential(name, chain) || is_wish(name));
        let headers = offered.map(|(name, value)| (name.clone(), value.clone())).collect();
        let certificates = parts.extensions.get::<PeerCertificates>().cloned().unwrap_or_default();
        Some(Self { headers, certificates, changes })
    }
}

/// The same watch; it ends when its caller may no longer have it, and holds its place until it is dropped.
pub(crate) fn while_allowed(call: &Call, mut watch: Watch) -> Watch {
    let place = call.place.clone();
    let Some(proof) = call.proof.clone() else { return watch.inspect(move |_| _ = &place).boxed() };
    let standing = Standing {
        app: Arc::clone(&call.app),
        proof,
        info: Arc::clone(&call.info),
        identity: call.identity.clone(),
        view: call.view.clone(),
    };
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

/// Who asked for a watch, for what, and by which view they see.
struct Standing {
    app: Arc<App>,
    proof: Proof,
    info: Arc<RequestInfo>,
    identity: Identity,
    view: View,
}

impl Standing {
    /// Ends when the watch may not go on.
    async fn lost(mut self) {
        // Without a sender nothing changes any more.
        while self.proof.changes.changed().await.is_ok() {
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
        let config = &self.app.config;
        let credentials = Credentials { headers: &self.proof.headers, certificates: &self.proof.certificates.0 };
        let Ok((caller, _)) = identify(&config.authenticators, credentials).await else { return Found::Other };
        let identity = match acting_for(&self.app, &self.proof.headers, &caller).await {
            Ok(identity) => identity,
            Err(error) => return Found::refused(&error),
        };
        if identity != self.identity {
            return Found::Other;
        }
        match (decide(&config.authorizers, &attributes(identity, &self.info)).await, &self.view) {
            (Ok(View::All), View::All) | (Ok(View::Granted(_)), View::Granted(_)) => Found::Same,
            (Ok(_), _) => Found::Other,
            (Err(refusal), _) => Found::refused(&refusal.error),
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
