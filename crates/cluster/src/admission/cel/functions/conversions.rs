//! The standard conversions, sizes and tests of strings.

use super::super::evaluate::{Evaluator, Failure, Outcome, failed};
use super::super::value::{Text, Value};
use super::time::{self, Time};
use super::{Function, global, member};

pub(super) const FUNCTIONS: &[Function] = &[
    global("size", 1, size),
    member("size", 1, size),
    global("type", 1, |_, args| match args {
        [it] => Ok(Value::Type(it.type_name())),
        _ => Err(Failure::NoSuchOverload),
    }),
    global("dyn", 1, |_, args| args.first().cloned().ok_or(Failure::NoSuchOverload)),
    global("bool", 1, bool),
    global("int", 1, int),
    global("uint", 1, uint),
    global("double", 1, double),
    global("string", 1, string),
    global("bytes", 1, bytes),
    global("duration", 1, duration),
    global("timestamp", 1, timestamp),
    member("startsWith", 2, |evaluator, args| affix(evaluator, args, |text, part| text.starts_with(part))),
    member("endsWith", 2, |evaluator, args| affix(evaluator, args, |text, part| text.ends_with(part))),
    member("contains", 2, |evaluator, args| match args {
        [Value::String(text), Value::String(part)] => {
            evaluator.charge_text(text.len() + part.len())?;
            Ok(Value::Bool(text.contains(&**part)))
        }
        _ => Err(Failure::NoSuchOverload),
    }),
];

fn affix<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>], test: fn(&str, &str) -> bool) -> Outcome<'a> {
    match args {
        [Value::String(text), Value::String(part)] => {
            evaluator.charge_text(part.len())?;
            Ok(Value::Bool(test(text, part)))
        }
        _ => Err(Failure::NoSuchOverload),
    }
}

fn size<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let size = match args {
        [Value::String(it)] => {
            evaluator.charge_text(it.len())?;
            it.chars().count()
        }
        [it @ (Value::Bytes(_) | Value::List(_) | Value::Map(_))] => it.len(),
        _ => return Err(Failure::NoSuchOverload),
    };
    Ok(Value::Int(size as i64))
}

fn no_conversion<'a>(from: &Value<'a>, to: &str) -> Outcome<'a> {
    failed(format!("type conversion error from '{}' to '{to}'", from.type_name()))
}

fn bool<'a>(_: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Bool(_)] => Ok(it.clone()),
        [it @ Value::String(text)] => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Value::Bool(false)),
            _ => no_conversion(it, "bool"),
        },
        _ => Err(Failure::NoSuchOverload),
    }
}

fn int<'a>(_: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Int(_)] => Ok(it.clone()),
        [Value::Uint(it)] => i64::try_from(*it).map_or_else(|_| failed("integer overflow"), |it| Ok(Value::Int(it))),
        // The ends of the range are no exact doubles.
        [Value::Double(it)] if it.abs() < 9_223_372_036_854_775_807.0 => Ok(Value::Int(*it as i64)),
        [Value::Double(_)] => failed("integer overflow"),
        [it @ Value::String(text)] => text.parse().map_or_else(|_| no_conversion(it, "int"), |it| Ok(Value::Int(it))),
        [Value::Timestamp(it)] => Ok(Value::Int(it.instant.as_second() - i64::from(it.instant.subsec_nanosecond() < 0))),
        [Value::Duration(it)] => Ok(Value::Int(*it)),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn uint<'a>(_: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Uint(_)] => Ok(it.clone()),
        [Value::Int(it)] => u64::try_from(*it).map_or_else(|_| failed("unsigned integer overflow"), |it| Ok(Value::Uint(it))),
        [Value::Double(it)] if (0.0..18_446_744_073_709_551_615.0).contains(it) => Ok(Value::Uint(*it as u64)),
        [Value::Double(_)] => failed("unsigned integer overflow"),
        [it @ Value::String(text)] => match text.parse() {
            Ok(number) if !text.starts_with('+') => Ok(Value::Uint(number)),
            _ => no_conversion(it, "uint"),
        },
        _ => Err(Failure::NoSuchOverload),
    }
}

fn double<'a>(_: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Double(_)] => Ok(it.clone()),
        [Value::Int(it)] => Ok(Value::Double(*it as f64)),
        [Value::Uint(it)] => Ok(Value::Double(*it as f64)),
        [it @ Value::String(text)] => text.parse().map_or_else(|_| no_conversion(it, "double"), |it| Ok(Value::Double(it))),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn string<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let [value] = args else { return Err(Failure::NoSuchOverload) };
    evaluator.charge_text(value.len())?;
    match value {
        Value::Bytes(it) => {
            std::str::from_utf8(it).map_or_else(|_| failed("invalid UTF-8 in bytes, cannot convert to string"), |it| Ok(Value::text(it)))
        }
        Value::String(_) => Ok(value.clone()),
        other => text_of(other).map(Value::String).ok_or(Failure::NoSuchOverload),
    }
}

/// A scalar as `string()` has it.
pub(super) fn text_of<'a>(value: &Value<'a>) -> Option<Text<'a>> {
    let text = match value {
        Value::Bool(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::Uint(it) => it.to_string(),
        Value::Double(it) => shortest(*it),
        Value::String(it) => return Some(it.clone()),
        Value::Duration(it) => time::seconds(*it),
        Value::Timestamp(it) => it.to_string(),
        Value::Ip(it) => it.to_string(),
        Value::Cidr(it) => it.to_string(),
        _ => return None,
    };
    Some(Text::Made(text.into()))
}

/// A double as Go's `%g` has it: with an exponent when that is below -4 or above 5.
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

fn bytes<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Bytes(_)] => Ok(it.clone()),
        [Value::String(it)] => {
            evaluator.charge_text(it.len())?;
            Ok(Value::Bytes(it.as_bytes().into()))
        }
        _ => Err(Failure::NoSuchOverload),
    }
}

fn duration<'a>(_: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Duration(_)] => Ok(it.clone()),
        [Value::Int(it)] => Ok(Value::Duration(*it)),
        [it @ Value::String(text)] => {
            time::parse_duration(text).map_or_else(|| no_conversion(it, "google.protobuf.Duration"), |it| Ok(Value::Duration(it)))
        }
        _ => Err(Failure::NoSuchOverload),
    }
}

fn timestamp<'a>(_: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Timestamp(_)] => Ok(it.clone()),
        [Value::Int(it)] => Time::of_seconds(*it).map_or_else(|| failed("timestamp overflow"), |it| Ok(Value::Timestamp(it))),
        [it @ Value::String(text)] => {
            Time::parse(text).map_or_else(|| no_conversion(it, "google.protobuf.Timestamp"), |it| Ok(Value::Timestamp(it)))
        }
        _ => Err(Failure::NoSuchOverload),
    }
}
