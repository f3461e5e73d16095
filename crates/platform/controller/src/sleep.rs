//! Sleep, wake-up and deletion by time.

pub mod schedule;
