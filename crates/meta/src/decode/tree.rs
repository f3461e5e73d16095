//! One visitor that builds a JSON tree from any self-describing format and notes duplicate keys on its way.

use super::path::Path;
use super::{MAX_DEPTH, MAX_NOTED};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};
use std::fmt;

/// What a walk notes and what it may still spend.
pub(super) struct Notes {
    pub(super) duplicates: Vec<String>,
    /// How many more duplicates are looked at; many may be one and the same field.
    looks: usize,
    /// One for each value and each byte of text: the bound on what aliases may multiply.
    budget: usize,
}

impl Notes {
    pub(super) fn new(budget: usize) -> Self {
        Self { duplicates: Vec::new(), looks: 10 * MAX_NOTED, budget }
    }

    fn duplicate(&mut self, path: &Path<'_>) {
        if self.looks == 0 || self.duplicates.len() == MAX_NOTED {
            return;
        }
        self.looks -= 1;
        let path = path.text();
        if !self.duplicates.contains(&path) {
            self.duplicates.push(path);
        }
    }

    fn spend<E: Error>(&mut self, cost: usize) -> Result<(), E> {
        self.budget = self.budget.checked_sub(cost).ok_or_else(|| E::custom("document contains excessive aliasing"))?;
        Ok(())
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

    fn scalar<E: Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.notes.spend(1)?;
        Ok(value.into())
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
        self.scalar(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("JSON has no infinite numbers"))?;
        self.scalar(number)
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.notes.spend(value.len())?;
        self.scalar(value)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.notes.spend(value.len())?;
        self.scalar(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        self.notes.spend(1)?;
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
        self.notes.spend(1)?;
        let mut map = Map::new();
        while let Some(key) = members.next_key_seed(Key)? {
            self.notes.spend(key.len())?;
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

/// A key. JSON has only strings; of YAML's other scalars, numbers and booleans become their text.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, number or boolean as key")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<String, E> {
        Ok(value)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }
}
