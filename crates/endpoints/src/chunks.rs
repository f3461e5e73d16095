//! Bodies that are computed while they are sent: one piece in memory at a time, the next when the connection
//! has taken it.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

/// About how many bytes one piece has.
pub(crate) const PIECE: usize = 64 * 1024;

/// The pieces of a body, in order.
pub(crate) trait Chunks: Iterator<Item = Bytes> + Send + Unpin + 'static {}

impl<I: Iterator<Item = Bytes> + Send + Unpin + 'static> Chunks for I {}

/// Pieces as an HTTP body.
pub(crate) struct ChunkBody<I> {
    chunks: I,
    /// What is left, where it is known beforehand: it becomes `Content-Length`.
    remaining: Option<u64>,
}

impl<I: Chunks> ChunkBody<I> {
    /// A body of these pieces, `length` bytes together if that is known.
    pub(crate) fn new(chunks: I, length: Option<u64>) -> Self {
        Self { chunks, remaining: length }
    }
}

impl<I: Chunks> Body for ChunkBody<I> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.chunks.next();
        if let (Some(remaining), Some(piece)) = (&mut self.remaining, &piece) {
            *remaining = remaining.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Pieces, compressed.
pub(crate) struct Gzip<I> {
    chunks: I,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<I: Chunks> Gzip<I> {
    /// Compresses at level 1: on a fast network more costs more time than it saves.
    pub(crate) fn new(chunks: I) -> Self {
        Self { chunks, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) }
    }
}

impl<I: Chunks> Iterator for Gzip<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            let encoder = self.encoder.as_mut()?;
            let Some(piece) = self.chunks.next() else {
                let rest = self.encoder.take()?.finish().ok()?;
                return Some(Bytes::from(rest));
            };
            // Writing to memory does not fail.
            encoder.write_all(&piece).ok()?;
            if encoder.get_ref().len() >= PIECE / 2 {
                return Some(Bytes::from(std::mem::take(encoder.get_mut())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::Read;

    #[test]
    fn gzip_round_trip() {
        let pieces: Vec<Bytes> =
            (0..50_u32).map(|n| (0..10_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) ^ n).to_le_bytes()).collect()).collect();
        let plain: Vec<u8> = pieces.iter().flatten().copied().collect();
        let packed: Vec<Bytes> = Gzip::new(pieces.into_iter()).collect();
        assert!(packed.len() > 1, "is sent while it is made");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&*packed.concat()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
    }

    #[test]
    fn tells_its_length() {
        let body = ChunkBody::new(vec![Bytes::from_static(b"abc")].into_iter(), Some(3));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(!body.is_end_stream());
    }
}
