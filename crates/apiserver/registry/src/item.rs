//! From stored bytes to an [`Item`]: the resourceVersion is spliced in, labels, selectable fields and access
//! facts are taken out, and where the metadata stands is noted.
//!
//! Stored bytes are canonical JSON without a resourceVersion, which the store itself knows best. In canonical JSON
//! `uid` is the last member of metadata and resourceVersion stands right before it, so a splice is one
//! allocation and two copies. Bytes that somebody else wrote in another form are brought into this one.
//!
//! The cells of a table are made when the first reader asks for a table, and kept from then on: a collection that nobody prints
//! pays 16 bytes an object for them, one that is printed about as much as the row's text and 100 bytes.

use crate::keys::{Path, path_in};
use apiserver_meta::{Cells, Descriptor, Facts, Object, ObjectKey, Resource};
use apiserver_store::{Entry, Form, Revision, StoreError};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

mod splice;

pub(crate) use splice::splice;
use splice::{Slice, Spliced, insert, metadata_of, spliced};

/// A stored object as readers get it: its bytes, and beside them the little that selectors and filters need.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Default))]
pub struct Item {
    /// Namespace and name, as the map of the cache has them.
    pub(crate) path: Path,
    /// The revision that wrote it; for the object of a DELETED event, the revision of the deletion.
    pub revision: Revision,
    /// The JSON that a client gets: resourceVersion spliced in, no trailing newline.
    pub bytes: Bytes,
    /// Its labels, sorted by key. The items of a cache share what is equal.
    pub labels: Labels,
    /// The values of the descriptor's selectable fields, in its order. The items of a cache share what is equal.
    pub fields: Fields,
    /// The UIDs that its owner references name; nearly always none.
    pub owners: Box<[OwnerUid]>,
    /// Facts by which access filters decide.
    pub facts: Facts,
    /// Where `metadata` stands in the bytes.
    pub(crate) metadata: Slice,
    /// What was made of the bytes for those who asked.
    pub(crate) printed: Printed,
}

/// Labels, sorted by key.
pub(crate) type Labels = Arc<[(Arc<str>, Arc<str>)]>;
/// The values of selectable fields.
pub(crate) type Fields = Arc<[Arc<str>]>;

/// An item's row in tables, once somebody has asked for it.
#[derive(Debug, Default)]
pub(crate) struct Printed(OnceLock<Box<Cells>>);

/// It follows from the bytes.
impl PartialEq for Printed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Printed {}

/// The part of an owner reference that is held beside the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerUid {
    /// The owner's UID; the graph of the garbage collector shares it.
    pub uid: Arc<str>,
    /// `blockOwnerDeletion`: a deletion of the owner in the foreground waits for the object.
    pub blocks: bool,
}

impl Item {
    /// The item for a stored entry.
    ///
    /// The facts are read from an object without `status` and with only name and namespace in its
    /// metadata: the rest is not parsed, unless a selectable field lies there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the bytes cannot be read or are not an object with a name and a UID that belongs under its key.
    pub fn from_entry(resource: &dyn Resource, entry: &Entry) -> Result<Self, StoreError> {
        let corrupt = |why: &dyn std::fmt::Display| unreadable(entry, why);
        if let Form::Unreadable(why) = entry.form {
            return Err(corrupt(&why));
        }
        let members: BTreeMap<&str, &RawValue> = serde_json::from_slice(&entry.value).map_err(|e| corrupt(&e))?;
        let raw = members.get("metadata").ok_or_else(|| corrupt(&"no metadata"))?;
        let metadata = Metadata::parse(raw).map_err(|e| corrupt(&e))?;

        let descriptor = resource.descriptor();
        let Some(path) = path_in(descriptor, &entry.key).filter(|path| metadata.is_of(path)) else {
            return Err(corrupt(&format_args!("holds the object {}", ObjectKey::new(&*metadata.namespace, &*metadata.name))));
        };
        let object = outline(resource, &members, &metadata).map_err(|e| corrupt(&e))?;
        let Spliced { bytes, metadata: slice } = insert(&entry.value, raw, &metadata, entry.revision).map_err(|e| corrupt(&e))?;
        Ok(Self {
            revision: entry.revision,
            bytes,
            metadata: slice,
            printed: Printed::default(),
            fields: descriptor.selectable_fields.iter().map(|field| text_of(object.at(field.path))).collect(),
            facts: resource.facts(&object),
            labels: metadata.labels.unwrap_or_default().into_iter().collect(),
            owners: metadata.owner_references.unwrap_or_default().into_iter().map(OwnerUid::from).collect(),
            path: path.into(),
        })
    }

    /// Its namespace; empty where its kind has none.
    pub fn namespace(&self) -> &str {
        self.path.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.path.split_once('/').map_or(&*self.path, |(_, name)| name)
    }

