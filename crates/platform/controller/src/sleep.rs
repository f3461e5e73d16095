//! Sleep, wake-up and deletion by time: what is to be done about an instance now, and when to look again.
//!
//! A pure state machine. It knows what the annotations of the instance say (settings by users, and what it noted itself), the
//! settings in the values of the virtual cluster, the phase, and the time. Whether a virtual cluster sleeps is what
//! `sleeping-since` says; the caller makes the host cluster agree with it, each time it looks, so that it may be killed between any
//! two steps.
//!
//! - An annotation wins over the same setting in the values. One that cannot be read is told of and passed over.
//! - Force comes first: it puts to sleep, and what it put to sleep wakes as it says: by activity, after some seconds, or when
//!   `force` is taken away.
//! - A schedule puts to sleep at its times, whoever uses the virtual cluster then; the next time is noted in `scheduled-sleep`, so
//!   that a request in the same second cannot make it missed. What came due while nobody looked is made up for when nobody has used
//!   the virtual cluster since.
//! - Whatever sleeps and is not forced to wakes by activity and by the schedule of wake-ups.
//! - Of a sleep and a wake-up at the same time, the wake-up counts.
//! - With the scope `workloads-only` the virtual cluster puts its workloads to sleep by itself, and only deletion happens here.
//!
//! Refused: reading a clock, and every write.

use crate::template::settings::PlatformSettings;
use jiff::Timestamp;
use std::collections::BTreeMap;
use vci_management::sleep as names;

mod config;
mod epochs;
pub mod schedule;

#[cfg(test)]
mod tests;

use config::{Config, Force};

/// How late a scheduled sleep may come and still disregard that somebody uses the virtual cluster.
const LATE: i64 = 3600;
/// The shortest time until the next look, in seconds: whatever settings say, nothing turns hot.
const SOONEST: i64 = 5;

/// What is known of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The annotations of the instance.
    pub annotations: &'a BTreeMap<String, String>,
    /// The settings in its values.
    pub settings: &'a PlatformSettings,
    /// `status.phase`.
    pub phase: &'a str,
    /// When the instance was created.
    pub created: Timestamp,
    /// The present time.
    pub now: Timestamp,
}

/// Why a virtual cluster sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SleepType {
    /// Nobody used it.
    Inactivity,
    /// Somebody wanted it, until it is used.
    Forced,
    /// Somebody wanted it for a time, or until they say otherwise.
    ForcedDuration,
    /// Its schedule says so.
    Scheduled,
}

impl SleepType {
    const ALL: [Self; 4] = [Self::Inactivity, Self::Forced, Self::ForcedDuration, Self::Scheduled];

    /// The word in the annotation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactivity => names::TYPE_INACTIVITY,
            Self::Forced => names::TYPE_FORCED,
            Self::ForcedDuration => names::TYPE_FORCED_DURATION,
            Self::Scheduled => names::TYPE_SCHEDULED,
        }
    }

    /// What is not known wakes as what slept for want of use.
    fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).unwrap_or(Self::Inactivity)
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It runs, and is to run on.
    StayAwake,
    /// It runs, and is to be put to sleep.
    FallAsleep(SleepType),
    /// It sleeps, and is to sleep on.
    StayAsleep(SleepType),
    /// It sleeps, and is to be woken.
    WakeUp,
    /// It is to be deleted.
    Delete,
}

/// A decision, and what comes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done.
    pub decision: Decision,
    /// Whether a request may wake it, where it sleeps.
    pub wakes_on_activity: bool,
    /// When the decision can become another one by itself; always in the future. `None`: never.
    pub look_again: Option<Timestamp>,
    /// Annotations to write to the instance; `None`: to remove. Only those that change.
    pub annotations: BTreeMap<&'static str, Option<String>>,
    /// It would be deleted by now, if it were not protected.
    pub deletion_blocked: bool,
    /// Settings that cannot be followed, for people.
    pub problems: Vec<String>,
}

/// Decides.
pub fn plan(input: &Input<'_>) -> Plan {
    let config = Config::read(input.annotations, input.settings);
    let state = State::read(input, &config);
    let (decision, mut next) = state.decide();
    let deletion_blocked = config.is_protected && state.is_deletion_due();
    if decision == Decision::Delete {
        next.clear();
    }
    let look_again = next.into_iter().filter(|time| *time > state.now).min().map(|time| time.max(state.now.saturating_add(SOONEST)));
    Plan {
        decision,
        wakes_on_activity: matches!(decision, Decision::FallAsleep(_) | Decision::StayAsleep(_)) && !state.is_held(),
        look_again: look_again.and_then(|time| Timestamp::from_second(time).ok()),
        annotations: state.notes(decision),
        deletion_blocked,
        problems: config.problems.clone(),
    }
}

