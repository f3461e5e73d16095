//! How many requests may be under way at a time: of all callers, and of one, so that one who is noisy does not
//! starve the others.
//!
//! A place is held until the answer was read to its end, so that it also bounds the answers that nobody reads. Whoever
//! finds no place is told to come back; nothing waits here. Group `system:masters` and health checks always find one:
//! they are what an overloaded server is looked after with.

use super::{info_of, refuse};
use crate::InFlight;
use crate::app::App;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use vci_auth::Identity;
use vci_meta::ApiError;
use vci_meta::context::GROUP_MASTERS;

/// The places of this server.
#[derive(Debug)]
pub(crate) struct Places {
    reads: Arc<Pool>,
    writes: Arc<Pool>,
    watches: Arc<Pool>,
}

impl Places {
    pub(crate) fn new(limits: &crate::Limits) -> Self {
        let pool = |limit| Arc::new(Pool { limit, taken: Mutex::default() });
        Self { reads: pool(limits.reads), writes: pool(limits.writes), watches: pool(limits.watches) }
    }
}

/// Lets a request through when there is a place for it.
pub(crate) async fn in_flight(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let info = info_of(&parts);
    let user = parts.extensions.get::<Identity>().map(|identity| Arc::clone(&identity.user)).unwrap_or_default();
    if user.in_group(GROUP_MASTERS) || is_health(&info.path) {
        return next.run(super::rejoin(parts, body)).await;
    }
    let pool = match &*info.verb {
        "watch" => &app.places.watches,
        "get" | "list" | "head" => &app.places.reads,
        _ => &app.places.writes,
    };
    let Some(place) = pool.take(&user.name) else {
        return refuse(&ApiError::too_many_requests("too many requests, please try again later.", 1), &parts.headers, &parts.uri);
    };
    if info.verb == "watch" {
        // A watch may leave its request behind, so it keeps the place itself.
        parts.extensions.insert(Arc::new(place));
        return next.run(super::rejoin(parts, body)).await;
    }
    next.run(super::rejoin(parts, body)).await.map(|body| Body::new(Held { body, _place: place }))
}

fn is_health(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next();
    matches!(first, Some("healthz" | "livez" | "readyz"))
}

/// Places for one sort of requests.
#[derive(Debug)]
struct Pool {
    limit: InFlight,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_user: HashMap<String, usize>,
}

impl Pool {
    fn take(self: &Arc<Self>, user: &str) -> Option<Place> {
        let mut taken = self.taken();
        let own = taken.by_user.get(user).copied().unwrap_or(0);
        if taken.all >= self.limit.all || own >= self.limit.one_user {
            return None;
        }
        taken.all += 1;
        taken.by_user.insert(user.to_owned(), own + 1);
        Some(Place { pool: Arc::clone(self), user: user.to_owned() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pool: Arc<Pool>,
    user: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.pool.taken();
        taken.all = taken.all.saturating_sub(1);
        match taken.by_user.get_mut(&self.user) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.by_user.remove(&self.user)),
        }
    }
}

/// An answer that holds a place.
struct Held {
    body: Body,
    _place: Place,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_some_of_the_places_and_gives_them_back() {
        let pool = Arc::new(Pool { limit: InFlight { all: 3, one_user: 2 }, taken: Mutex::default() });
        let ann = [pool.take("ann"), pool.take("ann")];
        assert!(ann.iter().all(Option::is_some));
        assert!(pool.take("ann").is_none(), "one user's share");
        let bob = pool.take("bob");
        assert!(bob.is_some() && pool.take("bob").is_none(), "all are taken");
        drop(ann);
        let bob = [bob, pool.take("bob")];
        assert!(bob.iter().all(Option::is_some) && pool.take("bob").is_none());
        drop(bob);
        assert!(pool.taken().all == 0 && pool.taken().by_user.is_empty(), "nothing is left behind");
    }
}
