//! A visitor that builds a JSON tree and notes duplicate keys on its way.

use super::path::Path;
use super::{MAX_DEPTH, MAX_NOTED};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};
use std::fmt;

/// The findings of a walk.
pub(super) struct Notes {
    pub(super) duplicates: Vec<String>,
    /// How many more duplicates are looked at; many may be one and the same field.
    looks: usize,
}

impl Notes {
    pub(super) fn new() -> Self {
        Self { duplicates: Vec::new(), looks: 10 * MAX_NOTED }
    }

    pub(super) fn duplicate(&mut self, path: &Path<'_>) {
        if self.looks == 0 || self.duplicates.len() == MAX_NOTED {
            return;
        }
        self.looks -= 1;
        let path = path.text();
        if !self.duplicates.contains(&path) {
            self.duplicates.push(path);
        }
    }
}

/// Reads one value that stands at `path`.
pub(super) struct Tree<'a> {
    pub(super) path: &'a Path<'a>,
    pub(super) depth: usize,
    pub(super) notes: &'a mut Notes,
}

impl Tree<'_> {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH { Err(E::custom("exceeded max depth")) } else { Ok(self.depth + 1) }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("JSON has no infinite numbers"))?;
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        loop {
            let path = Path::Item(self.path, list.len());
            match items.next_element_seed(Tree { path: &path, depth, notes: &mut *self.notes })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let path = Path::Member(self.path, &key);
            let value = members.next_value_seed(Tree { path: &path, depth, notes: &mut *self.notes })?;
            match map.entry(key) {
                Entry::Vacant(slot) => {
                    slot.insert(value);
                }
                Entry::Occupied(mut slot) => {
                    self.notes.duplicate(&Path::Member(self.path, slot.key()));
                    slot.insert(value);
                }
            }
        }
        Ok(Value::Object(map))
    }
}
