//! Arithmetic and comparison. Nothing overflows silently; strings and lists that are made are paid for by their length.

use crate::context::Context;
use crate::error::{Error, Outcome, fail};
use crate::value::{Key, Value};
use cel::common::ast::operators;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    In,
}

impl Operator {
    const ALL: [Self; 12] = {
        use Operator::*;
        [Add, Subtract, Multiply, Divide, Modulo, Equals, NotEquals, Less, LessEquals, Greater, GreaterEquals, In]
    };

    /// Finds an operator by the name of its function.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Add => operators::ADD,
            Self::Subtract => operators::SUBSTRACT,
            Self::Multiply => operators::MULTIPLY,
            Self::Divide => operators::DIVIDE,
            Self::Modulo => operators::MODULO,
            Self::Equals => operators::EQUALS,
            Self::NotEquals => operators::NOT_EQUALS,
            Self::Less => operators::LESS,
            Self::LessEquals => operators::LESS_EQUALS,
            Self::Greater => operators::GREATER,
            Self::GreaterEquals => operators::GREATER_EQUALS,
            Self::In => operators::IN,
        }
    }
}

const INT_OVERFLOW: &str = "integer overflow";
const UINT_OVERFLOW: &str = "unsigned integer overflow";
const DURATION_OVERFLOW: &str = "duration overflow";
const TIMESTAMP_OVERFLOW: &str = "timestamp overflow";

/// Applies an operator. An error about a type that does not know the operator at all has the operator's name, as upstream's
/// has, except for the types that take calls of any name.
pub(crate) fn apply<'a>(context: &mut Context, operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match applied(context, operator, left, right) {
        Err(Error::NoSuchOverload) if !knows(left, operator) && !takes_any_call(left) => {
            fail(format!("no such overload: {}", operator.name()))
        }
        outcome => outcome,
    }
}

/// Tells whether a call of any name reaches values of its type, which then report that they do not know it.
pub(crate) fn takes_any_call(value: &Value<'_>) -> bool {
    matches!(value, Value::String(_) | Value::Duration(_) | Value::Timestamp(_))
}

fn knows(left: &Value<'_>, operator: Operator) -> bool {
    let number = matches!(left, Value::Int(_) | Value::Uint(_) | Value::Double(_));
    match operator {
        Operator::Add => number || takes_any_call(left) || matches!(left, Value::Bytes(_) | Value::List(_)),
        Operator::Subtract => number || takes_any_call(left),
        Operator::Multiply | Operator::Divide => number,
        Operator::Modulo => matches!(left, Value::Int(_) | Value::Uint(_)),
        Operator::Less | Operator::LessEquals | Operator::Greater | Operator::GreaterEquals => has_order(left),
        Operator::Equals | Operator::NotEquals | Operator::In => true,
    }
}

/// Evaluates `==`, which on the types of Kubernetes' libraries takes nothing but themselves; `!=` takes everything.
fn equal<'a>(context: &mut Context, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    let own = matches!(left, Value::Url(_) | Value::Ip(_) | Value::Cidr(_) | Value::Quantity(_) | Value::Semver(_) | Value::Format(_));
    if own && left.type_name() != right.type_name() {
        return Err(Error::NoSuchOverload);
    }
    context.equals(left, right).map(Value::Bool)
}

fn applied<'a>(context: &mut Context, operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match operator {
        Operator::Equals => equal(context, left, right),
        Operator::NotEquals => context.equals(left, right).map(|it| Value::Bool(!it)),
        Operator::In => contains(context, left, right),
        Operator::Less => ordered(context, left, right).map(|it| Value::Bool(it.is_lt())),
        Operator::LessEquals => ordered(context, left, right).map(|it| Value::Bool(it.is_le())),
        Operator::Greater => ordered(context, left, right).map(|it| Value::Bool(it.is_gt())),
        Operator::GreaterEquals => ordered(context, left, right).map(|it| Value::Bool(it.is_ge())),
        Operator::Add => add(context, left, right),
        Operator::Subtract => subtract(left, right),
        Operator::Multiply => multiply(left, right),
        Operator::Divide => divide(left, right),
        Operator::Modulo => modulo(left, right),
    }
}

/// Evaluates `-value`.
pub(crate) fn negate<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(it) => checked(it.checked_neg(), Value::Int, INT_OVERFLOW),
        Value::Double(it) => Ok(Value::Double(-it)),
        Value::Duration(it) => checked(it.checked_neg(), Value::Duration, DURATION_OVERFLOW),
        other if takes_any_call(other) => Err(Error::NoSuchOverload),
        _ => fail("no such overload: -_"),
    }
}

/// Evaluates `!value`.
pub(crate) fn not<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Bool(it) => Ok(Value::Bool(!it)),
        other if takes_any_call(other) => Err(Error::NoSuchOverload),
        _ => fail("no such overload: !_"),
    }
}

/// Compares two values; numbers of different types by their value.
pub(crate) fn ordered<'a>(context: &mut Context, left: &Value<'a>, right: &Value<'a>) -> Result<Ordering, Error> {
    if let (Value::String(a), Value::String(b)) = (left, right) {
        context.charge_text(a.len().min(b.len()))?;
    }
    left.compare(right).ok_or_else(|| match (left, right) {
        (Value::Double(_), Value::Double(_) | Value::Int(_) | Value::Uint(_)) | (Value::Int(_) | Value::Uint(_), Value::Double(_)) => {
            Error::Message("NaN values cannot be ordered".into())
        }
        _ => Error::NoSuchOverload,
    })
}

