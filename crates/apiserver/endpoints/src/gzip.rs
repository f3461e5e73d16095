//! Responses compressed while they are sent.

use crate::chunks::{Chunks, PIECE};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

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
}
