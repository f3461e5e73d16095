//! An object on its way to a client.

use apiserver_meta::{Cells, Descriptor, Object};
use apiserver_registry::Item;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// An object to be rendered.
#[derive(Clone, Debug)]
pub(crate) enum Shown<'a> {
    /// As it is stored: its parts are at hand.
    Stored(&'a Item),
    /// Made or changed for its reader: its parts are read from its bytes.
    Made(Cow<'a, [u8]>),
}

impl Shown<'_> {
    /// The object's JSON.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Stored(item) => &item.bytes,
            Self::Made(bytes) => bytes,
        }
    }

    /// The JSON of its metadata.
    pub(super) fn metadata(&self) -> &[u8] {
        match self {
            Self::Stored(item) => item.metadata(),
            Self::Made(bytes) => metadata_in(bytes),
        }
    }

    pub(super) fn resource_version(&self) -> String {
        match self {
            Self::Stored(item) => item.revision.to_string(),
            Self::Made(bytes) => resource_version_in(bytes),
        }
    }

    /// The cells of its row in tables of the kind.
    pub(super) fn cells(&self, kind: &Descriptor) -> Cow<'_, Cells> {
        match self {
            Self::Stored(item) => Cow::Borrowed(item.cells(kind)),
            Self::Made(bytes) => {
                let object = serde_json::from_slice(bytes).map(Object).unwrap_or_default();
                Cow::Owned(Cells::of(kind.columns, &object))
            }
        }
    }
}

/// The metadata as it stands in an object's bytes; the rest is skipped, not decoded.
fn metadata_in(bytes: &[u8]) -> &[u8] {
    #[derive(Deserialize)]
    struct OnlyMetadata<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    serde_json::from_slice::<OnlyMetadata<'_>>(bytes).map_or(b"{}", |object| object.metadata.get().as_bytes())
}

fn resource_version_in(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct OnlyVersion {
        metadata: Version,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        #[serde(default)]
        resource_version: String,
    }
    serde_json::from_slice::<OnlyVersion>(bytes).map(|object| object.metadata.resource_version).unwrap_or_default()
}
