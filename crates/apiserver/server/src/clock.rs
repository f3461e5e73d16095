//! The time of day.

/// Now, in Unix seconds.
pub(crate) fn unix_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}
