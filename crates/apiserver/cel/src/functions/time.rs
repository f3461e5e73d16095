//! Timestamps and durations.

use crate::overload::{Error, Outcome, Overload, Value, fail, member};
use crate::types::time::parse_zone;
use jiff::civil::DateTime;
use jiff::tz::Offset;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

pub(super) const FUNCTIONS: &[Overload] = &[
    member("getFullYear", 1, |_, args| part(args, |it| it.year().into())).with_optional(),
    member("getMonth", 1, |_, args| part(args, |it| i64::from(it.month()) - 1)).with_optional(),
    member("getDate", 1, |_, args| part(args, |it| it.day().into())).with_optional(),
    member("getDayOfMonth", 1, |_, args| part(args, |it| i64::from(it.day()) - 1)).with_optional(),
    member("getDayOfWeek", 1, |_, args| part(args, |it| it.weekday().to_sunday_zero_offset().into())).with_optional(),
    member("getDayOfYear", 1, |_, args| part(args, |it| i64::from(it.day_of_year()) - 1)).with_optional(),
    member("getHours", 1, |_, args| part_or_total(args, |it| it.hour().into(), 3600 * NANOS_PER_SECOND)).with_optional(),
    member("getMinutes", 1, |_, args| part_or_total(args, |it| it.minute().into(), 60 * NANOS_PER_SECOND)).with_optional(),
    member("getSeconds", 1, |_, args| part_or_total(args, |it| it.second().into(), NANOS_PER_SECOND)).with_optional(),
    member("getMilliseconds", 1, |_, args| part_or_total(args, |it| it.millisecond().into(), 1_000_000)).with_optional(),
];

/// Returns a part of a timestamp, in UTC or another zone.
fn part<'a>(args: &[Value<'a>], part: fn(DateTime) -> i64) -> Outcome<'a> {
    let (time, offset) = match args {
        [Value::Timestamp(time)] => (time, Offset::UTC),
        [Value::Timestamp(time), Value::String(zone)] => match parse_zone(zone) {
            Some(offset) => (time, offset),
            None => return fail(format!("unknown time zone {}", &**zone)),
        },
        _ => return Err(Error::NoSuchOverload),
    };
    Ok(Value::Int(part(offset.to_datetime(time.instant))))
}

/// Returns a part of a timestamp, or a whole duration in that unit.
fn part_or_total<'a>(args: &[Value<'a>], of_time: fn(DateTime) -> i64, unit_nanos: i64) -> Outcome<'a> {
    match args {
        [Value::Duration(nanos)] => Ok(Value::Int(nanos / unit_nanos)),
        _ => part(args, of_time),
    }
}
