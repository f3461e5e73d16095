//! Timestamps and durations.

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// A moment, and the offset from UTC that it was written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    pub(crate) instant: Timestamp,
    offset: Offset,
}

/// The first and last second that a timestamp may lie in: years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl Time {
    pub(crate) fn of_seconds(seconds: i64) -> Option<Self> {
        Self { instant: Timestamp::from_second(seconds).ok()?, offset: Offset::UTC }.within_range()
    }

    /// Parses RFC 3339, which asks for an offset.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The parser behind is more lenient than the format.
        let shape = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && !text.contains('[');
        if !shape {
            return None;
        }
        let pieces = jiff::fmt::temporal::DateTimeParser::new().parse_timestamp(text).ok()?;
        let offset = match text.strip_suffix('Z') {
            Some(_) => Offset::UTC,
            None => parse_offset(text.get(text.len().checked_sub(6)?..)?)?,
        };
        Self { instant: pieces, offset }.within_range()
    }

    fn within_range(self) -> Option<Self> {
        SECONDS.contains(&self.instant.as_second()).then_some(self)
    }

    pub(crate) fn plus(self, nanos: i64) -> Option<Self> {
        let instant = self.instant.checked_add(SignedDuration::from_nanos(nanos)).ok()?;
        Self { instant, offset: self.offset }.within_range()
    }

    /// Computes the nanoseconds since another moment.
    pub(crate) fn since(self, other: Self) -> Option<i64> {
        i64::try_from(self.instant.as_nanosecond() - other.instant.as_nanosecond()).ok()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset == Offset::UTC {
            write!(f, "{}", self.instant)
        } else {
            write!(f, "{}", self.instant.display_with_offset(self.offset))
        }
    }
}

/// Parses `UTC`, or hours and minutes. Names of places are refused: a minimal image has no database of them.
pub(crate) fn parse_zone(text: &str) -> Option<Offset> {
    match text {
        "" | "UTC" | "Z" => Some(Offset::UTC),
        signed if signed.starts_with(['+', '-']) => parse_offset(signed),
        unsigned => parse_offset(&format!("+{unsigned}")),
    }
}

fn parse_offset(text: &str) -> Option<Offset> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|it| it.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok().filter(|it| *it < 60)? * 60;
    match text.as_bytes().first()? {
        b'+' => Offset::from_seconds(seconds).ok(),
        b'-' => Offset::from_seconds(-seconds).ok(),
        _ => None,
    }
}

/// Formats a duration as seconds.
pub(crate) fn seconds(nanos: i64) -> String {
    let (sign, nanos) = if nanos < 0 { ("-", nanos.unsigned_abs()) } else { ("", nanos.unsigned_abs()) };
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if part == 0 {
        return format!("{sign}{whole}s");
    }
    let part = format!("{part:09}");
    format!("{sign}{whole}.{}s", part.trim_end_matches('0'))
}

/// Parses Go's notation: signed decimal numbers, each with a unit, like `1h30m` or `-1.5s`. Nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|end| *end > 0)?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(decimal(number, unit)?)?;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Multiplies a decimal number by a unit; fractions of nanoseconds are dropped.
fn decimal(number: &str, unit: i128) -> Option<i128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    let part = part.get(..part.len().min(18))?;
    let fraction: i128 = if part.is_empty() { 0 } else { part.parse::<u64>().ok()?.into() };
    let scale = 10_i128.pow(part.len() as u32);
    Some(whole * unit + fraction * unit / scale)
}
