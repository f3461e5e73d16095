//! From stored bytes to what a client asked for: the object as it is, its metadata, or a table row.
//!
//! Metadata is a part of an item's bytes, and the cells of its row are kept beside them, the same ones for every list and
//! watch: nothing is decoded to show an object as it is stored. An object that was changed for its reader is decoded.

mod shown;

pub(crate) use shown::Shown;

use crate::negotiation::{IncludeObject, MetaVersion, Target};
use apiserver_meta::{ApiError, Descriptor, Reason, Resource};
use apiserver_registry::Item;
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;

/// Turns objects into what was asked for.
#[derive(Clone)]
pub(crate) enum Renderer {
    /// Nothing to do: stored bytes are what a client gets.
    Object,
    /// `PartialObjectMetadata`.
    Metadata(MetaVersion),
    /// Rows.
    Table(Table),
}

/// The parts that a table is made from.
#[derive(Clone)]
pub(crate) struct Table {
    version: MetaVersion,
    include: IncludeObject,
    resource: Arc<dyn Resource>,
}

/// The time in Unix seconds, by which ages are shown.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

impl Renderer {
    /// For an answer that is one object, and for watches.
    ///
    /// # Errors
    /// 406 when a list was asked for.
    pub(crate) fn of_object(target: Target, resource: &Arc<dyn Resource>) -> Result<Self, ApiError> {
        match target {
            Target::Object => Ok(Self::Object),
            Target::Metadata(version) => Ok(Self::Metadata(version)),
            Target::Table(version, include) => Ok(Self::Table(Table::new(version, include, resource))),
            Target::MetadataList(_) => Err(wrong_shape("PartialObjectMetadataList", "not a list", resource.descriptor().kind)),
        }
    }

    /// For an answer that is a list.
    ///
    /// # Errors
    /// 406 when a single object was asked for.
    pub(crate) fn of_list(target: Target, resource: &Arc<dyn Resource>) -> Result<Self, ApiError> {
        match target {
            Target::Object => Ok(Self::Object),
            Target::MetadataList(version) => Ok(Self::Metadata(version)),
            Target::Table(version, include) => Ok(Self::Table(Table::new(version, include, resource))),
            Target::Metadata(_) => Err(wrong_shape("PartialObjectMetadata", "a list", resource.descriptor().list_kind)),
        }
    }

    /// One member of a list's `items` or `rows`, with ages as they are at a time in Unix seconds.
    pub(crate) fn item(&self, shown: &Shown<'_>, now: i64, out: &mut Vec<u8>) {
        match self {
            Self::Object => out.extend_from_slice(shown.bytes()),
            Self::Metadata(version) => metadata(*version, shown, out),
            Self::Table(table) => table.row(shown, now, out),
        }
    }

    /// The length of a stored object as a member of a list, where it is known without decoding the object.
    pub(crate) fn length(&self, item: &Item, now: i64) -> Option<usize> {
        Some(match self {
            Self::Object => item.bytes.len(),
            Self::Metadata(version) => metadata_length(*version, item),
            Self::Table(table) => table.row_length(item, now)?,
        })
    }

    /// One object as an answer of its own. `columns` says whether a table explains itself.
    pub(crate) fn object(&self, shown: &Shown<'_>, columns: Columns, out: &mut Vec<u8>) {
        self.object_at(shown, columns, now(), out);
    }

