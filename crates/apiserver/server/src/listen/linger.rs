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

/// A stream that is closed only once its client has closed its own side, or has had time to.
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
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
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
