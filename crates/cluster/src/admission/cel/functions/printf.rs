//! `'...'.format([...])`: `%s %d %f %e %b %o %x %X`, with a precision for `%f` and `%e`.

use super::super::evaluate::{Evaluator, Failure, failed};
use super::super::value::{List, Value};
use super::conversions;

/// How deep nested lists and maps are written.
const MAX_DEPTH: usize = 64;
/// The most digits after the point.
const MAX_PRECISION: usize = 1000;
const DEFAULT_PRECISION: usize = 6;

pub(super) fn format<'a>(evaluator: &mut Evaluator<'a>, pattern: &str, values: &List<'a>) -> Result<String, Failure> {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = pattern.chars().peekable();
    evaluator.charge_text(pattern.len())?;
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
                .ok_or_else(|| Failure::Message("could not parse formatting clause: error while parsing precision".into()))?;
        }
        let Some(verb) = chars.next() else { return failed("unexpected end of string") };
        let Some(value) = values.item(next) else { return failed(format!("index {next} out of range")) };
        next += 1;
        let before = out.len();
        clause(evaluator, &mut out, verb, precision, &value)?;
        evaluator.charge_text(out.len() - before)?;
    }
    Ok(out)
}

fn clause<'a>(evaluator: &mut Evaluator<'a>, out: &mut String, verb: char, precision: usize, value: &Value<'a>) -> Result<(), Failure> {
    let wrong = |what: &str| failed(format!("error during formatting: {what}, was given {}", value.type_name()));
    let text = match (verb, value) {
        ('s', _) => return plain(evaluator, out, value, 0),
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
        ('x', _) => match hex(value) {
            Some(it) => it,
            None => return wrong("only integers, byte buffers, and strings can be formatted as hex"),
        },
        ('X', _) => match hex(value) {
            Some(it) => it.to_ascii_uppercase(),
            None => return wrong("only integers, byte buffers, and strings can be formatted as hex"),
        },
        (other, _) => return failed(format!("could not parse formatting clause: unrecognized formatting clause \"{other}\"")),
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

/// With commas between thousands: upstream formats for American English.
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

/// `1.5×10⁰³`: upstream's way for American English.
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

/// `%s` of anything. Within lists and maps, values are written as literals.
fn plain<'a>(evaluator: &mut Evaluator<'a>, out: &mut String, value: &Value<'a>, depth: usize) -> Result<(), Failure> {
    evaluator.charge_text(value.len())?;
    if depth == MAX_DEPTH {
        return failed("error during formatting: the value is nested too deeply");
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
                plain(evaluator, out, &item, depth + 1)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, value)) in map.entries().into_iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                plain(evaluator, out, &key, depth + 1)?;
                out.push(':');
                plain(evaluator, out, &value, depth + 1)?;
            }
            out.push('}');
        }
        Value::String(it) if depth > 0 => out.push_str(&format!("{:?}", &**it)),
        Value::Bytes(it) if depth > 0 => out.push_str(&format!("b{:?}", String::from_utf8_lossy(it))),
        Value::Bytes(it) => out.push_str(&String::from_utf8_lossy(it)),
        Value::Double(it) if depth > 0 => out.push_str(&format!("{it:.DEFAULT_PRECISION$}")),
        Value::Timestamp(it) if depth > 0 => out.push_str(&format!("timestamp(\"{it}\")")),
        Value::Duration(it) if depth > 0 => out.push_str(&format!("duration(\"{}\")", super::time::seconds(*it))),
        Value::Ip(_) | Value::Cidr(_) => return not_a_string(value),
        other => match conversions::text_of(other) {
            Some(text) => out.push_str(&text),
            None => return not_a_string(value),
        },
    }
    Ok(())
}

fn not_a_string(value: &Value<'_>) -> Result<(), Failure> {
    let can = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps";
    failed(format!("error during formatting: string clause can only be used on {can}, was given {}", value.type_name()))
}
