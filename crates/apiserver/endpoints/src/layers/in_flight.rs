//! Whether there is room for one more request ([`crate::permits`]).

use crate::app::App;
use crate::extensions::info_of;
use crate::permits::Permit;
use crate::respond::refuse;
use apiserver_auth::Identity;
use apiserver_meta::ApiError;
use apiserver_meta::context::GROUP_MASTERS;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Lets a request through when there is a place for it.
pub(crate) async fn in_flight(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let info = info_of(&parts);
    let user = parts.extensions.get::<Identity>().map(|identity| Arc::clone(&identity.user)).unwrap_or_default();
    if user.in_group(GROUP_MASTERS) || info.resource.is_none() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let Some(place) = app.permits.take(&info, &user.name) else {
        return refuse(&ApiError::too_many_requests("too many requests, please try again later.", 1), &parts.headers, &parts.uri);
    };
    if info.verb == "watch" {
        // A watch may leave its request behind, so it keeps the place itself.
        parts.extensions.insert(Arc::new(place));
        return next.run(Request::from_parts(parts, body)).await;
    }
    next.run(Request::from_parts(parts, body)).await.map(|body| Body::new(Held { body, _place: place }))
}

/// An answer that holds a place.
struct Held {
    body: Body,
    _place: Permit,
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
