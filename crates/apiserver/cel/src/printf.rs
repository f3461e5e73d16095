//! `'...'.format([...])`: `%s %d %f %e %b %o %x %X`, with a precision for `%f` and `%e`.

use crate::context::Context;
use crate::error::{Error, fail};
use crate::scalar;
use crate::types::time;
use crate::value::{List, Value};

/// The deepest nesting of lists and maps that is written.
const MAX_DEPTH: usize = 64;
/// The most digits after the point.
const MAX_PRECISION: usize = 1000;
const DEFAULT_PRECISION: usize = 6;

pub(super) fn format<'a>(context: &mut Context, pattern: &str, values: &List<'a>) -> Result<String, Error> {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = pattern.chars().peekable();
    context.charge_text(pattern.len())?;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut precision = DEFAULT_PRECISION;
        if chars.next_if_eq(&'.').is_some() {
            let digits: String = std::iter::from_fn(|| chars.next_if(char::is_ascii_digit)).collect();
            precision = digits
                .parse()
                .ok()
                .filter(|it| *it <= MAX_PRECISION)
                .ok_or_else(|| Error::Message("could not parse formatting clause: error while parsing precision".into()))?;
        }
        let Some(verb) = chars.next() else { return fail("unexpected end of string") };
        let Some(value) = values.item(next) else { return fail(format!("index {next} out of range")) };
        next += 1;
        let before = out.len();
        clause(context, &mut out, verb, precision, &value)?;
        context.charge_text(out.len() - before)?;
    }
    Ok(out)
}

fn clause<'a>(context: &mut Context, out: &mut String, verb: char, precision: usize, value: &Value<'a>) -> Result<(), Error> {
    let wrong = |what: &str| fail(format!("error during formatting: {what}, was given {}", value.type_name()));
    let text = match (verb, value) {
        ('s', _) => return plain(context, out, value, 0),
        ('d', Value::Int(it)) => it.to_string(),
        ('d', Value::Uint(it)) => it.to_string(),
        ('d', _) => return wrong("decimal clause can only be used on integers"),
        ('f', Value::Double(it)) => special(*it).map_or_else(|| grouped(&format!("{it:.precision$}")), str::to_owned),
        ('f', _) => return wrong("fixed-point clause can only be used on doubles"),
        ('e', Value::Double(it)) => special(*it).map_or_else(|| scientific(*it, precision), str::to_owned),
        ('e', _) => return wrong("scientific clause can only be used on doubles"),
        ('b', Value::Int(it)) => signed(*it, |it| format!("{it:b}")),
        ('b', Value::Uint(it)) => format!("{it:b}"),
        ('b', Value::Bool(it)) => u8::from(*it).to_string(),
        ('b', _) => return wrong("only integers and bools can be formatted as binary"),
        ('o', Value::Int(it)) => signed(*it, |it| format!("{it:o}")),
        ('o', Value::Uint(it)) => format!("{it:o}"),
        ('o', _) => return wrong("octal clause can only be used on integers"),
        ('x' | 'X', _) => match hex(value) {
            Some(it) if verb == 'X' => it.to_ascii_uppercase(),
            Some(it) => it,
            None => return wrong("only integers, byte buffers, and strings can be formatted as hex"),
        },
        (other, _) => return fail(format!("could not parse formatting clause: unrecognized formatting clause \"{other}\"")),
    };
    out.push_str(&text);
    Ok(())
}

fn hex(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Int(it) => signed(*it, |it| format!("{it:x}")),
        Value::Uint(it) => format!("{it:x}"),
        Value::String(it) => it.bytes().map(|it| format!("{it:02x}")).collect(),
        Value::Bytes(it) => it.iter().map(|it| format!("{it:02x}")).collect(),
        _ => return None,
    })
}

fn special(it: f64) -> Option<&'static str> {
    match it {
        _ if it.is_nan() => Some("NaN"),
        f64::INFINITY => Some("∞"),
        f64::NEG_INFINITY => Some("-∞"),
        _ => None,
    }
}

/// Groups thousands with commas: upstream formats for American English.
fn grouped(number: &str) -> String {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = rest.find('.').map_or((rest, ""), |at| rest.split_at(at));
    let mut out = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// Writes `1.5×10⁰³`, as upstream does for American English.
fn scientific(it: f64, precision: usize) -> String {
    let text = format!("{it:.precision$e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |rest| ("⁻", rest));
    let raised = |digit: char| digit.to_digit(10).and_then(|it| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(it as usize)).unwrap_or(digit);
    let exponent: String = format!("{exponent:0>2}").chars().map(raised).collect();
    format!("{digits}×10{sign}{exponent}")
}

fn signed(it: i64, magnitude: fn(u64) -> String) -> String {
    format!("{}{}", if it < 0 { "-" } else { "" }, magnitude(it.unsigned_abs()))
}

/// Writes `%s` of any value. Within lists and maps, values are written as literals.
fn plain<'a>(context: &mut Context, out: &mut String, value: &Value<'a>, depth: usize) -> Result<(), Error> {
    context.charge_text(value.len())?;
    if depth == MAX_DEPTH {
        return fail("error during formatting: the value is nested too deeply");
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Type(it) => out.push_str(it),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                plain(context, out, &item, depth + 1)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, value)) in map.entries().into_iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                plain(context, out, &key, depth + 1)?;
                out.push(':');
                plain(context, out, &value, depth + 1)?;
            }
            out.push('}');
        }
        Value::String(it) if depth > 0 => out.push_str(&format!("{:?}", &**it)),
        Value::String(it) => out.push_str(it),
        Value::Bytes(it) if depth > 0 => out.push_str(&format!("b{:?}", String::from_utf8_lossy(it))),
        Value::Bytes(it) => out.push_str(&String::from_utf8_lossy(it)),
        Value::Double(it) if depth > 0 => out.push_str(&format!("{it:.DEFAULT_PRECISION$}")),
        Value::Timestamp(it) if depth > 0 => out.push_str(&format!("timestamp(\"{it}\")")),
        Value::Duration(it) if depth > 0 => out.push_str(&format!("duration(\"{}\")", time::seconds(*it))),
        Value::Ip(_) | Value::Cidr(_) => return not_a_string(value),
        other => match scalar::to_string(other) {
            Some(text) => out.push_str(&text),
            None => return not_a_string(value),
        },
    }
    Ok(())
}

fn not_a_string(value: &Value<'_>) -> Result<(), Error> {
    let can = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps";
    fail(format!("error during formatting: string clause can only be used on {can}, was given {}", value.type_name()))
}
