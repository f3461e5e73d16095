//! Field selection, indices, and tests of presence.

use crate::error::{Error, Outcome, fail};
use crate::scalar;
use crate::value::{Key, Value};

/// The kind of a selection: an absent element is an error, or with `?` an empty optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    Optional,
}

/// Evaluates `operand.field` and `operand.?field`. On an optional, an absent element makes an empty optional.
pub(crate) fn select<'a>(operand: &Value<'a>, field: &str, access: Presence) -> Outcome<'a> {
    let (operand, access) = match operand {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => (&**inner, Presence::Optional),
        other => (other, access),
    };
    let found = match operand {
        Value::Map(map) => map.field(field),
        Value::List(_) => return fail("unsupported index type 'string' in list"),
        _ => None,
    };
    match (found, access) {
        (Some(value), Presence::Required) => Ok(value),
        (Some(value), Presence::Optional) => Ok(Value::some(value)),
        (None, Presence::Optional) => Ok(Value::Optional(None)),
        (None, Presence::Required) => no_such_key(field),
    }
}

/// Evaluates `has(operand.field)`.
pub(crate) fn has<'a>(operand: &Value<'a>, field: &str) -> Outcome<'a> {
    Ok(Value::Bool(match operand {
        Value::Map(map) => map.field(field).is_some(),
        Value::Optional(Some(inner)) => return has(inner, field),
        Value::List(_) => return fail("unsupported index type 'string' in list"),
        _ => false,
    }))
}

/// Evaluates `operand[index]` and `operand[?index]`.
pub(crate) fn at<'a>(operand: &Value<'a>, index: &Value<'a>, access: Presence) -> Outcome<'a> {
    let (operand, access) = match operand {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => (&**inner, Presence::Optional),
        other => (other, access),
    };
    let found = match operand {
        Value::Map(map) => {
            let Some(key) = Key::of(index) else {
                return unusable_key(index);
            };
            map.get(&key).ok_or_else(|| format!("no such key: {}", key.display()))
        }
        Value::List(list) => {
            let position = list_index(index)?;
            let found = usize::try_from(position).ok().and_then(|it| list.item(it));
            found.ok_or_else(|| format!("index out of bounds: {position}"))
        }
        _ => match Key::of(index) {
            Some(_) if matches!(index, Value::Double(_)) => return unusable_key(index),
            Some(key) => Err(format!("no such key: {}", key.display())),
            None => return unusable_key(index),
        },
    };
    match (found, access) {
        (Ok(value), Presence::Required) => Ok(value),
        (Ok(value), Presence::Optional) => Ok(Value::some(value)),
        (Err(_), Presence::Optional) => Ok(Value::Optional(None)),
        (Err(text), Presence::Required) => fail(text),
    }
}

fn unusable_key<'a>(index: &Value<'a>) -> Outcome<'a> {
    match index {
        Value::Double(_) => no_such_key(&scalar::to_string(index).unwrap_or_default()),
        other => fail(format!("invalid qualifier type: {}", go_type(other))),
    }
}

fn list_index(index: &Value<'_>) -> Result<i64, Error> {
    match index {
        Value::Int(it) => Ok(*it),
        Value::Uint(it) => Ok(i64::try_from(*it).unwrap_or(i64::MAX)),
        Value::Double(it) if it.fract() == 0.0 => Ok(*it as i64),
        other => fail(format!("unsupported index type '{}' in list", other.type_name())),
    }
}

fn no_such_key<'a>(key: &str) -> Outcome<'a> {
    fail(format!("no such key: {key}"))
}

/// The name of a scalar's Go type, which upstream writes into some messages.
pub(crate) fn go_type(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "types.Null",
        Value::Bool(_) => "types.Bool",
        Value::Int(_) => "types.Int",
        Value::Uint(_) => "types.Uint",
        Value::Double(_) => "types.Double",
        Value::String(_) => "types.String",
        Value::Bytes(_) => "types.Bytes",
        Value::Duration(_) => "types.Duration",
        Value::Timestamp(_) => "types.Timestamp",
        Value::Optional(_) => "*types.Optional",
        Value::Url(_) => "cel.URL",
        Value::Ip(_) => "cel.IP",
        Value::Cidr(_) => "cel.CIDR",
        Value::Quantity(_) => "cel.Quantity",
        Value::Semver(_) => "cel.Semver",
        other => other.type_name(),
    }
}
