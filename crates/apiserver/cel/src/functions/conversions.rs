//! The standard conversions, sizes and tests of strings.

use crate::overload::{Context, Error, Outcome, Overload, Value, fail, global, member};
use crate::scalar;
use crate::types::time::{Time, parse_duration};

pub(super) const FUNCTIONS: &[Overload] = &[
    global("size", 1, size),
    member("size", 1, size),
    global("type", 1, |_, args| match args {
        [it] => Ok(Value::Type(it.type_name())),
        _ => Err(Error::NoSuchOverload),
    }),
    global("dyn", 1, |_, args| args.first().cloned().ok_or(Error::NoSuchOverload)),
    global("bool", 1, bool),
    global("int", 1, int),
    global("uint", 1, uint),
    global("double", 1, double),
    global("string", 1, string),
    global("bytes", 1, bytes),
    global("duration", 1, duration),
    global("timestamp", 1, timestamp),
    member("startsWith", 2, |context, args| affix(context, args, |text, part| text.starts_with(part))),
    member("endsWith", 2, |context, args| affix(context, args, |text, part| text.ends_with(part))),
    member("contains", 2, |context, args| match args {
        [Value::String(text), Value::String(part)] => {
            context.charge_text(text.len() + part.len())?;
            Ok(Value::Bool(text.contains(&**part)))
        }
        _ => Err(Error::NoSuchOverload),
    }),
];

fn affix<'a>(context: &mut Context, args: &[Value<'a>], test: fn(&str, &str) -> bool) -> Outcome<'a> {
    let [Value::String(text), Value::String(part)] = args else { return Err(Error::NoSuchOverload) };
    context.charge_text(part.len())?;
    Ok(Value::Bool(test(text, part)))
}

fn size<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let size = match args {
        [Value::String(it)] => {
            context.charge_text(it.len())?;
            it.chars().count()
        }
        [it @ (Value::Bytes(_) | Value::List(_) | Value::Map(_))] => it.len(),
        _ => return Err(Error::NoSuchOverload),
    };
    Ok(Value::Int(size as i64))
}

fn no_conversion<'a>(from: &Value<'a>, to: &str) -> Outcome<'a> {
    fail(format!("type conversion error from '{}' to '{to}'", from.type_name()))
}

fn bool<'a>(_: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Bool(_)] => Ok(it.clone()),
        [it @ Value::String(text)] => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Value::Bool(false)),
            _ => no_conversion(it, "bool"),
        },
        _ => Err(Error::NoSuchOverload),
    }
}

fn int<'a>(_: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Int(_)] => Ok(it.clone()),
        [Value::Uint(it)] => i64::try_from(*it).map_or_else(|_| fail("integer overflow"), |it| Ok(Value::Int(it))),
        // The ends of the range are no exact doubles.
        [Value::Double(it)] if it.abs() < 9_223_372_036_854_775_807.0 => Ok(Value::Int(*it as i64)),
        [Value::Double(_)] => fail("integer overflow"),
        [it @ Value::String(text)] => text.parse().map_or_else(|_| no_conversion(it, "int"), |it| Ok(Value::Int(it))),
        [Value::Timestamp(it)] => Ok(Value::Int(it.instant.as_second() - i64::from(it.instant.subsec_nanosecond() < 0))),
        [Value::Duration(it)] => Ok(Value::Int(*it)),
        _ => Err(Error::NoSuchOverload),
    }
}

fn uint<'a>(_: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Uint(_)] => Ok(it.clone()),
        [Value::Int(it)] => u64::try_from(*it).map_or_else(|_| fail("unsigned integer overflow"), |it| Ok(Value::Uint(it))),
        [Value::Double(it)] if (0.0..18_446_744_073_709_551_615.0).contains(it) => Ok(Value::Uint(*it as u64)),
        [Value::Double(_)] => fail("unsigned integer overflow"),
        [it @ Value::String(text)] => match text.parse() {
            Ok(number) if !text.starts_with('+') => Ok(Value::Uint(number)),
            _ => no_conversion(it, "uint"),
        },
        _ => Err(Error::NoSuchOverload),
    }
}

fn double<'a>(_: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Double(_)] => Ok(it.clone()),
        [Value::Int(it)] => Ok(Value::Double(*it as f64)),
        [Value::Uint(it)] => Ok(Value::Double(*it as f64)),
        [it @ Value::String(text)] => text.parse().map_or_else(|_| no_conversion(it, "double"), |it| Ok(Value::Double(it))),
        _ => Err(Error::NoSuchOverload),
    }
}

fn string<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [value] = args else { return Err(Error::NoSuchOverload) };
    context.charge_text(value.len())?;
    match value {
        Value::Bytes(it) => {
            std::str::from_utf8(it).map_or_else(|_| fail("invalid UTF-8 in bytes, cannot convert to string"), |it| Ok(Value::text(it)))
        }
        Value::String(_) => Ok(value.clone()),
        other => scalar::to_string(other).map(Value::text).ok_or(Error::NoSuchOverload),
    }
}

fn bytes<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Bytes(_)] => Ok(it.clone()),
        [Value::String(it)] => {
            context.charge_text(it.len())?;
            Ok(Value::Bytes(it.as_bytes().into()))
        }
        _ => Err(Error::NoSuchOverload),
    }
}

fn duration<'a>(_: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Duration(_)] => Ok(it.clone()),
        [Value::Int(it)] => Ok(Value::Duration(*it)),
        [it @ Value::String(text)] => {
            parse_duration(text).map_or_else(|| no_conversion(it, "google.protobuf.Duration"), |it| Ok(Value::Duration(it)))
        }
        _ => Err(Error::NoSuchOverload),
    }
}

fn timestamp<'a>(_: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [it @ Value::Timestamp(_)] => Ok(it.clone()),
        [Value::Int(it)] => Time::of_seconds(*it).map_or_else(|| fail("timestamp overflow"), |it| Ok(Value::Timestamp(it))),
        [it @ Value::String(text)] => {
            Time::parse(text).map_or_else(|| no_conversion(it, "google.protobuf.Timestamp"), |it| Ok(Value::Timestamp(it)))
        }
        _ => Err(Error::NoSuchOverload),
    }
}
