//! Quantities of resources: `500m`, `1.5Gi`, `1e3`.

use std::cmp::Ordering;

/// An amount in billionths, the smallest that a quantity tells apart. Amounts beyond 128 bits saturate.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    /// Whether it was written without decimals or a unit below one: only then does upstream take it for an integer.
    whole: bool,
}

const NANOS: i128 = 1_000_000_000;
const FORMAT_WRONG: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX_WRONG: &str = "unable to parse quantity's suffix";

impl Quantity {
    /// Compares the amounts.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }

    /// Adds an amount.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos), whole: self.whole && other.whole }
    }

    /// Subtracts an amount.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_sub(other.nanos), whole: self.whole && other.whole }
    }

    pub(crate) fn signum(self) -> i64 {
        self.nanos.signum() as i64
    }

    pub(crate) fn to_f64(self) -> f64 {
        self.nanos as f64 / NANOS as f64
    }

    pub(crate) fn to_i64(self) -> Option<i64> {
        i64::try_from(self.nanos / NANOS).ok().filter(|_| self.whole)
    }

    /// Parses a quantity.
    ///
    /// # Errors
    /// The fault of the text, in upstream's words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
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

impl From<i64> for Quantity {
    fn from(amount: i64) -> Self {
        Self { nanos: i128::from(amount) * NANOS, whole: true }
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

/// Parses a suffix: the power of ten or two that it multiplies by.
fn unit(suffix: &str) -> Result<(Base, i32), &'static str> {
    const TENS: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    const TWOS: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some((exponent, _)) = (-9..).step_by(3).zip(TENS).find(|(_, it)| *it == suffix) {
        return Ok((Base::Ten, exponent));
    }
    if let Some((exponent, _)) = (10..).step_by(10).zip(TWOS).find(|(_, it)| *it == suffix) {
        return Ok((Base::Two, exponent));
    }
    let digits = |it: &str| it.strip_prefix(['-', '+']).unwrap_or(it).bytes().all(|it| it.is_ascii_digit());
    let exponent = suffix.strip_prefix(['e', 'E']).filter(|it| digits(it));
    match exponent.and_then(|it| it.parse().ok()) {
        Some(exponent) => Ok((Base::Ten, exponent)),
        None if digits(suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c))) => Err(SUFFIX_WRONG),
        None => Err(FORMAT_WRONG),
    }
}

/// Computes billionths, rounded away from zero.
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