    /// Namespace and name.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace(), self.name())
    }

    /// Its UID, read from its bytes.
    pub fn uid(&self) -> String {
        let metadata = serde_json::from_slice::<Metadata<'_>>(self.metadata());
        // An item's own bytes were parsed before.
        metadata.map(|metadata| metadata.uid.into_owned()).unwrap_or_default()
    }

    /// The JSON of its metadata, a part of its bytes.
    pub fn metadata(&self) -> &[u8] {
        match self.metadata.of(&self.bytes) {
            b"" => metadata_of(&self.bytes).map_or(b"{}", |raw| raw.get().as_bytes()),
            slice => slice,
        }
    }

    /// Its row in tables of the kind, if somebody has asked for it before.
    pub fn known_cells(&self) -> Option<&Cells> {
        self.printed.0.get().map(|cells| &**cells)
    }

    /// Its row in tables of the kind. The first to ask for it decodes the object.
    pub fn cells(&self, kind: &Descriptor) -> &Cells {
        self.printed.0.get_or_init(|| {
            let object = serde_json::from_slice(&self.bytes).map(Object).unwrap_or_default();
            Box::new(Cells::of(kind.columns, &object))
        })
    }

    /// The object as the event of `revision` shows it when it is deleted or leaves a selection.
    #[must_use]
    pub fn at_revision(&self, revision: Revision) -> Self {
        // An item's own bytes went through a splice before, so another one cannot fail.
        let again = spliced(&self.bytes, revision);
        let Spliced { bytes, metadata } = again.unwrap_or_else(|_| Spliced { bytes: self.bytes.clone(), metadata: self.metadata });
        Self {
            path: Arc::clone(&self.path),
            revision,
            bytes,
            metadata,
            printed: Printed::default(),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            owners: self.owners.clone(),
            facts: self.facts.clone(),
        }
    }
}

/// Why an entry is no object, for the operator.
pub(crate) fn unreadable(entry: &Entry, why: &dyn std::fmt::Display) -> StoreError {
    let Entry { key, form, .. } = entry;
    StoreError::Corrupt(match (form, entry.encrypted_with()) {
        (Form::Unreadable(why), Some(with)) => format!("{key} ({with}): {why}"),
        (Form::Unreadable(why), None) => format!("{key}: {why}"),
        // As JSON it fails as well, but that is not what is wrong.
        (_, Some(with)) => format!("{key} ({with}): it is encrypted, and there is no encryption configuration"),
        (_, None) => format!("{key}: {why}"),
    })
}

/// The part of an object's metadata that readers need.
#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow, rename = "resourceVersion")]
    resource_version: Option<Cow<'a, str>>,
    labels: Option<BTreeMap<Arc<str>, Arc<str>>>,
    #[serde(rename = "ownerReferences")]
    owner_references: Option<Vec<Owner>>,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    uid: String,
    #[serde(default, rename = "blockOwnerDeletion")]
    blocks: Option<bool>,
}

impl From<Owner> for OwnerUid {
    fn from(owner: Owner) -> Self {
        Self { uid: owner.uid.into(), blocks: owner.blocks == Some(true) }
    }
}

impl<'a> Metadata<'a> {
    /// Whether an object of this metadata belongs at a path.
    fn is_of(&self, path: &str) -> bool {
        match path.split_once('/') {
            Some((namespace, name)) => self.namespace == namespace && self.name == name,
            None => self.name == path,
        }
    }

    fn parse(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        serde_json::from_str(raw.get())
    }
}

/// The part of the object that selectable fields and access facts are read from.
fn outline(resource: &dyn Resource, members: &BTreeMap<&str, &RawValue>, metadata: &Metadata<'_>) -> Result<Object, serde_json::Error> {
    let selectable = |name: &str| resource.descriptor().selectable_fields.iter().any(|field| field.path.first() == Some(&name));
    let mut object = Map::new();
    for (name, raw) in members {
        let value = match *name {
            "metadata" if !selectable("metadata") => {
                let strings = [("name", &metadata.name), ("namespace", &metadata.namespace)];
                strings.into_iter().map(|(field, text)| (field.to_owned(), Value::from(&**text))).collect()
            }
            "apiVersion" | "kind" => continue,
            "status" if !selectable("status") => continue,
            _ => serde_json::from_str(raw.get())?,
        };
        object.insert((*name).to_owned(), value);
    }
    Ok(Object(object))
}

/// A selectable field's value as selectors compare it: text as it is, numbers and truth values in JSON's spelling.
fn text_of(value: Option<&Value>) -> Arc<str> {
    static NOTHING: LazyLock<Arc<str>> = LazyLock::new(Arc::default);
    match value {
        Some(Value::String(text)) if !text.is_empty() => text.as_str().into(),
        Some(scalar @ (Value::Bool(_) | Value::Number(_))) => scalar.to_string().into(),
        Some(Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_)) | None => Arc::clone(&NOTHING),
    }
}

#[cfg(test)]
mod tests;
