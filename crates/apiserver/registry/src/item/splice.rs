//! Bytes with a resourceVersion: where it goes in canonical bytes, and where the metadata stands then.

use super::Metadata;
use apiserver_meta::Object;
use apiserver_store::{Revision, StoreError};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::Write;
use std::ops::Range;

/// A part of an item's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    start: u32,
    end: u32,
}

impl Slice {
    fn new(range: Range<usize>) -> Self {
        // What is stored is far smaller. If not, the slice is none and the metadata is looked for.
        let end = u32::try_from(range.end).unwrap_or(0);
        Self { start: u32::try_from(range.start).unwrap_or(0).min(end), end }
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The JSON that a client gets: stored bytes with this resourceVersion. One that is there already is replaced.
///
/// # Errors
/// [`StoreError::Corrupt`] when the bytes are not an object with a UID.
pub(crate) fn splice(stored: &[u8], revision: Revision) -> Result<Bytes, StoreError> {
    spliced(stored, revision).map(|spliced| spliced.bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Bytes with a resourceVersion, and where the metadata stands in them.
pub(super) struct Spliced {
    pub(super) bytes: Bytes,
    pub(super) metadata: Slice,
}

pub(super) fn spliced(stored: &[u8], revision: Revision) -> Result<Spliced, serde_json::Error> {
    let raw = metadata_of(stored)?;
    insert(stored, raw, &Metadata::parse(raw)?, revision)
}

/// Where a raw value stands in the bytes that it is a slice of: as far in as their addresses are apart.
fn place_of(raw: &RawValue, bytes: &[u8]) -> Option<Range<usize>> {
    let start = (raw.get().as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let end = start.checked_add(raw.get().len())?;
    (end <= bytes.len()).then_some(start..end)
}

pub(super) fn metadata_of(bytes: &[u8]) -> Result<&RawValue, serde_json::Error> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    serde_json::from_slice::<Outer<'_>>(bytes).map(|outer| outer.metadata)
}

/// `stored` with the revision as resourceVersion; `raw` is the metadata inside of it.
pub(super) fn insert(stored: &[u8], raw: &RawValue, metadata: &Metadata<'_>, revision: Revision) -> Result<Spliced, serde_json::Error> {
    const NAME: &str = "\"resourceVersion\":\"";
    let Some(Seam { head, tail, metadata }) = seam(stored, raw, metadata) else { return rewrite(stored, revision) };
    let digits = revision.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut bytes = Vec::with_capacity(head.len() + NAME.len() + digits + 2 + tail.len());
    bytes.extend_from_slice(head);
    // Writing into a Vec cannot fail.
    let _ = write!(bytes, "{NAME}{revision}\",");
    bytes.extend_from_slice(tail);
    // What stands behind the metadata was only moved.
    let end = bytes.len() - (stored.len() - metadata.end);
    Ok(Spliced { bytes: bytes.into(), metadata: Slice::new(metadata.start..end) })
}

/// The place of a resourceVersion in canonical bytes: between what stands before it and what stands behind it.
struct Seam<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    /// Where the metadata stands now.
    metadata: Range<usize>,
}

/// `None` when the bytes have another form.
fn seam<'a>(stored: &'a [u8], raw: &RawValue, metadata: &Metadata<'_>) -> Option<Seam<'a>> {
    let place = place_of(raw, stored)?;
    let (upto, _) = stored.split_at_checked(place.end)?;
    let uid_at = upto.strip_suffix(b"\"}")?.strip_suffix(metadata.uid.as_bytes())?.strip_suffix(b"\"uid\":\"")?.len();
    let (head, tail) = stored.split_at_checked(uid_at)?;
    let head = match metadata.resource_version.as_deref() {
        Some(old) => head.strip_suffix(b"\",")?.strip_suffix(old.as_bytes())?.strip_suffix(b"\"resourceVersion\":\"")?,
        None => head,
    };
    matches!(head.last(), Some(b',' | b'{')).then_some(Seam { head, tail, metadata: place })
}

/// Canonical bytes from whatever is stored.
fn rewrite(stored: &[u8], revision: Revision) -> Result<Spliced, serde_json::Error> {
    let mut object = Object(serde_json::from_slice(stored)?);
    object.set_meta_str("resourceVersion", &revision.to_string());
    let bytes = object.to_bytes();
    let place = place_of(metadata_of(&bytes)?, &bytes).unwrap_or_default();
    Ok(Spliced { bytes: bytes.into(), metadata: Slice::new(place) })
}
