//! Reaching into values: fields, indices, and whether they are there.

use super::compile::Presence;
use super::evaluate::{Failure, Outcome, failed};
use super::functions;
use super::value::{Key, Value};

/// `operand.field` and `operand.?field`. On an optional, every step that is not there makes none.
pub(super) fn select<'a>(operand: &Value<'a>, field: &str, access: Presence) -> Outcome<'a> {
    let (operand, access) = match operand {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => (&**inner, Presence::Optional),
        other => (other, access),
    };
    let found = match operand {
        Value::Map(map) => map.field(field),
        Value::List(_) => return failed("unsupported index type 'string' in list"),
        _ => None,
    };
    match (found, access) {
        (Some(value), Presence::Required) => Ok(value),
        (Some(value), Presence::Optional) => Ok(Value::some(value)),
        (None, Presence::Optional) => Ok(Value::Optional(None)),
        (None, Presence::Required) => no_such_key(field),
    }
}

pub(super) fn has<'a>(operand: &Value<'a>, field: &str) -> Outcome<'a> {
    Ok(Value::Bool(match operand {
        Value::Map(map) => map.field(field).is_some(),
        Value::Optional(Some(inner)) => return has(inner, field),
        Value::List(_) => return failed("unsupported index type 'string' in list"),
        _ => false,
    }))
}

/// `operand[index]` and `operand[?index]`.
pub(super) fn at<'a>(operand: &Value<'a>, index: &Value<'a>, access: Presence) -> Outcome<'a> {
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
            let place = list_index(index)?;
            let found = usize::try_from(place).ok().and_then(|it| list.item(it));
            found.ok_or_else(|| format!("index out of bounds: {place}"))
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
        (Err(text), Presence::Required) => failed(text),
    }
}

fn unusable_key<'a>(index: &Value<'a>) -> Outcome<'a> {
    match index {
        Value::Double(_) => no_such_key(&functions::text_of(index)),
        other => failed(format!("invalid qualifier type: {}", go_type(other))),
    }
}

fn list_index(index: &Value<'_>) -> Result<i64, Failure> {
    match index {
        Value::Int(it) => Ok(*it),
        Value::Uint(it) => Ok(i64::try_from(*it).unwrap_or(i64::MAX)),
        Value::Double(it) if it.fract() == 0.0 => Ok(*it as i64),
        other => failed(format!("unsupported index type '{}' in list", other.type_name())),
    }
}

fn no_such_key<'a>(key: &str) -> Outcome<'a> {
    failed(format!("no such key: {key}"))
}

/// What upstream calls a scalar's type where it says that it cannot be iterated.
pub(super) fn go_type(value: &Value<'_>) -> &'static str {
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
