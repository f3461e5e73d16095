//! What tables show: columns, cells, and ages in the words of kubectl.

use serde_json::Value;
use vci_meta::{Column, Object};

/// The object's name, first in every table.
pub(crate) const NAME: Column =
    Column { name: "Name", r#type: "string", format: "name", description: "The name, unique in its namespace.", priority: 0 };

/// How long ago the object was created, last of the columns that are always shown.
pub(crate) const AGE: Column =
    Column { name: "Age", r#type: "date", format: "", description: "How long ago the object was created.", priority: 0 };

/// A column of text that is always shown.
pub(crate) const fn text(name: &'static str, description: &'static str) -> Column {
    Column { name, r#type: "string", format: "", description, priority: 0 }
}

/// A column of text that `-o wide` shows.
pub(crate) const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { priority: 1, ..text(name, description) }
}

/// A cell of text; one without any is null, which kubectl leaves blank.
pub(crate) fn cell(text: impl Into<String>) -> Value {
    match text.into() {
        text if text.is_empty() => Value::Null,
        text => Value::String(text),
    }
}

/// A cell with the user or the team that owns the object.
pub(crate) fn owner(object: &Object) -> Value {
    match object.str_at(&["spec", "owner", "user"]) {
        "" => cell(object.str_at(&["spec", "owner", "team"])),
        user => cell(user),
    }
}

/// The cell of [`AGE`]. `now` is in Unix seconds.
pub(crate) fn age(object: &Object, now: i64) -> Value {
    let created = object.meta_str("creationTimestamp").parse::<jiff::Timestamp>();
    Value::String(created.map_or_else(|_| "<unknown>".into(), |created| duration(now - created.as_second())))
}

/// A span of seconds with about two significant parts: the smaller unit is shown while the number of the greater
/// one is small. Clocks may differ by a second.
fn duration(seconds: i64) -> String {
    let (minutes, hours, days, years) = (seconds / 60, seconds / 3600, seconds / 86_400, seconds / (86_400 * 365));
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        _ if minutes < 2 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if hours < 3 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if days < 2 => format!("{hours}h"),
        _ if days < 8 => two(days, "d", hours % 24, "h"),
        _ if years < 2 => format!("{days}d"),
        _ if years < 8 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

fn two(greater: i64, unit: &str, smaller: i64, smaller_unit: &str) -> String {
    if smaller == 0 { format!("{greater}{unit}") } else { format!("{greater}{unit}{smaller}{smaller_unit}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_read_as_kubectl_prints_them() {
        const MINUTE: i64 = 60;
        const HOUR: i64 = 60 * MINUTE;
        const DAY: i64 = 24 * HOUR;
        let table = [
            (-100, "<invalid>"),
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (5, "5s"),
            (2 * MINUTE - 1, "119s"),
            (2 * MINUTE, "2m"),
            (2 * MINUTE + 1, "2m1s"),
            (10 * MINUTE - 1, "9m59s"),
            (10 * MINUTE, "10m"),
            (10 * MINUTE + 1, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + MINUTE, "3h1m"),
            (8 * HOUR - 1, "7h59m"),
            (8 * HOUR, "8h"),
            (2 * DAY - 1, "47h"),
            (2 * DAY, "2d"),
            (4 * DAY + 7 * HOUR, "4d7h"),
            (8 * DAY - 1, "7d23h"),
            (8 * DAY, "8d"),
            (2 * 365 * DAY - 1, "729d"),
            (2 * 365 * DAY, "2y"),
            (2 * 365 * DAY + DAY, "2y1d"),
            (8 * 365 * DAY - 1, "7y364d"),
            (8 * 365 * DAY, "8y"),
            (8 * 365 * DAY + 364 * DAY, "8y"),
            (9 * 365 * DAY, "9y"),
        ];
        for (seconds, want) in table {
            assert_eq!(duration(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn the_age_of_an_object_is_that_of_its_creation() {
        let created = |time: Value| Object::from_value(json!({"metadata": {"creationTimestamp": time}})).unwrap();
        assert_eq!(age(&created(json!("2026-01-01T00:00:00Z")), 1_767_225_605), json!("5s"));
        assert_eq!(age(&created(json!(null)), 0), json!("<unknown>"));
        assert_eq!(age(&Object::default(), 0), json!("<unknown>"));
    }
}
