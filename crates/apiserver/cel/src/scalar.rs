//! Scalars as `string()` writes them.

use crate::types::time;
use crate::value::Value;

/// Converts a value other than a string, if it is a scalar.
pub(crate) fn to_string(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Bool(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::Uint(it) => it.to_string(),
        Value::Double(it) => shortest(*it),
        Value::Duration(it) => time::seconds(*it),
        Value::Timestamp(it) => it.to_string(),
        Value::Ip(it) => it.to_string(),
        Value::Cidr(it) => it.to_string(),
        _ => return None,
    })
}

/// Formats a double like Go's `%g`: with an exponent when that is below -4 or above 5.
fn shortest(it: f64) -> String {
    if it.is_nan() {
        return "NaN".into();
    }
    if it.is_infinite() {
        return if it > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{it:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if it != 0.0 && !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => it.to_string(),
    }
}
