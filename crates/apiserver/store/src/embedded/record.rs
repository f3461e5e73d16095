//! How one write lies in the file: `previous u64 | kind u8 | key length u16 | key | value`, little-endian. The
//! revision is the table's key, so the log grows at its end and history is read from one place.

use crate::{Revision, StoreError};

/// The longest key, in bytes: what its length field can say.
pub(super) const MAX_KEY: usize = u16::MAX as usize;

const HEAD: usize = 8 + 1 + 2;
const DELETED: u8 = 0;
const VALUE: u8 = 1;

/// One write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// The revision that wrote what was there before; 0: nothing was. Nobody asks for it now: it is a part of the format.
    pub previous: Revision,
    pub key: &'a str,
    /// `None`: deleted.
    pub value: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// How many bytes [`Self::encode`] fills.
    pub(super) fn size(&self) -> usize {
        HEAD + self.key.len() + self.value.map_or(0, <[u8]>::len)
    }

    /// Fills a place of exactly [`Self::size`] bytes; the key is at most [`MAX_KEY`] long.
    pub(super) fn encode(&self, place: &mut [u8]) {
        let (head, body) = place.split_at_mut(HEAD);
        head[..8].copy_from_slice(&self.previous.to_le_bytes());
        head[8] = if self.value.is_some() { VALUE } else { DELETED };
        head[9..].copy_from_slice(&(self.key.len() as u16).to_le_bytes());
        let (key, value) = body.split_at_mut(self.key.len());
        key.copy_from_slice(self.key.as_bytes());
        value.copy_from_slice(self.value.unwrap_or_default());
    }

    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(revision: Revision, bytes: &'a [u8]) -> Result<Self, StoreError> {
        Self::parse(bytes).ok_or_else(|| StoreError::Corrupt(format!("the record of revision {revision} cannot be read")))
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (previous, rest) = bytes.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (key, value) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let value = match *kind {
            VALUE => Some(value),
            DELETED if value.is_empty() => None,
            _ => return None,
        };
        Some(Self { previous: Revision::from_le_bytes(*previous), key: std::str::from_utf8(key).ok()?, value })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(previous: u64, key: String, value: Option<Vec<u8>>) {
            let record = Record { previous, key: &key, value: value.as_deref() };
            let mut place = vec![0xAA; record.size()];
            record.encode(&mut place);
            prop_assert_eq!(Record::decode(1, &place).unwrap(), record);
        }

        #[test]
        fn noise_is_an_error_or_a_record_but_no_panic(bytes: Vec<u8>) {
            if let Ok(record) = Record::decode(1, &bytes) {
                prop_assert_eq!(record.size(), bytes.len());
            }
        }
    }

    #[test]
    fn a_deletion_with_a_value_is_damage() {
        let mut place = vec![0; 12];
        Record { previous: 1, key: "k", value: None }.encode(&mut place);
        assert!(Record::decode(2, &place).is_ok());
        place.push(0);
        assert!(matches!(Record::decode(2, &place), Err(StoreError::Corrupt(text)) if text.contains("revision 2")));
    }
}
