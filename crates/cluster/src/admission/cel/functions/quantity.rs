//! Quantities of resources: `500m`, `1.5Gi`, `1e3`.

use super::super::evaluate::{Failure, Outcome, failed};
use super::super::value::Value;
use super::{Function, global, member};
use std::cmp::Ordering;

/// An amount in billionths, the smallest that a quantity tells apart. What is beyond 128 bits stays at their end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    nanos: i128,
    /// Whether it was written without decimals or a unit below one: only then does upstream take it for an integer.
    whole: bool,
}

const NANOS: i128 = 1_000_000_000;
const FORMAT_WRONG: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX_WRONG: &str = "unable to parse quantity's suffix";

pub(super) const FUNCTIONS: &[Function] = &[
    global("quantity", 1, |_, args| match parsed(args)? {
        Ok(it) => Ok(Value::Quantity(it)),
        Err(error) => failed(error),
    }),
    global("isQuantity", 1, |_, args| parsed(args).map(|it| Value::Bool(it.is_ok()))),
    global("sign", 1, |_, args| one(args).map(|it| Value::Int(it.nanos.signum() as i64))),
    member("isGreaterThan", 2, |_, args| compare(args).map(|it| Value::Bool(it.is_gt()))),
    member("isLessThan", 2, |_, args| compare(args).map(|it| Value::Bool(it.is_lt()))),
    member("compareTo", 2, |_, args| compare(args).map(|it| Value::Int(it as i64))),
    member("asApproximateFloat", 1, |_, args| one(args).map(|it| Value::Double(it.nanos as f64 / NANOS as f64))),
    member("asInteger", 1, |_, args| match one(args)?.integer() {
        Some(it) => Ok(Value::Int(it)),
        None => failed("cannot convert value to integer"),
    }),
    member("isInteger", 1, |_, args| one(args).map(|it| Value::Bool(it.integer().is_some()))),
    member("add", 2, |_, args| combine(args, i128::saturating_add)),
    member("sub", 2, |_, args| combine(args, i128::saturating_sub)),
];

fn parsed(args: &[Value<'_>]) -> Result<Result<Quantity, &'static str>, Failure> {
    match args {
        [Value::String(it)] => Ok(Quantity::parse(it)),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn one(args: &[Value<'_>]) -> Result<Quantity, Failure> {
    match args {
        [Value::Quantity(it)] => Ok(*it),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn compare(args: &[Value<'_>]) -> Result<Ordering, Failure> {
    match args {
        [Value::Quantity(a), Value::Quantity(b)] => Ok(a.cmp(b)),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn combine<'a>(args: &[Value<'a>], operation: fn(i128, i128) -> i128) -> Outcome<'a> {
    let (a, b) = match args {
        [Value::Quantity(a), Value::Quantity(b)] => (*a, *b),
        [Value::Quantity(a), Value::Int(b)] => (*a, Quantity { nanos: i128::from(*b) * NANOS, whole: true }),
        _ => return Err(Failure::NoSuchOverload),
    };
    Ok(Value::Quantity(Quantity { nanos: operation(a.nanos, b.nanos), whole: a.whole && b.whole }))
}

impl Quantity {
    /// The order of the amounts.
    pub(crate) fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }

    fn integer(self) -> Option<i64> {
        if !self.whole {
            return None;
        }
        i64::try_from(self.nanos / NANOS).ok()
    }

    /// The amount with one added.
    pub(crate) fn one_more(self) -> Self {
        Self { nanos: self.nanos.saturating_add(NANOS), ..self }
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            Some(_) => (false, text),
            None => return Err(FORMAT_WRONG),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (digits, decimals) = number.split_once('.').unwrap_or((number, ""));
        // No digits at all count as zero, as upstream has it.
        if decimals.contains('.') {
            return Err(FORMAT_WRONG);
        }
        let (base, exponent) = unit(suffix)?;
        let magnitude = magnitude(digits, decimals, base, exponent);
        let whole = match base {
            Base::Ten => i64::from(exponent) >= decimals.len() as i64,
            Base::Two => decimals.is_empty(),
        };
        Ok(Self { nanos: if negative { -magnitude } else { magnitude }, whole })
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nanos % NANOS == 0 { write!(f, "{}", self.nanos / NANOS) } else { write!(f, "{}n", self.nanos) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Ten,
    Two,
}

/// What a suffix multiplies by: a power of ten or two.
fn unit(suffix: &str) -> Result<(Base, i32), &'static str> {
    Ok(match suffix {
        "n" => (Base::Ten, -9),
        "u" => (Base::Ten, -6),
        "m" => (Base::Ten, -3),
        "" => (Base::Ten, 0),
        "k" => (Base::Ten, 3),
        "M" => (Base::Ten, 6),
        "G" => (Base::Ten, 9),
        "T" => (Base::Ten, 12),
        "P" => (Base::Ten, 15),
        "E" => (Base::Ten, 18),
        "Ki" => (Base::Two, 10),
        "Mi" => (Base::Two, 20),
        "Gi" => (Base::Two, 30),
        "Ti" => (Base::Two, 40),
        "Pi" => (Base::Two, 50),
        "Ei" => (Base::Two, 60),
        other => {
            let well_formed = |it: &str| {
                let rest = it.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
                rest.strip_prefix(['-', '+']).unwrap_or(rest).bytes().all(|it| it.is_ascii_digit())
            };
            let exponent =
                other.strip_prefix(['e', 'E']).filter(|it| it.strip_prefix(['-', '+']).unwrap_or(it).bytes().all(|it| it.is_ascii_digit()));
            match exponent.and_then(|it| it.parse().ok()) {
                Some(exponent) => (Base::Ten, exponent),
                None if well_formed(other) => return Err(SUFFIX_WRONG),
                None => return Err(FORMAT_WRONG),
            }
        }
    })
}

/// Billionths, rounded away from zero.
fn magnitude(digits: &str, decimals: &str, base: Base, exponent: i32) -> i128 {
    let mut value: i128 = 0;
    let mut scale: i64 = 9 - decimals.len() as i64;
    let mut lost = false;
    for digit in digits.bytes().chain(decimals.bytes()) {
        match value.checked_mul(10).and_then(|it| it.checked_add(i128::from(digit - b'0'))) {
            Some(it) => value = it,
            // More digits than can be kept.
            None => {
                scale += 1;
                lost |= digit != b'0';
            }
        }
    }
    if base == Base::Two {
        value = value.saturating_mul(1_i128 << exponent.clamp(0, 60));
    } else {
        scale += i64::from(exponent);
    }
    if value == 0 {
        return 0;
    }
    if scale >= 0 {
        let factor = u32::try_from(scale).ok().and_then(|it| 10_i128.checked_pow(it));
        return factor.map_or(i128::MAX, |it| value.saturating_mul(it));
    }
    let divisor = u32::try_from(-scale).ok().and_then(|it| 10_i128.checked_pow(it));
    let Some(divisor) = divisor else { return 1 };
    value / divisor + i128::from(value % divisor != 0 || lost)
}
