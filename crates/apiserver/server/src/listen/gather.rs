//! Frames of several HTTP/2 streams in one write.
//!
//! h2 writes and flushes each frame by itself. When an event goes to several watches of a connection, or several answers are ready at
//! a time, that is a TLS record and a system call for each. So what is written is gathered, and a flush that comes while frames are
//! still being written is put off until the connection's task has been polled once more: by then the streams that were ready too have
//! had their turn. What waits is at most one TLS record; what is as large as that goes straight through.
//!
//! A flush is put off only in a poll in which something was written, and never without waking the task.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The plain bytes of a full TLS record.
const RECORD: usize = 16 * 1024;

/// A stream whose writes are gathered.
pub(super) struct Gather<T> {
    stream: T,
    /// `None` where writes are not gathered.
    gathered: Option<Gathered>,
}

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    /// How many of them the stream has taken.
    taken: usize,
    /// Something was written since the stream was last read from: h2 reads once in each poll, before it writes.
    is_fresh: bool,
}

impl<T> Gather<T> {
    /// For HTTP/2.
    pub(super) fn frames(stream: T) -> Self {
        Self { stream, gathered: Some(Gathered::default()) }
    }

    /// For HTTP/1.1, which has one answer at a time.
    pub(super) fn nothing(stream: T) -> Self {
        Self { stream, gathered: None }
    }
}

impl<T: AsyncWrite + Unpin> Gather<T> {
    /// Writes out what was gathered.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(gathered) = &mut self.gathered else { return Poll::Ready(Ok(())) };
        while let Some(rest) = gathered.bytes.get(gathered.taken..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => gathered.taken += taken,
            }
        }
        // Most connections are idle: they keep no memory for this.
        *gathered = Gathered { is_fresh: gathered.is_fresh, ..Gathered::default() };
        Poll::Ready(Ok(()))
    }

    /// Makes room for so many bytes; answers whether they are to be gathered.
    fn poll_room(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<bool>> {
        let waiting = self.gathered.as_ref().map_or(0, |gathered| gathered.bytes.len());
        if waiting > 0 && waiting + length > RECORD {
            ready!(self.poll_drain(cx))?;
        }
        Poll::Ready(Ok(self.gathered.is_some() && length < RECORD))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gather<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(gathered) = &mut self.gathered {
            gathered.is_fresh = false;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = data.iter().map(|part| part.len()).sum();
        let is_to_be_gathered = ready!(self.poll_room(cx, length))?;
        match &mut self.gathered {
            Some(gathered) if is_to_be_gathered => {
                // At once, so that nothing is copied from one place to a larger one.
                if gathered.bytes.capacity() == 0 {
                    gathered.bytes.reserve_exact(RECORD);
                }
                data.iter().for_each(|part| gathered.bytes.extend_from_slice(part));
                gathered.is_fresh = true;
                Poll::Ready(Ok(length))
            }
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.gathered.is_some() || self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathered.as_ref().is_some_and(|gathered| gathered.is_fresh && gathered.taken == 0 && !gathered.bytes.is_empty()) {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::task::noop_waker_ref;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    /// A stream that takes at most so many bytes, and remembers each write.
    #[derive(Default)]
    struct Socket {
        room: usize,
        writes: Vec<Vec<u8>>,
        is_shut: bool,
    }

    impl Socket {
        fn written(&self) -> usize {
            self.writes.iter().map(Vec::len).sum()
        }
    }

    impl AsyncRead for Socket {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Socket {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            let length = data.len().min(self.room - self.written());
            if length == 0 {
                return Poll::Pending;
            }
            self.writes.push(data[..length].to_vec());
            Poll::Ready(Ok(length))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.is_shut = true;
            Poll::Ready(Ok(()))
        }
    }

    fn socket(room: usize) -> Gather<Socket> {
        Gather::frames(Socket { room, ..Socket::default() })
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A poll of a connection that has these frames to write; as h2 does it, each is flushed. Returns how often it woke itself.
    fn poll(gather: &mut Gather<Socket>, frames: &[&[u8]]) -> (usize, Poll<()>) {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let mut gather = Pin::new(gather);
        let _ = gather.as_mut().poll_read(&mut cx, &mut ReadBuf::new(&mut [0; 8]));
        for frame in frames {
            assert!(matches!(gather.as_mut().poll_write(&mut cx, frame), Poll::Ready(Ok(length)) if length == frame.len()));
            let _ = gather.as_mut().poll_flush(&mut cx);
        }
        let flushed = gather.as_mut().poll_flush(&mut cx).map(Result::unwrap);
        (wakes.0.load(Ordering::Relaxed), flushed)
    }

    #[test]
    fn frames_of_several_polls_are_one_write() {
        let mut gather = socket(usize::MAX);
        assert!(poll(&mut gather, &[b"one", b"two"]).0 > 0, "it asks to be polled again");
        assert!(poll(&mut gather, &[b"three"]).0 > 0);
        assert!(gather.stream.writes.is_empty());
        assert_eq!(poll(&mut gather, &[]), (0, Poll::Ready(())));
        assert_eq!(gather.stream.writes, [b"onetwothree".to_vec()]);
        assert_eq!(gather.gathered.as_ref().unwrap().bytes.capacity(), 0, "an idle connection keeps no memory");
        assert_eq!(poll(&mut gather, &[]), (0, Poll::Ready(())));
    }

    #[test]
    fn what_fills_a_record_does_not_wait() {
        let mut gather = socket(usize::MAX);
        let _ = poll(&mut gather, &[b"head", &[1; RECORD]]);
        assert_eq!(gather.stream.writes, [b"head".to_vec(), vec![1; RECORD]], "in order");
        let _ = poll(&mut gather, &[&[2; RECORD - 1], &[3; 2]]);
        assert_eq!(gather.stream.writes[2..], [vec![2; RECORD - 1]], "at most a record waits");
    }

    #[test]
    fn a_client_that_does_not_read_is_waited_for_without_asking_again_and_again() {
        let mut gather = socket(4);
        assert!(poll(&mut gather, &[b"frames"]).0 > 0);
        assert_eq!(poll(&mut gather, &[]), (0, Poll::Pending));
        assert_eq!(poll(&mut gather, &[b"more"]), (0, Poll::Pending), "also when there is more");
        gather.stream.room = usize::MAX;
        assert_eq!(poll(&mut gather, &[]), (0, Poll::Ready(())));
        assert_eq!(gather.stream.writes.concat(), b"framesmore");
    }

    #[test]
    fn nothing_is_left_behind_at_the_end() {
        let mut gather = socket(usize::MAX);
        let _ = poll(&mut gather, &[b"last"]);
        let mut cx = Context::from_waker(noop_waker_ref());
        assert!(Pin::new(&mut gather).poll_shutdown(&mut cx).is_ready());
        assert_eq!((gather.stream.writes.concat(), gather.stream.is_shut), (b"last".to_vec(), true));
    }

    #[test]
    fn answers_of_http_1_are_not_gathered() {
        let mut gather = Gather::nothing(Socket { room: usize::MAX, ..Socket::default() });
        assert_eq!(poll(&mut gather, &[b"one", b"two"]), (0, Poll::Ready(())));
        assert_eq!(gather.stream.writes, [b"one".to_vec(), b"two".to_vec()]);
    }
}
