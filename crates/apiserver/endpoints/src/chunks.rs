//! Bodies that are computed while they are sent: one piece in memory at a time, the next when the connection
//! has taken it.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// About how many bytes one piece has. With the object that crosses the line and HTTP's own bytes it stays below the
/// 64 KiB that rustls takes at a time, so that a piece is one system call.
pub(crate) const PIECE: usize = 60 * 1024;

/// One piece at a time. hyper collects a body for as long as it is ready, up to the size of a request's head (1 MiB),
/// before it writes anything: that was 1 MiB of memory for every list under way, and bytes that had left the
/// processor's cache again when TLS came to them. So a body that has given a whole piece is not ready once, which
/// also lets other requests on the same thread have their turn.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    given: usize,
}

impl Pace {
    /// Pending when it is time to write what was given; the task is polled again right away.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.given < PIECE {
            return Poll::Ready(());
        }
        self.given = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// So many bytes are on their way.
    pub(crate) fn gave(&mut self, bytes: usize) {
        self.given += bytes;
    }
}

/// How large the next piece may be: a small one first, and twice as much each time one was taken. hyper takes a piece from
/// a body before the client has made room for any, and holds it: a stream that is never read costs a small piece.
#[derive(Debug)]
pub(crate) struct Growth(usize);

impl Default for Growth {
    fn default() -> Self {
        Self(4096)
    }
}

impl Growth {
    pub(crate) fn piece(&mut self) -> usize {
        let piece = self.0;
        self.0 = (piece * 2).min(PIECE);
        piece
    }
}

/// The pieces of a body, in order.
pub(crate) trait Chunks: Iterator<Item = Bytes> + Send + Unpin + 'static {}

impl<I: Iterator<Item = Bytes> + Send + Unpin + 'static> Chunks for I {}

/// Pieces as an HTTP body.
pub(crate) struct ChunkBody<I> {
    chunks: I,
    /// The bytes that are left, where that is known beforehand: it becomes `Content-Length`.
    remaining: Option<u64>,
    pace: Pace,
}

impl<I: Chunks> ChunkBody<I> {
    /// A body of these pieces, `length` bytes together if that is known.
    pub(crate) fn new(chunks: I, length: Option<u64>) -> Self {
        Self { chunks, remaining: length, pace: Pace::default() }
    }
}

impl<I: Chunks> Body for ChunkBody<I> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.pace.poll(cx));
        let Some(piece) = self.chunks.next() else { return Poll::Ready(None) };
        self.pace.gave(piece.len());
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Pieces that take computing, made on the runtime of the handlers, one ahead of what is sent: a connection only sends.
pub(crate) struct Ahead(mpsc::Receiver<Made>);

enum Made {
    Piece(Bytes),
    /// Only then was everything made.
    End,
}

impl Ahead {
    /// Begins to make the pieces. It ends with this body.
    pub(crate) fn new(chunks: impl Chunks) -> Self {
        let (made, received) = mpsc::channel(1);
        tokio::spawn(async move {
            for piece in chunks {
                if made.send(Made::Piece(piece)).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            let _ = made.send(Made::End).await;
        });
        Self(received)
    }
}

impl Body for Ahead {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(match ready!(self.0.poll_recv(cx)) {
            Some(Made::Piece(piece)) => Some(Ok(Frame::data(piece))),
            Some(Made::End) => None,
            None => Some(Err("the response could not be made to its end")),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http_body_util::BodyExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_whole_piece_is_written_before_the_next_is_made() {
        let half = Bytes::from(vec![0; PIECE / 2]);
        let mut body = ChunkBody::new(vec![half; 3].into_iter(), None);
        let mut poll = || Pin::new(&mut body).poll_frame(&mut Context::from_waker(std::task::Waker::noop())).is_ready();
        assert_eq!([poll(), poll(), poll(), poll()], [true, true, false, true]);
    }

    #[tokio::test]
    async fn what_takes_computing_is_made_one_piece_ahead_and_no_more() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let pieces = std::iter::repeat_with(move || Bytes::from(count.fetch_add(1, Ordering::Relaxed).to_string())).take(100);
        let mut body = Ahead::new(pieces);
        for turn in 0..50 {
            tokio::task::yield_now().await;
            assert!(made.load(Ordering::Relaxed) <= 2, "turn {turn}");
        }
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "0");
        let rest = body.collect().await.unwrap().to_bytes();
        assert!(rest.starts_with(b"123") && rest.ends_with(b"9899"));
    }

    #[tokio::test]
    async fn a_response_that_cannot_be_made_does_not_look_whole() {
        let body = Ahead::new(std::iter::once(Bytes::from("a")).chain(std::iter::from_fn(|| panic!("a fault"))));
        assert!(body.collect().await.is_err());
    }

    #[test]
    fn pieces_grow_from_a_small_one() {
        let mut growth = Growth::default();
        let pieces: Vec<usize> = (0..6).map(|_| growth.piece()).collect();
        assert_eq!(pieces, [4096, 8192, 16384, 32768, PIECE, PIECE]);
    }

    #[test]
    fn tells_its_length() {
        let body = ChunkBody::new(vec![Bytes::from_static(b"abc")].into_iter(), Some(3));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(!body.is_end_stream());
    }
}
