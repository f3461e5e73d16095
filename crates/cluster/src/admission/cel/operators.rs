//! Arithmetic and comparison. Nothing overflows silently; strings and lists that are made are paid for by their length.

use super::compile::Operator;
use super::evaluate::{Evaluator, Failure, Outcome, failed};
use super::functions::time::Time;
use super::value::{Key, Value};
use std::cmp::Ordering;

const INT_OVERFLOW: &str = "integer overflow";
const UINT_OVERFLOW: &str = "unsigned integer overflow";
const DURATION_OVERFLOW: &str = "duration overflow";

/// Applies an operator. What does not know the operator at all is told with the operator's name, as upstream does, but for
/// the types that take calls of any name.
pub(super) fn apply<'a>(evaluator: &mut Evaluator<'a>, operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    let outcome = applied(evaluator, operator, left, right);
    match operator.name() {
        Some(name) if matches!(outcome, Err(Failure::NoSuchOverload)) && !knows(left, operator) && !takes_any_call(left) => {
            failed(format!("no such overload: {name}"))
        }
        _ => outcome,
    }
}

/// Whether a call of any name reaches a value of its type, which then says that it does not know it.
pub(super) fn takes_any_call(value: &Value<'_>) -> bool {
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

/// `==` on the types of Kubernetes' libraries takes nothing but themselves; `!=` takes everything.
fn equal<'a>(evaluator: &mut Evaluator<'a>, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    let own = matches!(left, Value::Url(_) | Value::Ip(_) | Value::Cidr(_) | Value::Quantity(_) | Value::Semver(_) | Value::Format(_));
    if own && left.type_name() != right.type_name() {
        return Err(Failure::NoSuchOverload);
    }
    evaluator.equals(left, right).map(Value::Bool)
}

fn applied<'a>(evaluator: &mut Evaluator<'a>, operator: Operator, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match operator {
        Operator::Equals => equal(evaluator, left, right),
        Operator::NotEquals => evaluator.equals(left, right).map(|it| Value::Bool(!it)),
        Operator::In => contains(evaluator, left, right),
        Operator::Less => ordered(evaluator, left, right).map(|it| Value::Bool(it.is_lt())),
        Operator::LessEquals => ordered(evaluator, left, right).map(|it| Value::Bool(it.is_le())),
        Operator::Greater => ordered(evaluator, left, right).map(|it| Value::Bool(it.is_gt())),
        Operator::GreaterEquals => ordered(evaluator, left, right).map(|it| Value::Bool(it.is_ge())),
        Operator::Add => add(evaluator, left, right),
        Operator::Subtract => subtract(left, right),
        Operator::Multiply => multiply(left, right),
        Operator::Divide => divide(left, right),
        Operator::Modulo => modulo(left, right),
    }
}

pub(super) fn negate<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(it) => whole(it.checked_neg()),
        Value::Double(it) => Ok(Value::Double(-it)),
        Value::Duration(it) => it.checked_neg().map_or_else(|| failed(DURATION_OVERFLOW), |it| Ok(Value::Duration(it))),
        other if takes_any_call(other) => Err(Failure::NoSuchOverload),
        _ => failed("no such overload: -_"),
    }
}

/// `!value`.
pub(super) fn not<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Bool(it) => Ok(Value::Bool(!it)),
        other if takes_any_call(other) => Err(Failure::NoSuchOverload),
        _ => failed("no such overload: !_"),
    }
}

/// The order of two values; numbers of different types by their value.
pub(super) fn ordered<'a>(evaluator: &mut Evaluator<'a>, left: &Value<'a>, right: &Value<'a>) -> Result<Ordering, Failure> {
    if let (Value::String(a), Value::String(b)) = (left, right) {
        evaluator.charge_text(a.len().min(b.len()))?;
    }
    left.compare(right).ok_or_else(|| match (left, right) {
        (Value::Double(_), Value::Double(_) | Value::Int(_) | Value::Uint(_)) | (Value::Int(_) | Value::Uint(_), Value::Double(_)) => {
            Failure::Message("NaN values cannot be ordered".into())
        }
        _ => Failure::NoSuchOverload,
    })
}

