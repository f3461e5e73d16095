//! Values of expressions: JSON read in place, and values that expressions build.
//!
//! JSON is never copied: a list or map of the activation is read where it lies, and a value is built only for the
//! elements that an expression touches.

use crate::authorizer::{Check, Decision};
use crate::types::format::Format;
use crate::types::network::Cidr;
use crate::types::quantity::Quantity;
use crate::types::time::Time;
use crate::types::url::Url;
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

/// A value while an expression is evaluated.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    Bytes(Rc<[u8]>),
    List(List<'a>),
    Map(Map<'a>),
    /// Nanoseconds.
    Duration(i64),
    Timestamp(Time),
    Type(&'static str),
    Optional(Option<Rc<Value<'a>>>),
    Url(Rc<Url>),
    Ip(IpAddr),
    Cidr(Cidr),
    Quantity(Quantity),
    Semver(Rc<semver::Version>),
    Format(&'static Format),
    Authorizer(Rc<Check>),
    PathCheck(Rc<Check>),
    GroupCheck(Rc<Check>),
    ResourceCheck(Rc<Check>),
    Decision(Rc<Result<Decision, String>>),
}

/// A string of the activation or the program, or one that was built.
#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Rc<str>),
}

/// A list of the activation, or one that was built.
#[derive(Clone, Debug)]
pub(crate) enum List<'a> {
    Json(&'a [Json]),
    Owned(Rc<[Value<'a>]>),
}

/// A map of the activation, or one that was built.
#[derive(Clone, Debug)]
pub(crate) enum Map<'a> {
    Json(&'a serde_json::Map<String, Json>),
    Owned(Rc<BTreeMap<Key<'a>, Value<'a>>>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key<'a> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    String(Text<'a>),
}

impl<'a> Value<'a> {
    /// Reads JSON.
    pub(crate) fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(it) => Self::Bool(*it),
            // Whole numbers beyond 64 bits are doubles, as in Go's reading of JSON.
            Json::Number(it) => it.as_i64().map_or_else(|| Self::Double(it.as_f64().unwrap_or(f64::NAN)), Self::Int),
            Json::String(it) => Self::String(Text::Borrowed(it)),
            Json::Array(it) => Self::List(List::Json(it)),
            Json::Object(it) => Self::Map(Map::Json(it)),
        }
    }

    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::String(Text::Owned(text.as_ref().into()))
    }

    pub(crate) fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(List::Owned(items.into()))
    }

    pub(crate) fn some(value: Value<'a>) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    /// The type's name, as `type()` and messages have it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Authorizer(_) => "kubernetes.authorization.Authorizer",
            Self::PathCheck(_) => "kubernetes.authorization.PathCheck",
            Self::GroupCheck(_) => "kubernetes.authorization.GroupCheck",
            Self::ResourceCheck(_) => "kubernetes.authorization.ResourceCheck",
            Self::Decision(_) => "kubernetes.authorization.Decision",
        }
    }

    /// The number of elements, or bytes, that one pass visits; nested ones are not counted.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::String(it) => it.len(),
            Self::Bytes(it) => it.len(),
            Self::List(it) => it.len(),
            Self::Map(it) => it.len(),
            _ => 1,
        }
    }

    /// Tells whether it is the zero value of its type, which an absent field has.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Null | Self::Optional(None) => true,
            Self::Bool(it) => !it,
            Self::Int(it) | Self::Duration(it) => *it == 0,
            Self::Uint(it) => *it == 0,
            Self::Double(it) => *it == 0.0,
            Self::String(_) | Self::Bytes(_) | Self::List(_) | Self::Map(_) => self.len() == 0,
            _ => false,
        }
    }

    /// Compares across types: numbers by their value; values of different types are different.
    /// `visit` is called for every pair looked at and may end the comparison.
    pub(crate) fn equals<E>(&self, other: &Self, visit: &mut impl FnMut(usize) -> Result<(), E>) -> Result<bool, E> {
        visit(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(_) | Self::Uint(_) | Self::Double(_), Self::Int(_) | Self::Uint(_) | Self::Double(_)) => {
                self.compare(other) == Some(Ordering::Equal)
            }
            (Self::String(a), Self::String(b)) => {
                visit(a.len().min(b.len()) / 10)?;
                a == b
            }
            (Self::Bytes(a), Self::Bytes(b)) => {
                visit(a.len().min(b.len()) / 10)?;
                a == b
            }
            (Self::List(a), Self::List(b)) => return a.equals(b, visit),
            (Self::Map(a), Self::Map(b)) => return a.equals(b, visit),
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a.instant == b.instant,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => return a.equals(b, visit),
                _ => false,
            },
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a), Self::Cidr(b)) => a == b,
            (Self::Quantity(a), Self::Quantity(b)) => a.compare(b).is_eq(),
            (Self::Semver(a), Self::Semver(b)) => a.cmp_precedence(b).is_eq(),
            (Self::Format(a), Self::Format(b)) => a.name == b.name,
            _ => false,
        })
    }

    /// The order of two values that have one: numbers (not NaN), strings, bytes, booleans, times and durations.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) | (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Uint(a), Self::Uint(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Int(a), Self::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Uint(a), Self::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Int(a), Self::Double(b)) => whole_to_double(i128::from(*a), *b),
            (Self::Uint(a), Self::Double(b)) => whole_to_double(i128::from(*a), *b),
            (Self::Double(a), Self::Int(b)) => whole_to_double(i128::from(*b), *a).map(Ordering::reverse),
            (Self::Double(a), Self::Uint(b)) => whole_to_double(i128::from(*b), *a).map(Ordering::reverse),
            (Self::String(a), Self::String(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.instant.cmp(&b.instant)),
            _ => None,
        }
    }
}