/// Everything in Unix seconds.
struct State<'a> {
    input: &'a Input<'a>,
    config: &'a Config,
    now: i64,
    created: i64,
    /// The last use; its creation, when there was none. Never in the future.
    active: i64,
    sleeping: Option<(i64, SleepType)>,
    /// When the schedule puts it to sleep, as noted while it was awake; or else the next time.
    due: Option<i64>,
}

impl<'a> State<'a> {
    fn read(input: &'a Input<'a>, config: &'a Config) -> Self {
        let now = input.now.as_second();
        let seconds = |name: &str| input.annotations.get(name).and_then(|text| text.parse::<i64>().ok()).filter(|seconds| *seconds > 0);
        let created = input.created.as_second().min(now);
        let active = seconds(names::LAST_ACTIVITY).unwrap_or(created).clamp(created, now);
        let kind = input.annotations.get(names::SLEEP_TYPE).map_or("", String::as_str);
        let sleeping = seconds(names::SLEEPING_SINCE).map(|since| (since, SleepType::parse(kind)));
        let mut state = Self { input, config, now, created, active, sleeping, due: None };
        let noted = seconds(names::SCHEDULED_SLEEP).filter(|noted| state.next_sleep(noted - 1) == Some(*noted));
        state.due = noted.or_else(|| state.next_sleep(now));
        state
    }

    fn next_sleep(&self, after: i64) -> Option<i64> {
        let schedule = self.config.sleep_schedule.as_ref()?;
        Some(schedule.after(Timestamp::from_second(after).ok()?)?.as_second())
    }

    fn next_wakeup(&self) -> Option<i64> {
        Some(self.config.wakeup_schedule.as_ref()?.after(Timestamp::from_second(self.now).ok()?)?.as_second())
    }

    fn last_wakeup(&self) -> Option<i64> {
        Some(self.config.wakeup_schedule.as_ref()?.latest(Timestamp::from_second(self.now).ok()?)?.as_second())
    }

    fn last_sleep(&self) -> Option<i64> {
        Some(self.config.sleep_schedule.as_ref()?.latest(Timestamp::from_second(self.now).ok()?)?.as_second())
    }

    /// When it is deleted for want of use.
    fn deletion(&self) -> Option<i64> {
        (self.config.delete_after > 0).then(|| self.active.saturating_add(self.config.delete_after))
    }

    fn is_deletion_due(&self) -> bool {
        self.deletion().is_some_and(|time| time <= self.now)
    }

    /// Whether it sleeps, or is to, whatever is asked of it.
    fn is_held(&self) -> bool {
        matches!(self.config.force, Some(Force::For(_) | Force::UntilTakenBack))
    }

    /// What is to be done, and when that may change.
    fn decide(&self) -> (Decision, Vec<i64>) {
        let mut next: Vec<_> = self.deletion().filter(|_| !self.config.is_protected).into_iter().collect();
        if self.is_deletion_due() && !self.config.is_protected {
            return (Decision::Delete, next);
        }
        let decision = match self.sleeping {
            None if self.config.only_workloads => Decision::StayAwake,
            Some(_) if self.config.only_workloads => Decision::WakeUp,
            None => self.awake(&mut next),
            Some((since, kind)) => self.asleep(since, kind, &mut next),
        };
        (decision, next)
    }

    fn awake(&self, next: &mut Vec<i64>) -> Decision {
        if let Some(force) = self.config.force {
            if let Force::For(seconds) = force {
                next.push(self.now.saturating_add(seconds));
            }
            return Decision::FallAsleep(force.sleep_type());
        }
        if let Some(due) = self.due {
            if due <= self.now && self.is_wanted_late(due) {
                next.extend(self.next_wakeup());
                return Decision::FallAsleep(SleepType::Scheduled);
            }
            next.extend(if due > self.now { Some(due) } else { self.next_sleep(self.now) });
        }
        // What is not up yet is not unused.
        let is_coming_up = matches!(self.input.phase, "" | "Pending");
        if self.config.sleep_after > 0 {
            let idle = self.active.saturating_add(self.config.sleep_after);
            if idle <= self.now && !is_coming_up {
                next.extend(self.next_wakeup());
                return Decision::FallAsleep(SleepType::Inactivity);
            }
            next.push(if is_coming_up { idle.max(self.now.saturating_add(self.config.sleep_after)) } else { idle });
        }
        Decision::StayAwake
    }

