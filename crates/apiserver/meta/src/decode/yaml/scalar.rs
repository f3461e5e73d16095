//! Values of scalars.
//!
//! With a type to go by, booleans and whole numbers are read as upstream's YAML 1.1 has them. Without one, only what JSON
//! has too is more than a text.

use crate::schema::Shape;
use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};
use std::borrow::Cow;

const TRUE: [&str; 11] = ["true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"];
const FALSE: [&str; 11] = ["false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"];
/// How many of them are booleans without a type that says so.
const JSON_LIKE: usize = 3;

/// The value of a scalar in a field of this shape.
///
/// # Errors
/// A tag that it does not fit, or a number that JSON lacks; the text is for people.
pub(super) fn value(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, shape: Option<&Shape>) -> Result<Value, String> {
    if let Some(tag) = tag {
        return tagged(text, tag);
    }
    if style != ScalarStyle::Plain {
        return Ok(Value::String(text.into_owned()));
    }
    if is_null(&text) {
        return Ok(Value::Null);
    }
    let typed = match shape {
        Some(Shape::String { .. }) => return Ok(Value::String(text.into_owned())),
        Some(Shape::Boolean) => boolean(&text, TRUE.len()).map(Value::Bool),
        Some(Shape::Integer { .. } | Shape::Number) => whole(&text).or_else(|| fraction(&text.replace('_', ""))),
        _ => None,
    };
    typed.map_or_else(|| untyped(text), Ok)
}

fn tagged(text: Cow<'_, str>, tag: &Tag) -> Result<Value, String> {
    let read = match tag.core_suffix() {
        Some("null") => is_null(&text).then_some(Value::Null),
        Some("bool") => boolean(&text, TRUE.len()).map(Value::Bool),
        Some("int") => whole(&text),
        Some("float") => fraction(&text).or_else(|| whole(&text)),
        Some("map" | "seq") => None,
        _ if tag.suffix_in_namespace("tag:yaml.org,2002:").is_some_and(|kind| kind == "binary") => None,
        _ => return Ok(Value::String(text.into_owned())),
    };
    read.ok_or_else(|| format!("cannot read a scalar as {}", crate::excerpt::excerpt(&tag.original(), 64)))
}

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// `known` of the words for true and false are looked for.
fn boolean(text: &str, known: usize) -> Option<bool> {
    let is = |words: &[&str]| words.iter().take(known).any(|word| *word == text);
    if is(&TRUE) { Some(true) } else { is(&FALSE).then_some(false) }
}

/// A whole number: decimal, octal, hexadecimal or binary, with underscores between digits.
fn whole(text: &str) -> Option<Value> {
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text.as_str()),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    match sign {
        "-" => i64::from_str_radix(&format!("-{digits}"), radix).ok().map(Value::from),
        _ => u64::from_str_radix(digits, radix).ok().map(Value::from),
    }
}

/// A decimal number, as a fraction when it is one or does not fit into 64 bits.
fn fraction(text: &str) -> Option<Value> {
    is_decimal(text).then(|| text.parse().ok().and_then(Number::from_f64).map(Value::Number)).flatten()
}

fn untyped(text: Cow<'_, str>) -> Result<Value, String> {
    if let Some(value) = boolean(&text, JSON_LIKE) {
        return Ok(Value::Bool(value));
    }
    if matches!(text.trim_start_matches(['-', '+']), ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err("JSON has no infinite numbers".into());
    }
    let digits = text.trim_start_matches(['-', '+']);
    let octal = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if octal || text.contains('_') || !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return Ok(Value::String(text.into_owned()));
    }
    let number = whole(&text).or_else(|| fraction(&text));
    Ok(number.unwrap_or_else(|| Value::String(text.into_owned())))
}

/// A sign or none, digits with or without a point, and an exponent or none.
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = match mantissa.split_once('.') {
        None => digits(mantissa),
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
    };
    mantissa && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn plain(text: &str, shape: &Shape) -> Value {
        value(text.into(), ScalarStyle::Plain, None, Some(shape)).unwrap()
    }

    #[test]
    fn a_plain_scalar_is_what_its_field_is() {
        let text = Shape::String { format: None, allowed: Vec::new() };
        let whole = Shape::Integer { format: "int64".into() };
        for (given, as_text, as_boolean, as_whole, as_number, as_any) in [
            ("yes", json!("yes"), json!(true), json!("yes"), json!("yes"), json!("yes")),
            ("n", json!("n"), json!(false), json!("n"), json!("n"), json!("n")),
            ("On", json!("On"), json!(true), json!("On"), json!("On"), json!("On")),
            ("True", json!("True"), json!(true), json!(true), json!(true), json!(true)),
            ("oN", json!("oN"), json!("oN"), json!("oN"), json!("oN"), json!("oN")),
            ("123", json!("123"), json!(123), json!(123), json!(123), json!(123)),
            ("-7", json!("-7"), json!(-7), json!(-7), json!(-7), json!(-7)),
            ("0600", json!("0600"), json!("0600"), json!(384), json!(384), json!("0600")),
            ("08", json!("08"), json!("08"), json!(8.0), json!(8.0), json!("08")),
            ("0o17", json!("0o17"), json!(15), json!(15), json!(15), json!(15)),
            ("0x1F", json!("0x1F"), json!(31), json!(31), json!(31), json!(31)),
            ("1_000", json!("1_000"), json!("1_000"), json!(1000), json!(1000), json!("1_000")),
            ("1.50", json!("1.50"), json!(1.5), json!(1.5), json!(1.5), json!(1.5)),
            ("1e3", json!("1e3"), json!(1000.0), json!(1000.0), json!(1000.0), json!(1000.0)),
            ("1.2.3", json!("1.2.3"), json!("1.2.3"), json!("1.2.3"), json!("1.2.3"), json!("1.2.3")),
            ("2020-01-01", json!("2020-01-01"), json!("2020-01-01"), json!("2020-01-01"), json!("2020-01-01"), json!("2020-01-01")),
            ("-", json!("-"), json!("-"), json!("-"), json!("-"), json!("-")),
            ("~", json!(null), json!(null), json!(null), json!(null), json!(null)),
            ("null", json!(null), json!(null), json!(null), json!(null), json!(null)),
        ] {
            let got = [&text, &Shape::Boolean, &whole, &Shape::Number, &Shape::Any].map(|shape| plain(given, shape));
            assert_eq!(got, [as_text, as_boolean, as_whole, as_number, as_any], "{given}");
        }
    }

    #[test]
    fn what_is_quoted_is_a_text() {
        for shape in [Shape::Boolean, Shape::Number, Shape::Any] {
            assert_eq!(value("1".into(), ScalarStyle::DoubleQuoted, None, Some(&shape)), Ok(json!("1")));
        }
    }

    #[test]
    fn tags_say_more_than_types() {
        let tag = |kind: &str| Tag::new("tag:yaml.org,2002:", kind);
        for (text, kind, want) in [
            ("1", "str", Some(json!("1"))),
            ("1", "int", Some(json!(1))),
            ("1", "float", Some(json!(1.0))),
            ("on", "bool", Some(json!(true))),
            ("", "null", Some(json!(null))),
            ("x", "int", None),
            ("x", "map", None),
            ("eA==", "binary", None),
        ] {
            assert_eq!(value(text.into(), ScalarStyle::Plain, Some(&tag(kind)), Some(&Shape::Boolean)).ok(), want, "!!{kind} {text}");
        }
        assert_eq!(value("1".into(), ScalarStyle::Plain, Some(&Tag::new("!", "mine")), None), Ok(json!("1")));
    }
}
