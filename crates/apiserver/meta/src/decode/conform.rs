//! A tree against a schema: types checked, unknown fields out, canonical form in. Works in place.

use super::path::Path;
use super::{Conformed, DecodeError, MAX_NOTED};
use crate::schema::{Field, Presence, Schema, Shape};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Checks a tree against the schema and brings it into canonical form: unknown fields out, zero values
/// out or in as each field's [`crate::schema::Presence`] says, `null` as absent (in lists and maps as the
/// zero value), whole numbers without a fraction, times in UTC and whole seconds.
///
/// What comes out conforms to itself: a second call changes nothing.
///
/// # Errors
/// The first value of a wrong type, in the words of upstream's decoder:
/// `json: cannot unmarshal number into Go struct field BookSpec.spec.displayName of type string`
/// becomes `cannot unmarshal number into field spec.displayName of type string`.
pub fn conform(mut value: Value, schema: &Schema) -> Result<Conformed, DecodeError> {
    let mut walk = Walk { unknown: Vec::new() };
    walk.value(&mut value, schema, &Path::Root)?;
    Ok(Conformed { value, unknown: walk.unknown })
}

struct Walk {
    unknown: Vec<String>,
}

impl Walk {
    fn value(&mut self, value: &mut Value, schema: &Schema, path: &Path<'_>) -> Result<(), DecodeError> {
        match (&schema.shape, &mut *value) {
            (Shape::Any, _) | (Shape::Boolean, Value::Bool(_)) => Ok(()),
            (Shape::String { format, .. }, Value::String(text)) if format.as_deref() == Some("date-time") => time(text, path),
            (Shape::String { .. }, Value::String(_)) => Ok(()),
            (Shape::Integer { format }, Value::Number(_)) => integer(value, format, path),
            (Shape::Number, Value::Number(_)) => {
                whole(value);
                Ok(())
            }
            (Shape::Object { fields, .. }, Value::Object(map)) => self.object(map, fields, path),
            (Shape::Map { values, .. }, Value::Object(map)) => {
                map.iter_mut().try_for_each(|(key, value)| self.element(value, values, &Path::Member(path, key)))
            }
            (Shape::List { items, .. }, Value::Array(list)) => {
                list.iter_mut().enumerate().try_for_each(|(index, item)| self.element(item, items, &Path::Item(path, index)))
            }
            _ => Err(mismatch(kind_of(value), path, &type_name(schema))),
        }
    }

    fn object(&mut self, map: &mut Map<String, Value>, fields: &BTreeMap<String, Field>, path: &Path<'_>) -> Result<(), DecodeError> {
        let mut failure = None;
        map.retain(|name, value| {
            let path = Path::Member(path, name);
            let Some(field) = fields.get(name) else {
                if self.unknown.len() < MAX_NOTED {
                    self.unknown.push(path.text());
                }
                return false;
            };
            failure.is_some() || self.field(value, field, &path).unwrap_or_else(|error| failure.replace(error).is_none())
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        fill(map, fields);
        Ok(())
    }

    /// Brings one field into form and says whether it stays.
    fn field(&mut self, value: &mut Value, field: &Field, path: &Path<'_>) -> Result<bool, DecodeError> {
        if value.is_null() {
            // An absent field that is always written is filled in afterwards.
            return Ok(false);
        }
        self.value(value, &field.schema, path)?;
        Ok(field.presence != Presence::OmitZero || !is_zero(value))
    }

    fn element(&mut self, value: &mut Value, schema: &Schema, path: &Path<'_>) -> Result<(), DecodeError> {
        if value.is_null() {
            *value = zero(schema);
            return Ok(());
        }
        self.value(value, schema, path)
    }
}

/// Writes the fields that are always written.
fn fill(map: &mut Map<String, Value>, fields: &BTreeMap<String, Field>) {
    for (name, field) in fields {
        if field.presence == Presence::Always && !map.contains_key(name) {
            map.insert(name.clone(), zero(&field.schema));
        }
    }
}

fn zero(schema: &Schema) -> Value {
    match &schema.shape {
        Shape::String { .. } => Value::String(String::new()),
        Shape::Boolean => Value::Bool(false),
        Shape::Integer { .. } | Shape::Number => Value::from(0),
        Shape::Map { .. } => Value::Object(Map::new()),
        Shape::List { .. } | Shape::Any => Value::Null,
        Shape::Object { fields, .. } => {
            let mut map = Map::new();
            fill(&mut map, fields);
            Value::Object(map)
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn integer(value: &mut Value, format: &str, path: &Path<'_>) -> Result<(), DecodeError> {
    whole(value);
    match value.as_i64() {
        Some(number) if format != "int32" || i32::try_from(number).is_ok() => Ok(()),
        _ => Err(mismatch(&format!("number {value}"), path, format)),
    }
}

/// Writes a float without a fraction as the integer it is, so that `1.0` and `1` are the same bytes.
fn whole(value: &mut Value) {
    if let Some(float) = value.as_f64().filter(|_| value.is_f64())
        && float.fract() == 0.0
        && float.abs() < 9.0e18
    {
        *value = Value::from(float as i64);
    }
}

/// RFC 3339; written in UTC with whole seconds, as `metav1.Time` is.
fn time(text: &mut String, path: &Path<'_>) -> Result<(), DecodeError> {
    let parsed = is_rfc3339(text.as_bytes()).then(|| text.parse::<Timestamp>().ok()).flatten();
    let seconds = parsed.and_then(|time| Timestamp::from_second(time.as_second()).ok());
    let Some(seconds) = seconds else {
        let text = crate::field::quoted(text);
        return Err(DecodeError(format!(
            "parsing time {text} as \"2006-01-02T15:04:05Z07:00\": field {} is no RFC 3339 time",
            path.text()
        )));
    };
    if text.len() != 20 {
        *text = seconds.to_string();
    }
    Ok(())
}

/// `dddd-dd-ddTdd:dd:dd`, a fraction or none, then `Z` or an offset. Ranges are the parser's business.
fn is_rfc3339(text: &[u8]) -> bool {
    let fits = |pattern: &[u8], text: &[u8]| {
        pattern.len() == text.len()
            && pattern.iter().zip(text).all(|(pattern, byte)| if *pattern == b'd' { byte.is_ascii_digit() } else { pattern == byte })
    };
    let Some((head, mut rest)) = text.split_at_checked(19) else { return false };
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    fits(b"dddd-dd-ddTdd:dd:dd", head) && (rest == b"Z" || fits(b"+dd:dd", rest) || fits(b"-dd:dd", rest))
}

fn mismatch(found: &str, path: &Path<'_>, wanted: &str) -> DecodeError {
    match path {
        Path::Root => DecodeError(format!("cannot unmarshal {found} into value of type {wanted}")),
        _ => DecodeError(format!("cannot unmarshal {found} into field {} of type {wanted}", path.text())),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The type as Go spells it.
fn type_name(schema: &Schema) -> String {
    match &schema.shape {
        Shape::String { format, .. } => if format.as_deref() == Some("date-time") { "Time" } else { "string" }.into(),
        Shape::Boolean => "bool".into(),
        Shape::Integer { format } => format.clone(),
        Shape::Number => "float64".into(),
        Shape::Map { values, .. } => format!("map[string]{}", type_name(values)),
        Shape::List { items, .. } => format!("[]{}", type_name(items)),
        Shape::Any => "any".into(),
        Shape::Object { .. } => {
            let component = schema.component.as_deref().unwrap_or("object");
            component.rsplit('.').next().unwrap_or(component).to_owned()
        }
    }
}