/// Sorts values by their keys, which must be of one type that has an order.
pub(crate) fn sorted_by_key<'a>(context: &mut Context, mut keyed: Vec<(Value<'a>, Value<'a>)>) -> Outcome<'a> {
    let Some((first, _)) = keyed.first() else { return Ok(Value::list(Vec::new())) };
    if !has_order(first) {
        return fail("list elements must be comparable");
    }
    if keyed.iter().any(|(key, _)| key.type_name() != first.type_name()) {
        return fail("list elements must have the same type");
    }
    let bytes = keyed.iter().fold(0_usize, |sum, (key, _)| sum.saturating_add(key.len()));
    let rounds = keyed.len().ilog2() as usize + 1;
    context.charge((keyed.len() + bytes / 10).saturating_mul(rounds))?;
    keyed.sort_by(|(a, _), (b, _)| a.compare(b).unwrap_or(Ordering::Equal));
    Ok(Value::list(keyed.into_iter().map(|(_, value)| value).collect()))
}

/// Tells whether values of its type can be compared.
pub(crate) fn has_order(value: &Value<'_>) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_) | Value::Bytes(_) => true,
        other => matches!(other, Value::Duration(_) | Value::Timestamp(_)),
    }
}

fn contains<'a>(context: &mut Context, item: &Value<'a>, within: &Value<'a>) -> Outcome<'a> {
    match within {
        Value::Map(map) => Ok(Value::Bool(Key::of(item).is_some_and(|key| map.get(&key).is_some()))),
        Value::List(list) => any_equals(context, list.iter(), item).map(Value::Bool),
        _ => Err(Error::NoSuchOverload),
    }
}

/// Tells whether one of the candidates equals a value.
pub(crate) fn any_equals<'a>(context: &mut Context, candidates: impl Iterator<Item = Value<'a>>, value: &Value<'a>) -> Result<bool, Error> {
    for candidate in candidates {
        if context.equals(&candidate, value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Wraps the result of checked arithmetic.
fn checked<'a, T>(result: Option<T>, wrap: fn(T) -> Value<'a>, overflow: &str) -> Outcome<'a> {
    result.map_or_else(|| fail(overflow), |it| Ok(wrap(it)))
}

fn add<'a>(context: &mut Context, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => checked(a.checked_add(*b), Value::Int, INT_OVERFLOW),
        (Value::Uint(a), Value::Uint(b)) => checked(a.checked_add(*b), Value::Uint, UINT_OVERFLOW),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => {
            context.charge_text(a.len() + b.len())?;
            Ok(Value::text([&**a, &**b].concat()))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            context.charge_text(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Value::List(a), Value::List(b)) => {
            context.charge(a.len() + b.len())?;
            Ok(Value::list(a.iter().chain(b.iter()).collect()))
        }
        (Value::Duration(a), Value::Duration(b)) => checked(a.checked_add(*b), Value::Duration, DURATION_OVERFLOW),
        (Value::Timestamp(time), Value::Duration(by)) | (Value::Duration(by), Value::Timestamp(time)) => {
            checked(time.plus(*by), Value::Timestamp, TIMESTAMP_OVERFLOW)
        }
        _ => Err(Error::NoSuchOverload),
    }
}

fn subtract<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => checked(a.checked_sub(*b), Value::Int, INT_OVERFLOW),
        (Value::Uint(a), Value::Uint(b)) => checked(a.checked_sub(*b), Value::Uint, UINT_OVERFLOW),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Value::Duration(a), Value::Duration(b)) => checked(a.checked_sub(*b), Value::Duration, DURATION_OVERFLOW),
        (Value::Timestamp(time), Value::Duration(by)) => {
            checked(by.checked_neg().and_then(|by| time.plus(by)), Value::Timestamp, TIMESTAMP_OVERFLOW)
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => checked(a.since(*b), Value::Duration, DURATION_OVERFLOW),
        _ => Err(Error::NoSuchOverload),
    }
}

fn multiply<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => checked(a.checked_mul(*b), Value::Int, INT_OVERFLOW),
        (Value::Uint(a), Value::Uint(b)) => checked(a.checked_mul(*b), Value::Uint, UINT_OVERFLOW),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        _ => Err(Error::NoSuchOverload),
    }
}

fn divide<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => fail("division by zero"),
        (Value::Int(a), Value::Int(b)) => checked(a.checked_div(*b), Value::Int, INT_OVERFLOW),
        (Value::Uint(a), Value::Uint(b)) => checked(a.checked_div(*b), Value::Uint, UINT_OVERFLOW),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        _ => Err(Error::NoSuchOverload),
    }
}

fn modulo<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => fail("modulus by zero"),
        (Value::Int(a), Value::Int(b)) => checked(a.checked_rem(*b), Value::Int, INT_OVERFLOW),
        (Value::Uint(a), Value::Uint(b)) => checked(a.checked_rem(*b), Value::Uint, UINT_OVERFLOW),
        _ => Err(Error::NoSuchOverload),
    }
}
