//! The settings of sleep mode: those of annotations before those of values.

use super::schedule::{Schedule, zone};
use super::{SleepType, names};
use crate::names::NON_DELETABLE;
use crate::template::settings::PlatformSettings;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// How a virtual cluster is forced to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    /// Until somebody uses it.
    UntilActivity,
    /// For so many seconds.
    For(i64),
    /// Until the annotation is taken away.
    UntilTakenBack,
}

impl Force {
    pub(super) fn sleep_type(self) -> SleepType {
        match self {
            Self::UntilActivity => SleepType::Forced,
            Self::For(_) | Self::UntilTakenBack => SleepType::ForcedDuration,
        }
    }
}

/// Settings that can be followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    pub(super) force: Option<Force>,
    /// Seconds; 0: never.
    pub(super) sleep_after: i64,
    /// Seconds; 0: never.
    pub(super) delete_after: i64,
    pub(super) sleep_schedule: Option<Schedule>,
    pub(super) wakeup_schedule: Option<Schedule>,
    pub(super) only_workloads: bool,
    pub(super) is_protected: bool,
    pub(super) problems: Vec<String>,
}

impl Config {
    pub(super) fn read(annotations: &BTreeMap<String, String>, settings: &PlatformSettings) -> Self {
        let mut reader = Reader { annotations, problems: Vec::new() };
        let zone = reader.zone(&settings.timezone);
        let force = reader.force();
        let sleep_after = reader.seconds(names::SLEEP_AFTER).unwrap_or(settings.sleep_after);
        let delete_after = reader.seconds(names::DELETE_AFTER).unwrap_or(settings.delete_after);
        let sleep_schedule = reader.schedule(names::SLEEP_SCHEDULE, &settings.sleep_schedule, zone.as_ref());
        let wakeup_schedule = reader.schedule(names::WAKEUP_SCHEDULE, &settings.wakeup_schedule, zone.as_ref());
        // Then the virtual cluster itself follows the schedules.
        let only_workloads = reader.get(names::SCOPE) == Some("workloads-only");
        let (sleep_schedule, wakeup_schedule) = if only_workloads { (None, None) } else { (sleep_schedule, wakeup_schedule) };
        let is_protected = settings.prevent_deletion || reader.get(NON_DELETABLE) == Some("true");
        Self { force, sleep_after, delete_after, sleep_schedule, wakeup_schedule, only_workloads, is_protected, problems: reader.problems }
    }
}

struct Reader<'a> {
    annotations: &'a BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// An annotation; one that is empty says nothing.
    fn get(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn refuse(&mut self, name: &str, message: &str) {
        let shown: String = self.get(name).unwrap_or_default().chars().take(60).collect();
        self.problems.push(format!("annotation {name}: {shown:?} {message}"));
    }

    fn seconds(&mut self, name: &str) -> Option<i64> {
        let seconds = self.get(name)?.parse().ok().filter(|seconds: &i64| *seconds >= 0);
        if seconds.is_none() {
            self.refuse(name, "must be a number of seconds");
        }
        seconds
    }

    fn force(&mut self) -> Option<Force> {
        let duration = self.seconds(names::FORCE_DURATION);
        let is_forced = self.get(names::FORCE) == Some("true");
        is_forced.then_some(match duration {
            None => Force::UntilActivity,
            Some(0) => Force::UntilTakenBack,
            Some(seconds) => Force::For(seconds),
        })
    }

    /// `None` when it is wrong: a schedule in another zone than the one that is meant would do harm.
    fn zone(&mut self, standard: &str) -> Option<TimeZone> {
        let given = self.get(names::TIMEZONE).map(zone);
        match given {
            Some(Ok(zone)) => Some(zone),
            Some(Err(_)) => {
                self.refuse(names::TIMEZONE, "is no time zone, such as Europe/Berlin");
                None
            }
            None => zone(standard).map_err(|message| self.problems.push(format!("sleep.auto.timezone: {message}"))).ok(),
        }
    }

    fn schedule(&mut self, name: &str, standard: &str, zone: Option<&TimeZone>) -> Option<Schedule> {
        let text = self.get(name).unwrap_or(standard.trim()).to_owned();
        if text.is_empty() {
            return None;
        }
        match Schedule::parse(&text, zone?) {
            Ok(schedule) => Some(schedule),
            Err(message) if self.get(name).is_some() => {
                self.refuse(name, &message);
                None
            }
            Err(message) => {
                self.problems.push(format!("sleep.auto: {message}"));
                None
            }
        }
    }
}