    /// Whether a sleep that was due is still to come.
    fn is_wanted_late(&self, due: i64) -> bool {
        let is_over = self.last_wakeup().is_some_and(|wakeup| wakeup >= due);
        !is_over && (self.now - due <= LATE || self.active < due)
    }

    fn asleep(&self, since: i64, kind: SleepType, next: &mut Vec<i64>) -> Decision {
        // Whoever wakes it writes a time that is not before, whatever the clocks say.
        let is_used = self.last_activity().is_some_and(|last| last >= since);
        let is_forced_type = matches!(kind, SleepType::Forced | SleepType::ForcedDuration);
        match self.config.force {
            Some(Force::UntilTakenBack) => return Decision::StayAsleep(SleepType::ForcedDuration),
            Some(Force::For(seconds)) => {
                let end = self.forced_since(since, kind).saturating_add(seconds);
                next.push(end);
                return if end <= self.now { Decision::WakeUp } else { Decision::StayAsleep(SleepType::ForcedDuration) };
            }
            Some(Force::UntilActivity) => return if is_used { Decision::WakeUp } else { Decision::StayAsleep(SleepType::Forced) },
            // Somebody took it back.
            None if is_forced_type => return Decision::WakeUp,
            None => {}
        }
        let wakeup = self.last_wakeup().filter(|wakeup| *wakeup > since && self.last_sleep().is_none_or(|sleep| *wakeup >= sleep));
        if is_used || wakeup.is_some() {
            return Decision::WakeUp;
        }
        next.extend(self.next_wakeup());
        Decision::StayAsleep(kind)
    }

    /// Since when a time of force counts: from now, when it already slept for another cause.
    fn forced_since(&self, since: i64, kind: SleepType) -> i64 {
        if kind == SleepType::ForcedDuration { since } else { self.now }
    }

    /// The annotations to write.
    fn notes(&self, decision: Decision) -> BTreeMap<&'static str, Option<String>> {
        let mut notes = BTreeMap::new();
        match decision {
            Decision::Delete => return notes,
            Decision::StayAwake => {}
            Decision::FallAsleep(kind) => {
                notes.insert(names::SLEEPING_SINCE, Some(self.now.to_string()));
                notes.insert(names::SLEEP_TYPE, Some(kind.as_str().to_owned()));
                // Use of the very second in which it fell asleep must not wake it.
                if self.last_activity().is_some_and(|last| last >= self.now) {
                    notes.insert(names::LAST_ACTIVITY, Some((self.now - 1).to_string()));
                }
                epochs::begin(self.input.annotations, self.created, &mut notes);
            }
            Decision::StayAsleep(kind) => {
                notes.insert(names::SLEEP_TYPE, Some(kind.as_str().to_owned()));
                if let Some((since, old)) = self.sleeping
                    && kind == SleepType::ForcedDuration
                {
                    notes.insert(names::SLEEPING_SINCE, Some(self.forced_since(since, old).to_string()));
                }
            }
            Decision::WakeUp => {
                for name in [names::SLEEPING_SINCE, names::SLEEP_TYPE, names::FORCE, names::FORCE_DURATION] {
                    notes.insert(name, None);
                }
                // From now on it counts how long it is unused.
                if self.last_activity().is_none_or(|last| last < self.now) {
                    notes.insert(names::LAST_ACTIVITY, Some(self.now.to_string()));
                }
                if let Some((since, _)) = self.sleeping {
                    epochs::count(self.input.annotations, self.created, since, self.now, &mut notes);
                }
            }
        }
        let scheduled = |time: Option<i64>| time.map(|time| time.to_string());
        notes.insert(names::SCHEDULED_SLEEP, scheduled(self.due.filter(|due| *due > self.now).or_else(|| self.next_sleep(self.now))));
        notes.insert(names::SCHEDULED_WAKEUP, scheduled(self.next_wakeup()));
        notes.retain(|name, value| self.input.annotations.get(*name) != value.as_ref());
        notes
    }

    /// As it is written.
    fn last_activity(&self) -> Option<i64> {
        self.input.annotations.get(names::LAST_ACTIVITY)?.parse().ok()
    }
}
