//! A body around another one that observes it: the frames that go by, and how it ends.

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Observes a body while it is sent.
pub trait BodyObserver: Send + Unpin + 'static {
    /// Ready, with the reason, when the body must break off.
    fn poll_break(&mut self, _cx: &mut Context<'_>) -> Poll<&'static str> {
        Poll::Pending
    }

    /// So many bytes go by.
    fn data(&mut self, _bytes: usize) {}

    /// The body is dropped; `is_whole` when it was read to its end.
    fn end(&mut self, _is_whole: bool) {}
}

/// A value that is held until the body is dropped.
#[derive(Debug)]
pub struct Held<T>(pub T);

impl<T: Send + Unpin + 'static> BodyObserver for Held<T> {}

/// Wraps a body, so that it is observed.
pub fn observed(body: Body, observer: impl BodyObserver) -> Body {
    Body::new(Observed { body, observer, is_over: false })
}

struct Observed<O: BodyObserver> {
    body: Body,
    observer: O,
    is_over: bool,
}

impl<O: BodyObserver> HttpBody for Observed<O> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(why) = self.observer.poll_break(cx) {
            return Poll::Ready(Some(Err(axum::Error::new(why))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.observer.data(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(None) => self.is_over = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<O: BodyObserver> Drop for Observed<O> {
    fn drop(&mut self) {
        let is_whole = self.is_over || self.body.is_end_stream();
        self.observer.end(is_whole);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_body_util::BodyExt;
    use std::sync::{Arc, Mutex};

    /// The bytes that went by, and whether the body ended whole.
    type Seen = Arc<Mutex<(usize, Option<bool>)>>;

    struct Noting {
        seen: Seen,
        breaks_after: usize,
    }

    impl BodyObserver for Noting {
        fn poll_break(&mut self, _cx: &mut Context<'_>) -> Poll<&'static str> {
            if self.seen.lock().unwrap().0 > self.breaks_after { Poll::Ready("enough") } else { Poll::Pending }
        }

        fn data(&mut self, bytes: usize) {
            self.seen.lock().unwrap().0 += bytes;
        }

        fn end(&mut self, is_whole: bool) {
            self.seen.lock().unwrap().1 = Some(is_whole);
        }
    }

    fn pieces(breaks_after: usize) -> (Body, Seen) {
        let seen = Seen::default();
        let pieces = futures::stream::iter(["ab", "c", "d"].map(Ok::<_, std::io::Error>));
        (observed(Body::from_stream(pieces), Noting { seen: Arc::clone(&seen), breaks_after }), seen)
    }

    #[tokio::test]
    async fn a_body_is_whole_when_it_was_read_to_its_end() {
        let (body, seen) = pieces(usize::MAX);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcd");
        assert_eq!(*seen.lock().unwrap(), (4, Some(true)));
        let (mut body, seen) = pieces(usize::MAX);
        body.frame().await.unwrap().unwrap();
        assert_eq!(*seen.lock().unwrap(), (2, None), "it is still being read");
        drop(body);
        assert_eq!(*seen.lock().unwrap(), (2, Some(false)));
    }

    #[tokio::test]
    async fn a_body_that_must_break_off_does_not_look_whole() {
        let (body, seen) = pieces(2);
        assert!(body.collect().await.is_err());
        assert_eq!(*seen.lock().unwrap(), (3, Some(false)));
    }
}
