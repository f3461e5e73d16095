//! From stored bytes to what a client asked for: the object as it is, its metadata, or a table row.

use crate::negotiation::{IncludeObject, MetaVersion, Target};
use apiserver_meta::{ApiError, Descriptor, Object, Reason, Resource};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
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
    now: i64,
}

/// Only what a `PartialObjectMetadata` copies; the rest is skipped, not decoded.
#[derive(Deserialize)]
struct OnlyMetadata<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// Only what a table of one object says of it.
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

    /// One member of a list's `items` or `rows`.
    pub(crate) fn item(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Object => out.extend_from_slice(bytes),
            Self::Metadata(version) => metadata(*version, bytes, out),
            Self::Table(table) => table.row(bytes, out),
        }
    }

    /// One object as an answer of its own. `columns` says whether a table explains itself.
    pub(crate) fn object(&self, bytes: &[u8], columns: Columns, out: &mut Vec<u8>) {
        let Self::Table(table) = self else { return self.item(bytes, out) };
        let version = serde_json::from_slice::<OnlyVersion>(bytes).map(|object| object.metadata.resource_version).unwrap_or_default();
        out.extend_from_slice(&table.head(&json!({ "resourceVersion": version }), columns));
        table.row(bytes, out);
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
            Self::Table(table) => table.head(metadata, Columns::Shown),
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
        let now = jiff::Timestamp::now().as_second();
        Self { version, include, resource: Arc::clone(resource), now }
    }

    fn head(&self, metadata: &Value, columns: Columns) -> Vec<u8> {
        let definitions = match columns {
            Columns::Shown => column_definitions(self.resource.descriptor()),
            Columns::Left => Value::Null,
        };
        let api_version = self.version.api_version();
        format!(r#"{{"kind":"Table","apiVersion":"{api_version}","metadata":{metadata},"columnDefinitions":{definitions},"rows":["#)
            .into_bytes()
    }

    fn row(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let object = serde_json::from_slice(bytes).ok().and_then(Object::from_value).unwrap_or_default();
        let cells = Value::from(self.resource.descriptor().cells(&object, self.now));
        out.extend_from_slice(format!(r#"{{"cells":{cells},"object":"#).as_bytes());
        match self.include {
            IncludeObject::None => out.extend_from_slice(b"null"),
            IncludeObject::Metadata => metadata(self.version, bytes, out),
            IncludeObject::Object => out.extend_from_slice(bytes),
        }
        out.push(b'}');
    }
}

fn column_definitions(descriptor: &Descriptor) -> Value {
    let columns = descriptor.columns.iter().map(|column| {
        json!({
            "name": column.name, "type": column.r#type, "format": column.format,
            "description": column.description, "priority": column.priority,
        })
    });
    columns.collect()
}

fn metadata(version: MetaVersion, bytes: &[u8], out: &mut Vec<u8>) {
    let metadata = serde_json::from_slice::<OnlyMetadata<'_>>(bytes).map_or("{}", |object| object.metadata.get());
    let api_version = version.api_version();
    out.extend_from_slice(format!(r#"{{"kind":"PartialObjectMetadata","apiVersion":"{api_version}","metadata":{metadata}}}"#).as_bytes());
}

fn wrong_shape(asked: &str, is: &str, kind: &str) -> ApiError {
    ApiError::new(Reason::NotAcceptable, format!("you requested {asked}, but the requested object is {is} ({kind})"))
}
