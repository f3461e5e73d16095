//! A connection that ends while its client still sends.
//!
//! An answer such as 413 comes before the body was read, and over HTTP/2 a client may send frames while the last GOAWAY is on
//! its way. To close the socket then would make the kernel tell the client that its data was lost, and the client throws away
//! unread what it was sent. So what comes is read and dropped, for a while (nginx calls this a lingering close).

use super::activity::Activity;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a client may go on sending a body that nobody reads.
const BODY: Duration = Duration::from_secs(2);
/// How long frames may be on their way that a client sent before it heard that the connection ends.
const FRAMES: Duration = Duration::from_millis(500);

/// A stream that is closed only once its client has closed its own side, or has had time to. It notes whether the client has taken
/// what was written.
pub(super) struct Linger<T> {
    stream: T,
    activity: Arc<Activity>,
    until: Option<Pin<Box<Sleep>>>,
}

impl<T> Linger<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity, until: None }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Linger<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.activity.wrote(written.is_ready());
        written
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.activity.wrote(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            self.activity.wrote(false);
        } else if self.activity.flushed() {
            // A body was not asked for more meanwhile, and has nobody else who would remember it.
            cx.waker().wake_by_ref();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.until.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let time = if this.activity.left_unread() { BODY } else { FRAMES };
        let until = this.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        let mut dropped = [0; 16 * 1024];
        while until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut dropped);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                // The client has closed its side, or has gone.
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::activity::Ending;
    use super::super::send_deadline::SendDeadline;
    use super::*;
    use axum::body::{Body, Bytes};
    use futures::{StreamExt, stream};
    use http::{Response, Version};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::task::TaskTracker;

    const PIECES: usize = 200;
    const PIECE: usize = 60 * 1024;

    /// A client that reads nothing for a while costs a piece or two, and not all that hyper would hold; then it gets everything.
    #[tokio::test(start_paused = true)]
    async fn no_more_is_asked_of_a_body_than_the_client_takes() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (activity, made) = (Arc::new(Activity::default()), Arc::new(AtomicUsize::new(0)));
        let (of_service, count) = (Arc::clone(&activity), Arc::clone(&made));
        let service = service_fn(move |_| {
            let count = Arc::clone(&count);
            let pieces = stream::iter(0..PIECES).then(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                // As long as a body is ready, hyper asks for more.
                async { tokio::task::yield_now().await }
            });
            let body = Body::from_stream(pieces.map(|()| Ok::<_, Infallible>(Bytes::from(vec![b'x'; PIECE]))));
            let (ending, deadline) = (Ending::Tracked(TaskTracker::new().token()), SendDeadline::whole(Duration::from_secs(3600)));
            let body = of_service.begin(None).until_end_of(body, ending, Arc::new(deadline), Version::HTTP_11);
            async move { Ok::<_, Infallible>(Response::new(body)) }
        });
        let stream = Linger::new(server, activity);
        let served = tokio::spawn(http1::Builder::new().max_buf_size(1 << 20).serve_connection(TokioIo::new(stream), service));
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut first = [0; 100];
        client.read_exact(&mut first).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(made.load(Ordering::Relaxed) <= 3, "{} pieces were made", made.load(Ordering::Relaxed));
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(first.iter().chain(&rest).filter(|byte| **byte == b'x').count(), PIECES * PIECE);
        served.abort();
    }
}
