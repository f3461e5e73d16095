//! The rest of a request's body that no handler wants, over HTTP/2.
//!
//! An answer such as 401 comes before the body was read. To drop the stream then resets it, and clients that are still
//! sending (curl among them) take the reset for a failure, whatever its code, and lose the status. To answer and read on
//! does not do either: curl stops sending when it sees an error, h2 finds the body shorter than was announced, and resets
//! the stream. So the rest is read and dropped first, within bounds, and an error is sent after that. Beyond the bounds it is
//! sent all the same and the stream is reset with NO_ERROR, as RFC 9113 (8.1) has it. Waiting holds no permit: the response
//! is small, and taken out of what holds one. For HTTP/1.1 see [`super::linger`].

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use hyper::body::Incoming;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How long a client may go on sending what nobody reads.
const TIME: Duration = Duration::from_secs(5);
/// How much: several times the largest body that is taken.
const BYTES: usize = 16 * 1024 * 1024;

/// An error of more bytes than this is not waited with.
const RESPONSE: u64 = 64 * 1024;

/// The rest of one request's body.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    runtime: Handle,
    draining: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Rest {
    /// Of a request that has just begun. What is left of its body will be read on `runtime`.
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime, draining: Arc::default() }
    }

    /// The handler has given up the body.
    pub(super) fn drain(&self, body: Incoming) {
        let draining = self.runtime.spawn(drain(body));
        *self.draining.lock().unwrap_or_else(PoisonError::into_inner) = Some(draining);
    }

    /// The response, when it can be sent: an error once the client has sent its body.
    pub(super) async fn before(&self, response: Response) -> Response {
        let is_error = response.status().is_client_error() || response.status().is_server_error();
        let is_small = response.body().size_hint().exact().is_some_and(|size| size <= RESPONSE);
        if !is_error || !is_small {
            return response;
        }
        let Some(draining) = self.draining.lock().unwrap_or_else(PoisonError::into_inner).take() else { return response };
        let (parts, body) = response.into_parts();
        // It is in memory; the body that is dropped with this holds the permit.
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let _ = draining.await;
        Response::from_parts(parts, Body::from(body))
    }
}

/// Reads to the end, but not for ever.
async fn drain(mut body: Incoming) {
    let mut left = BYTES;
    let all = async {
        while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            left = left.saturating_sub(frame.data_ref().map_or(0, bytes::Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Dropping the body resets the stream, if its client has not ended it.
    let _ = tokio::time::timeout(TIME, all).await;
}
