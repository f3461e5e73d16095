//! One step of a field path: a field, a list item by its keys or by its value, or an index.

use crate::order;
use apiserver_meta::excerpt::excerpt;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::fmt;

/// How much of a bad path element is told, in bytes.
const MOST_TOLD: usize = 256;

/// How a field or a list item is found in what contains it.
#[derive(Clone, Debug)]
pub(crate) enum PathElement {
    /// A field of an object, or a key of a map.
    Field(Box<str>),
    /// The item of a list map that has these key fields, sorted by name.
    Key(Box<[(Box<str>, Value)]>),
    /// The item of a set that has this value.
    Value(Value),
    /// The item of an atomic list at this place. Only ever read, from what other servers wrote.
    Index(i64),
}

/// Why a serialized path element cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// A kind of element that a later version may know: to be skipped.
    #[error("unknown path element type")]
    Unknown,
    /// Not a path element.
    #[error("{0}")]
    Malformed(String),
}

impl PathElement {
    pub(crate) fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// Reads `f:name`, `k:{"name":"x"}`, `v:1` or `i:0`.
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let malformed = |e: &dyn fmt::Display| PathError::Malformed(format!("{}: {e}", excerpt(text, MOST_TOLD)));
        let Some((kind, rest)) = text.split_once(':').filter(|(kind, _)| kind.len() == 1) else {
            return Err(PathError::Malformed(format!("missing colon: {}", excerpt(text, MOST_TOLD))));
        };
        match kind {
            "f" => Ok(Self::field(rest)),
            "v" => serde_json::from_str(rest).map(Self::Value).map_err(|e| malformed(&e)),
            "i" => rest.parse().map(Self::Index).map_err(|e| malformed(&e)),
            "k" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).map_err(|e| malformed(&e))?;
                Ok(Self::key(keys.into_iter().map(|(name, value)| (name.into_boxed_str(), value)).collect()))
            }
            _ => Err(PathError::Unknown),
        }
    }

    /// The item with these key fields, in any order.
    pub(crate) fn key(mut fields: Vec<(Box<str>, Value)>) -> Self {
        fields.sort_by(|l, r| l.0.cmp(&r.0));
        Self::Key(fields.into())
    }

    /// What [`PathElement::parse`] reads.
    pub(crate) fn serialized(&self) -> String {
        match self {
            // Nearly all are these; `format!` costs more than the rest of the way to JSON.
            Self::Field(name) => ["f:", name].concat(),
            Self::Key(fields) => {
                let members: Vec<String> = fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(&**name))).collect();
                format!("k:{{{}}}", members.join(","))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                for (index, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}={value}", if index == 0 { "[" } else { "," })?;
                }
                f.write_str(if fields.is_empty() { "[]" } else { "]" })
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(l), Self::Field(r)) => l.cmp(r),
            (Self::Key(l), Self::Key(r)) => keys(l, r),
            (Self::Value(l), Self::Value(r)) => order::compare(l, r),
            (Self::Index(l), Self::Index(r)) => l.cmp(r),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

fn keys(left: &[(Box<str>, Value)], right: &[(Box<str>, Value)]) -> Ordering {
    left.iter()
        .zip(right)
        .map(|(l, r)| l.0.cmp(&r.0).then_with(|| order::compare(&l.1, &r.1)))
        .find(|o| o.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PathElement {}