/// Sorts values by their keys, which must be of one type that has an order.
pub(super) fn sorted_by_key<'a>(evaluator: &mut Evaluator<'a>, mut keyed: Vec<(Value<'a>, Value<'a>)>) -> Outcome<'a> {
    let Some((first, _)) = keyed.first() else { return Ok(Value::list(Vec::new())) };
    if !has_order(first) {
        return failed("list elements must be comparable");
    }
    if keyed.iter().any(|(key, _)| key.type_name() != first.type_name()) {
        return failed("list elements must have the same type");
    }
    let bytes = keyed.iter().fold(0_usize, |sum, (key, _)| sum.saturating_add(key.len()));
    let rounds = keyed.len().ilog2() as usize + 1;
    evaluator.charge((keyed.len() + bytes / 10).saturating_mul(rounds))?;
    keyed.sort_by(|(a, _), (b, _)| a.compare(b).unwrap_or(Ordering::Equal));
    Ok(Value::list(keyed.into_iter().map(|(_, value)| value).collect()))
}

/// Whether values of its type can be compared.
pub(super) fn has_order(value: &Value<'_>) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_) | Value::Bytes(_) => true,
        other => matches!(other, Value::Duration(_) | Value::Timestamp(_)),
    }
}

fn contains<'a>(evaluator: &mut Evaluator<'a>, item: &Value<'a>, within: &Value<'a>) -> Outcome<'a> {
    match within {
        Value::Map(map) => Ok(Value::Bool(Key::of(item).is_some_and(|key| map.get(&key).is_some()))),
        Value::List(list) => {
            for candidate in list.iter() {
                if evaluator.equals(&candidate, item)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        _ => Err(Failure::NoSuchOverload),
    }
}

fn whole<'a>(it: Option<i64>) -> Outcome<'a> {
    it.map_or_else(|| failed(INT_OVERFLOW), |it| Ok(Value::Int(it)))
}

fn natural<'a>(it: Option<u64>) -> Outcome<'a> {
    it.map_or_else(|| failed(UINT_OVERFLOW), |it| Ok(Value::Uint(it)))
}

fn span<'a>(it: Option<i64>) -> Outcome<'a> {
    it.map_or_else(|| failed(DURATION_OVERFLOW), |it| Ok(Value::Duration(it)))
}

fn moment<'a>(it: Option<Time>) -> Outcome<'a> {
    it.map_or_else(|| failed("timestamp overflow"), |it| Ok(Value::Timestamp(it)))
}

fn add<'a>(evaluator: &mut Evaluator<'a>, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => whole(a.checked_add(*b)),
        (Value::Uint(a), Value::Uint(b)) => natural(a.checked_add(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => {
            evaluator.charge_text(a.len() + b.len())?;
            Ok(Value::text([&**a, &**b].concat()))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            evaluator.charge_text(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Value::List(a), Value::List(b)) => {
            evaluator.charge(a.len() + b.len())?;
            Ok(Value::list(a.iter().chain(b.iter()).collect()))
        }
        (Value::Duration(a), Value::Duration(b)) => span(a.checked_add(*b)),
        (Value::Timestamp(time), Value::Duration(by)) | (Value::Duration(by), Value::Timestamp(time)) => moment(time.plus(*by)),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn subtract<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => whole(a.checked_sub(*b)),
        (Value::Uint(a), Value::Uint(b)) => natural(a.checked_sub(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Value::Duration(a), Value::Duration(b)) => span(a.checked_sub(*b)),
        (Value::Timestamp(time), Value::Duration(by)) => moment(by.checked_neg().and_then(|by| time.plus(by))),
        (Value::Timestamp(a), Value::Timestamp(b)) => span(a.since(*b)),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn multiply<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => whole(a.checked_mul(*b)),
        (Value::Uint(a), Value::Uint(b)) => natural(a.checked_mul(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn divide<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => failed("division by zero"),
        (Value::Int(a), Value::Int(b)) => whole(a.checked_div(*b)),
        (Value::Uint(a), Value::Uint(b)) => natural(a.checked_div(*b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn modulo<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => failed("modulus by zero"),
        (Value::Int(a), Value::Int(b)) => whole(a.checked_rem(*b)),
        (Value::Uint(a), Value::Uint(b)) => natural(a.checked_rem(*b)),
        _ => Err(Failure::NoSuchOverload),
    }
}