    fn object_at(&self, shown: &Shown<'_>, columns: Columns, now: i64, out: &mut Vec<u8>) {
        let Self::Table(table) = self else { return self.item(shown, now, out) };
        table.head(format_args!(r#"{{"resourceVersion":{}}}"#, Value::from(shown.resource_version())), columns, out);
        table.row(shown, now, out);
        out.extend_from_slice(b"]}");
    }

    /// A renderer whose rows always have their object's metadata: a client that asked for none still has to see the
    /// annotation that ends a watch's initial events.
    pub(crate) fn with_metadata(&self) -> Self {
        match self {
            Self::Table(table) if table.include == IncludeObject::None => {
                Self::Table(Table { include: IncludeObject::Metadata, ..table.clone() })
            }
            other => other.clone(),
        }
    }

    /// The text before the first item of a list.
    pub(crate) fn list_head(&self, descriptor: &Descriptor, metadata: &Value) -> Vec<u8> {
        let envelope = |kind: &str, api_version: &str| {
            format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#).into_bytes()
        };
        match self {
            Self::Object => envelope(descriptor.list_kind, &descriptor.api_version()),
            Self::Metadata(version) => envelope("PartialObjectMetadataList", version.api_version()),
            Self::Table(table) => {
                let mut head = Vec::new();
                table.head(metadata, Columns::Shown, &mut head);
                head
            }
        }
    }
}

/// Whether a table says what its columns are: in a watch only the first does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    Shown,
    Left,
}

impl Table {
    fn new(version: MetaVersion, include: IncludeObject, resource: &Arc<dyn Resource>) -> Self {
        Self { version, include, resource: Arc::clone(resource) }
    }

    fn head(&self, metadata: impl Display, columns: Columns, out: &mut Vec<u8>) {
        let definitions = match columns {
            Columns::Shown => column_definitions(self.resource.descriptor()),
            Columns::Left => Value::Null,
        };
        let api_version = self.version.api_version();
        // Writing into a Vec cannot fail.
        let _ = write!(
            out,
            r#"{{"kind":"Table","apiVersion":"{api_version}","metadata":{metadata},"columnDefinitions":{definitions},"rows":["#
        );
    }

    fn row(&self, shown: &Shown<'_>, now: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(CELLS);
        shown.cells(self.resource.descriptor()).write(now, out);
        out.extend_from_slice(OBJECT);
        match self.include {
            IncludeObject::None => out.extend_from_slice(NULL),
            IncludeObject::Metadata => metadata(self.version, shown, out),
            IncludeObject::Object => out.extend_from_slice(shown.bytes()),
        }
        out.push(b'}');
    }

    fn row_length(&self, item: &Item, now: i64) -> Option<usize> {
        let object = match self.include {
            IncludeObject::None => NULL.len(),
            IncludeObject::Metadata => metadata_length(self.version, item),
            IncludeObject::Object => item.bytes.len(),
        };
        Some(CELLS.len() + item.known_cells()?.length(now) + OBJECT.len() + object + 1)
    }
}

/// The parts of a row around its cells and its object.
const CELLS: &[u8] = br#"{"cells":"#;
const OBJECT: &[u8] = br#","object":"#;
const NULL: &[u8] = b"null";

/// The parts of a `PartialObjectMetadata` around its version and its metadata.
const PARTIAL: &[u8] = br#"{"kind":"PartialObjectMetadata","apiVersion":""#;
const METADATA: &[u8] = br#"","metadata":"#;

fn column_definitions(descriptor: &Descriptor) -> Value {
    let columns = descriptor.columns.iter().map(|column| {
        json!({
            "name": column.name, "type": column.r#type, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    });
    columns.collect()
}

fn metadata(version: MetaVersion, shown: &Shown<'_>, out: &mut Vec<u8>) {
    let api_version = version.api_version();
    for part in [PARTIAL, api_version.as_bytes(), METADATA, shown.metadata(), b"}"] {
        out.extend_from_slice(part);
    }
}

fn metadata_length(version: MetaVersion, item: &Item) -> usize {
    PARTIAL.len() + version.api_version().len() + METADATA.len() + item.metadata().len() + 1
}

fn wrong_shape(asked: &str, is: &str, kind: &str) -> ApiError {
    ApiError::new(Reason::NotAcceptable, format!("you requested {asked}, but the requested object is {is} ({kind})"))
}

#[cfg(test)]
mod tests;
