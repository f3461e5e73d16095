//! Quantities of resources.

use crate::overload::{Error, Outcome, Overload, Value, fail, global, member};
use crate::types::quantity::Quantity;
use std::cmp::Ordering;

pub(super) const FUNCTIONS: &[Overload] = &[
    global("quantity", 1, |_, args| match parsed(args)? {
        Ok(it) => Ok(Value::Quantity(it)),
        Err(error) => fail(error),
    }),
    global("isQuantity", 1, |_, args| parsed(args).map(|it| Value::Bool(it.is_ok()))),
    global("sign", 1, |_, args| one(args).map(|it| Value::Int(it.signum()))),
    member("isGreaterThan", 2, |_, args| compare(args).map(|it| Value::Bool(it.is_gt()))),
    member("isLessThan", 2, |_, args| compare(args).map(|it| Value::Bool(it.is_lt()))),
    member("compareTo", 2, |_, args| compare(args).map(|it| Value::Int(it as i64))),
    member("asApproximateFloat", 1, |_, args| one(args).map(|it| Value::Double(it.to_f64()))),
    member("asInteger", 1, |_, args| match one(args)?.to_i64() {
        Some(it) => Ok(Value::Int(it)),
        None => fail("cannot convert value to integer"),
    }),
    member("isInteger", 1, |_, args| one(args).map(|it| Value::Bool(it.to_i64().is_some()))),
    member("add", 2, |_, args| combine(args, Quantity::saturating_add)),
    member("sub", 2, |_, args| combine(args, Quantity::saturating_sub)),
];

fn parsed(args: &[Value<'_>]) -> Result<Result<Quantity, &'static str>, Error> {
    let [Value::String(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(Quantity::parse(it))
}

fn one(args: &[Value<'_>]) -> Result<Quantity, Error> {
    let [Value::Quantity(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(*it)
}

fn compare(args: &[Value<'_>]) -> Result<Ordering, Error> {
    let [Value::Quantity(a), Value::Quantity(b)] = args else { return Err(Error::NoSuchOverload) };
    Ok(a.compare(b))
}

fn combine<'a>(args: &[Value<'a>], operation: fn(Quantity, Quantity) -> Quantity) -> Outcome<'a> {
    match args {
        [Value::Quantity(a), Value::Quantity(b)] => Ok(Value::Quantity(operation(*a, *b))),
        [Value::Quantity(a), Value::Int(b)] => Ok(Value::Quantity(operation(*a, Quantity::from(*b)))),
        _ => Err(Error::NoSuchOverload),
    }
}