/// Compares a whole number with a double, without losing digits.
fn whole_to_double(whole: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Saturates for what lies beyond 64 bits, which then compares as it should.
    let floor = double.floor();
    let order = whole.cmp(&(floor as i128));
    Some(if order == Ordering::Equal && double > floor { Ordering::Less } else { order })
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(it) => it,
            Self::Owned(it) => it,
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
impl Eq for Text<'_> {}
impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(it) => it.len(),
            Self::Owned(it) => it.len(),
        }
    }

    pub(crate) fn item(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(it) => it.get(index).map(Value::of_json),
            Self::Owned(it) => it.get(index).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.item(index))
    }

    fn equals<E>(&self, other: &Self, visit: &mut impl FnMut(usize) -> Result<(), E>) -> Result<bool, E> {
        if self.len() != other.len() {
            return Ok(false);
        }
        for (a, b) in self.iter().zip(other.iter()) {
            if !a.equals(&b, visit)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<'a> Map<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(it) => it.len(),
            Self::Owned(it) => it.len(),
        }
    }

    /// The value of a string key.
    pub(crate) fn field(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(it) => it.get(name).map(Value::of_json),
            Self::Owned(it) => it.get(&Key::String(Text::Owned(name.into()))).cloned(),
        }
    }

    /// The value of any key; a number finds the key of the same value.
    pub(crate) fn get(&self, key: &Key<'a>) -> Option<Value<'a>> {
        match (self, key) {
            (Self::Json(_), Key::String(name)) => self.field(name),
            (Self::Json(_), _) => None,
            (Self::Owned(it), _) => it
                .get(key)
                .or_else(|| match key {
                    Key::Int(n) => it.get(&Key::Uint(u64::try_from(*n).ok()?)),
                    Key::Uint(n) => it.get(&Key::Int(i64::try_from(*n).ok()?)),
                    _ => None,
                })
                .cloned(),
        }
    }

    pub(crate) fn entries(&self) -> Vec<(Value<'a>, Value<'a>)> {
        match self {
            Self::Json(it) => it.iter().map(|(k, v)| (Value::String(Text::Borrowed(k)), Value::of_json(v))).collect(),
            Self::Owned(it) => it.iter().map(|(k, v)| (k.clone().into_value(), v.clone())).collect(),
        }
    }

    fn equals<E>(&self, other: &Self, visit: &mut impl FnMut(usize) -> Result<(), E>) -> Result<bool, E> {
        if self.len() != other.len() {
            return Ok(false);
        }
        visit(self.len())?;
        for (key, value) in self.entries() {
            let Some(found) = Key::of(&key).and_then(|key| other.get(&key)) else { return Ok(false) };
            if !value.equals(&found, visit)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<'a> Key<'a> {
    /// Converts a value to a key; doubles count as the whole numbers that they are.
    pub(crate) fn of(value: &Value<'a>) -> Option<Self> {
        match value {
            Value::Bool(it) => Some(Self::Bool(*it)),
            Value::Int(it) => Some(Self::Int(*it)),
            Value::Uint(it) => Some(Self::Uint(*it)),
            Value::Double(it) if it.fract() == 0.0 && it.abs() < 9e18 => Some(Self::Int(*it as i64)),
            Value::String(it) => Some(Self::String(it.clone())),
            _ => None,
        }
    }

    /// The key as messages show it.
    pub(crate) fn display(&self) -> String {
        match self {
            Self::Bool(it) => it.to_string(),
            Self::Int(it) => it.to_string(),
            Self::Uint(it) => it.to_string(),
            Self::String(it) => it.to_string(),
        }
    }

    fn into_value(self) -> Value<'a> {
        match self {
            Self::Bool(it) => Value::Bool(it),
            Self::Int(it) => Value::Int(it),
            Self::Uint(it) => Value::Uint(it),
            Self::String(it) => Value::String(it),
        }
    }
}
