#![allow(clippy::unwrap_used)]
use super::schedule::Schedule;
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A Wednesday, 12:00 in UTC.
const NOON: i64 = 1_767_787_200;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn when(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

/// An instance whose annotations are written back as a caller would.
#[derive(Clone)]
struct World {
    annotations: BTreeMap<String, String>,
    settings: PlatformSettings,
    phase: &'static str,
    created: i64,
    now: i64,
}

impl World {
    /// Names are without their prefix; values are texts or numbers. Created a day before noon.
    fn new(annotations: &Value) -> Self {
        let mut world =
            Self { annotations: BTreeMap::new(), settings: PlatformSettings::default(), phase: "Ready", created: NOON - DAY, now: NOON };
        world.annotate(annotations);
        world
    }

    fn annotate(&mut self, annotations: &Value) {
        for (name, value) in annotations.as_object().unwrap() {
            let name = if name.contains('/') { name.clone() } else { format!("{}{name}", names::PREFIX) };
            match value {
                Value::Null => drop(self.annotations.remove(&name)),
                Value::String(text) => drop(self.annotations.insert(name, text.clone())),
                other => drop(self.annotations.insert(name, other.to_string())),
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.annotations.get(&format!("{}{name}", names::PREFIX)).map(String::as_str)
    }

    fn plan(&self) -> Plan {
        let Self { annotations, settings, phase, created, now } = self;
        plan(&Input { annotations, settings, phase, created: at(*created), now: at(*now) })
    }

    /// Follows a plan.
    fn step(&mut self) -> Plan {
        let plan = self.plan();
        for (name, value) in &plan.annotations {
            match value {
                Some(value) => drop(self.annotations.insert((*name).to_owned(), value.clone())),
                None => drop(self.annotations.remove(*name)),
            }
        }
        plan
    }

    fn decide_at(&mut self, now: i64) -> Decision {
        self.now = now;
        self.step().decision
    }
}

use Decision::{Delete, FallAsleep, StayAsleep, StayAwake, WakeUp};
use SleepType::{Forced, ForcedDuration, Inactivity, Scheduled};

#[test]
fn each_state_has_its_decision() {
    let asleep = |kind: &str, since: i64, more: Value| {
        let mut all = json!({"sleeping-since": since, "sleep-type": kind, "last-activity": since - 1});
        all.as_object_mut().unwrap().append(more.clone().as_object_mut().unwrap());
        all
    };
    let hour_ago = NOON - HOUR;
    let table: Vec<(&str, Value, Decision, Option<i64>)> = vec![
        ("nothing is said", json!({}), StayAwake, None),
        // Force.
        ("forced", json!({"force": "true"}), FallAsleep(Forced), None),
        ("forced for a time", json!({"force": "true", "force-duration": 600}), FallAsleep(ForcedDuration), Some(NOON + 600)),
        ("forced until taken back", json!({"force": "true", "force-duration": 0}), FallAsleep(ForcedDuration), None),
        ("force is not true", json!({"force": "false"}), StayAwake, None),
        ("a duration alone", json!({"force-duration": 600}), StayAwake, None),
        ("a bad duration", json!({"force": "true", "force-duration": "-1"}), FallAsleep(Forced), None),
        ("sleeps by force", asleep("forcedSleep", hour_ago, json!({"force": "true"})), StayAsleep(Forced), None),
        ("used", asleep("forcedSleep", hour_ago, json!({"force": "true", "last-activity": hour_ago})), WakeUp, None),
        ("used by a clock ahead", asleep("forcedSleep", hour_ago, json!({"force": "true", "last-activity": NOON + 99})), WakeUp, None),
        ("taken back", asleep("forcedSleep", hour_ago, json!({})), WakeUp, None),
        (
            "held",
            asleep("forcedDurationSleep", hour_ago, json!({"force": "true", "force-duration": 0, "last-activity": NOON})),
            StayAsleep(ForcedDuration),
            None,
        ),
        ("held, taken back", asleep("forcedDurationSleep", hour_ago, json!({"force-duration": 0})), WakeUp, None),
        (
            "for a time, used",
            asleep("forcedDurationSleep", hour_ago, json!({"force": "true", "force-duration": 2 * HOUR, "last-activity": NOON})),
            StayAsleep(ForcedDuration),
            Some(NOON + HOUR),
        ),
        ("the time is over", asleep("forcedDurationSleep", hour_ago, json!({"force": "true", "force-duration": HOUR})), WakeUp, None),
        (
            "a second is left",
            asleep("forcedDurationSleep", hour_ago, json!({"force": "true", "force-duration": HOUR + 1})),
            StayAsleep(ForcedDuration),
            Some(NOON + SOONEST),
        ),
        (
            "forced while it sleeps",
            asleep("inactivitySleep", hour_ago, json!({"force": "true", "force-duration": 600})),
            StayAsleep(ForcedDuration),
            Some(NOON + 600),
        ),
        (
            "no schedule wakes",
            asleep("forcedSleep", hour_ago, json!({"force": "true", "wakeup-schedule": "30 11 * * *"})),
            StayAsleep(Forced),
            None,
        ),
        // Want of use.
        ("just used", json!({"sleep-after": 600, "last-activity": NOON - 599}), StayAwake, Some(NOON + SOONEST)),
        ("in use", json!({"sleep-after": 600, "last-activity": NOON - 60}), StayAwake, Some(NOON + 540)),
        ("unused", json!({"sleep-after": 600, "last-activity": NOON - 600}), FallAsleep(Inactivity), None),
        ("never used", json!({"sleep-after": 600}), FallAsleep(Inactivity), None),
        ("never used, new", json!({"sleep-after": 2 * DAY}), StayAwake, Some(NOON + DAY)),
        ("used in the future", json!({"sleep-after": 600, "last-activity": NOON + DAY}), StayAwake, Some(NOON + 600)),
        ("no number", json!({"sleep-after": "soon"}), StayAwake, None),
        ("never", json!({"sleep-after": 0}), StayAwake, None),
        ("sleeps unused", asleep("inactivitySleep", hour_ago, json!({"sleep-after": 600})), StayAsleep(Inactivity), None),
        ("used again", asleep("inactivitySleep", hour_ago, json!({"last-activity": hour_ago + 1})), WakeUp, None),
        ("sleeps for an unknown cause", asleep("hibernation", hour_ago, json!({})), StayAsleep(Inactivity), None),
        ("woken by schedule", asleep("inactivitySleep", hour_ago, json!({"wakeup-schedule": "30 11 * * *"})), WakeUp, None),
        (
            "woken later",
            asleep("inactivitySleep", hour_ago, json!({"wakeup-schedule": "0 13 * * *"})),
            StayAsleep(Inactivity),
            Some(NOON + HOUR),
        ),
        // Deletion.
        ("unused for long", json!({"delete-after": HOUR, "last-activity": hour_ago}), Delete, None),
        (
            "unused for long, asleep",
            asleep("forcedDurationSleep", hour_ago, json!({"force": "true", "force-duration": 0, "delete-after": HOUR})),
            Delete,
            None,
        ),
        ("deleted later", json!({"delete-after": 2 * HOUR, "last-activity": hour_ago}), StayAwake, Some(NOON + HOUR)),
        ("not deletable", json!({"delete-after": HOUR, "loft.sh/non-deletable": "true"}), StayAwake, None),
        // Only its workloads.
        (
            "workloads only",
            json!({"scope": "workloads-only", "force": "true", "sleep-after": 1, "sleep-schedule": "* * * * *"}),
            StayAwake,
            None,
        ),
        ("workloads only, asleep", asleep("forcedSleep", hour_ago, json!({"scope": "workloads-only", "force": "true"})), WakeUp, None),
        ("workloads only, deleted", json!({"scope": "workloads-only", "delete-after": 1}), Delete, None),
        // Nonsense.
        ("slept since never", json!({"sleeping-since": "yesterday"}), StayAwake, None),
        ("slept since zero", json!({"sleeping-since": 0}), StayAwake, None),
    ];
    for (name, annotations, decision, look_again) in table {
        let plan = World::new(&annotations).plan();
        assert_eq!((plan.decision, plan.look_again.map(Timestamp::as_second)), (decision, look_again), "{name}");
    }
}

#[test]
fn what_was_decided_is_noted_and_then_stays_so() {
    let mut world = World::new(&json!({"force": "true"}));
    assert_eq!(world.decide_at(NOON), FallAsleep(Forced));
    assert_eq!((world.get("sleeping-since"), world.get("sleep-type")), (Some(NOON.to_string().as_str()), Some("forcedSleep")));
    // Looking again changes nothing.
    for later in [NOON, NOON + 1, NOON + DAY] {
        assert_eq!(world.decide_at(later), StayAsleep(Forced));
        assert_eq!(world.plan().annotations, BTreeMap::new());
    }
    // As the command line wakes it.
    world.annotate(&json!({"force": null, "force-duration": null, "last-activity": NOON + DAY}));
    assert_eq!(world.decide_at(NOON + DAY), WakeUp);
    for name in ["sleeping-since", "sleep-type", "force", "force-duration"] {
        assert_eq!(world.get(name), None, "{name}");
    }
    assert_eq!(
        (world.get("current-epoch-start"), world.get("current-epoch-slept")),
        (Some((NOON - DAY).to_string().as_str()), Some("86400"))
    );
    assert_eq!(world.decide_at(NOON + DAY), StayAwake);
    assert_eq!(world.plan().annotations, BTreeMap::new());
}

#[test]
fn a_time_of_force_ends_and_leaves_nothing_that_forces_again() {
    let mut world = World::new(&json!({"force": "true", "force-duration": 600, "sleep-after": HOUR}));
    assert_eq!(world.decide_at(NOON), FallAsleep(ForcedDuration));
    assert_eq!(world.decide_at(NOON + 599), StayAsleep(ForcedDuration));
    assert_eq!(world.decide_at(NOON + 600), WakeUp);
    // It was not used for a day, but has just been woken.
    assert_eq!(world.decide_at(NOON + 600), StayAwake);
    assert_eq!(world.decide_at(NOON + 600 + HOUR), FallAsleep(Inactivity));

    // Forced while it sleeps already: the time counts from now.
    let mut world =
        World::new(&json!({"sleeping-since": NOON - DAY / 2, "sleep-type": "inactivitySleep", "force": "true", "force-duration": 600}));
    assert_eq!(world.decide_at(NOON), StayAsleep(ForcedDuration));
    assert_eq!(world.decide_at(NOON + 599), StayAsleep(ForcedDuration));
    assert_eq!(world.decide_at(NOON + 600), WakeUp);
}

#[test]
fn use_in_the_second_of_falling_asleep_does_not_wake() {
    for last in [NOON, NOON + 5, NOON + 100 * DAY] {
        let mut world = World::new(&json!({"force": "true", "last-activity": last}));
        assert_eq!(world.decide_at(NOON), FallAsleep(Forced));
        assert_eq!(world.decide_at(NOON + 1), StayAsleep(Forced), "{last}");
        world.annotate(&json!({"last-activity": NOON}));
        assert_eq!(world.decide_at(NOON + 1), WakeUp);
    }
}

#[test]
fn a_schedule_puts_to_sleep_and_wakes() {
    let mut world = World::new(&json!({"sleep-schedule": "0 20 * * *", "wakeup-schedule": "0 7 * * 1-5"}));
    let evening = NOON + 8 * HOUR;
    let plan = world.step();
    assert_eq!((plan.decision, plan.look_again), (StayAwake, Some(at(evening))));
    let time = |seconds: i64| seconds.to_string();
    assert_eq!(world.get("scheduled-sleep"), Some(time(evening).as_str()));
    assert_eq!(world.get("scheduled-wakeup"), Some(time(NOON + 19 * HOUR).as_str()));
    // In use, to the second.
    world.annotate(&json!({"last-activity": evening}));
    assert_eq!(world.decide_at(evening), FallAsleep(Scheduled));
    assert_eq!(world.get("scheduled-sleep"), Some(time(evening + DAY).as_str()));
    assert_eq!(world.decide_at(evening + 1), StayAsleep(Scheduled));
    // Used in the night: awake for the rest of it.
    world.annotate(&json!({"last-activity": evening + HOUR}));
    assert_eq!(world.decide_at(evening + HOUR), WakeUp);
    assert_eq!(world.decide_at(evening + HOUR), StayAwake);
    assert_eq!(world.decide_at(evening + 10 * HOUR), StayAwake);
    // The next evening, Thursday.
    assert_eq!(world.decide_at(evening + DAY), FallAsleep(Scheduled));
    let plan = world.plan();
    assert_eq!((plan.decision, plan.look_again), (StayAsleep(Scheduled), Some(at(evening + DAY + 11 * HOUR))));
    assert!(plan.wakes_on_activity);
    assert_eq!(world.decide_at(evening + DAY + 11 * HOUR), WakeUp);
    // Friday evening: asleep until Monday.
    assert_eq!(world.decide_at(evening + 2 * DAY), FallAsleep(Scheduled));
    assert_eq!(world.decide_at(evening + 4 * DAY), StayAsleep(Scheduled));
    assert_eq!(world.decide_at(evening + 4 * DAY + 11 * HOUR), WakeUp);
}

#[test]
fn what_came_due_while_nobody_looked_is_made_up_for_unless_it_is_over() {
    let evening = NOON + 8 * HOUR;
    let world = |more: Value| {
        let mut world = World::new(&json!({"sleep-schedule": "0 20 * * *", "wakeup-schedule": "0 7 * * *"}));
        world.step();
        world.annotate(&more);
        world
    };
    // A little late.
    assert_eq!(world(json!({"last-activity": evening + 60})).decide_at(evening + 120), FallAsleep(Scheduled));
    // Very late: not who uses it.
    assert_eq!(world(json!({"last-activity": evening + 3 * HOUR})).decide_at(evening + 4 * HOUR), StayAwake);
    assert_eq!(world(json!({"last-activity": NOON})).decide_at(evening + 4 * HOUR), FallAsleep(Scheduled));
    // Over.
    assert_eq!(world(json!({})).decide_at(evening + 11 * HOUR), StayAwake);
    assert_eq!(world(json!({})).decide_at(evening + 12 * HOUR), StayAwake);
    // Slept through a wake-up and into the next night.
    let mut late = world(json!({}));
    assert_eq!(late.decide_at(evening), FallAsleep(Scheduled));
    assert_eq!(late.decide_at(evening + DAY + HOUR), StayAsleep(Scheduled));
    assert_eq!(late.decide_at(evening + DAY + 11 * HOUR), WakeUp);
    // Made in the evening: not of the same day.
    let mut new = World::new(&json!({"sleep-schedule": "0 20 * * *"}));
    new.created = evening + HOUR;
    assert_eq!(new.decide_at(evening + 2 * HOUR), StayAwake);
    assert_eq!(new.decide_at(evening + DAY), FallAsleep(Scheduled));
    // A note that is no time of the schedule, because the schedule was changed or somebody wrote it.
    let mut other = World::new(&json!({"sleep-schedule": "0 20 * * *", "scheduled-sleep": NOON - 1}));
    assert_eq!(other.decide_at(NOON), StayAwake);
    assert_eq!(other.get("scheduled-sleep"), Some(evening.to_string().as_str()));
}

#[test]
fn schedules_that_overlap_come_to_rest_awake() {
    let mut world = World::new(&json!({"sleep-schedule": "0 * * * *", "wakeup-schedule": "0 * * * *"}));
    world.step();
    let sleeps = (0..48).filter(|hour| matches!(world.decide_at(NOON + hour * HOUR + 1), FallAsleep(_))).count();
    assert_eq!(sleeps, 0);
    let mut asleep = World::new(
        &json!({"sleep-schedule": "0 * * * *", "wakeup-schedule": "0 * * * *", "sleeping-since": NOON - 600, "sleep-type": "scheduledSleep"}),
    );
    assert_eq!(asleep.decide_at(NOON + 1), WakeUp);
    // Every minute: at most one change a look, and looks are apart.
    let mut busy = World::new(&json!({"sleep-schedule": "* * * * *", "last-activity": NOON}));
    let plan = busy.step();
    assert!(plan.look_again.unwrap() >= at(NOON + SOONEST));
    assert_eq!(busy.decide_at(NOON + 60), FallAsleep(Scheduled));
}

#[test]
fn schedules_go_by_wall_time() {
    let berlin = |schedule: &str| Schedule::parse(schedule, &schedule::zone("Europe/Berlin").unwrap()).unwrap();
    let table = [
        // Before, on, and behind the change of clocks in spring and in autumn.
        ("0 20 * * *", "2026-03-28T12:00:00Z", "2026-03-28T19:00:00Z"),
        ("0 20 * * *", "2026-03-28T20:00:00Z", "2026-03-29T18:00:00Z"),
        ("0 20 * * *", "2026-10-24T20:00:00Z", "2026-10-25T19:00:00Z"),
        // A time that is skipped comes right after.
        ("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"),
        // A time that comes twice comes once.
        ("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("0 8 29 2 *", "2026-03-01T00:00:00Z", "2028-02-29T07:00:00Z"),
        ("@daily", "2026-06-01T12:00:00Z", "2026-06-01T22:00:00Z"),
        ("TZ=Asia/Tokyo 0 20 * * *", "2026-06-01T12:00:00Z", "2026-06-01T18:00:00Z"),
        ("0 8 1 * MON", "2026-06-01T12:00:00Z", "2026-06-08T06:00:00Z"),
    ];
    for (schedule, after, want) in table {
        assert_eq!(berlin(schedule).after(at(when(after))), Some(at(when(want))), "{schedule} after {after}");
    }
    assert_eq!(berlin("0 20 * * *").latest(at(when("2026-06-01T18:00:00Z"))), Some(at(when("2026-06-01T18:00:00Z"))));

    // A night over a change of clocks.
    let mut world = World::new(&json!({"sleep-schedule": "0 20 * * *", "wakeup-schedule": "0 7 * * *", "timezone": "Europe/Berlin"}));
    world.created = when("2026-03-01T00:00:00Z");
    assert_eq!(world.decide_at(when("2026-03-28T12:00:00Z")), StayAwake);
    assert_eq!(world.decide_at(when("2026-03-28T19:00:00Z")), FallAsleep(Scheduled));
    assert_eq!(world.decide_at(when("2026-03-29T04:59:59Z")), StayAsleep(Scheduled));
    assert_eq!(world.decide_at(when("2026-03-29T05:00:00Z")), WakeUp);
    assert_eq!(world.get("scheduled-sleep"), Some(when("2026-03-29T18:00:00Z").to_string().as_str()));
}

#[test]
fn schedules_that_never_happen_or_are_of_another_kind_are_refused() {
    for bad in [
        "0 8 30 2 *",
        "0 8 31 2,4,6,9,11 *",
        "0 8 30 FEB ?",
        "0 8 30 2 */2",
        "0 8 L * *",
        "0 8 15W * *",
        "0 8 * * 5#2",
        "0 8 * * 5L",
        "0 8 1 * +MON",
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "@every 5m",
        "@nightly",
        "a b c d e",
        &"1,".repeat(500),
    ] {
        let error = Schedule::parse(bad, &jiff::tz::TimeZone::UTC).map(|_| ()).unwrap_err();
        assert!(error.len() < 300, "{error}");
    }
    for good in ["0 8 29 2 *", "0 8 30 2 1", "*/5 8-18 1,15 JAN-MAR,12 MON-FRI", "0 0 31 1,2 *", "@weekly", "0 8 * * 7"] {
        let schedule = Schedule::parse(good, &jiff::tz::TimeZone::UTC).unwrap();
        let next = schedule.after(at(NOON)).unwrap();
        assert_eq!(schedule.latest(next), Some(next), "{good}");
    }
}

#[test]
fn zones_are_names_or_what_command_lines_write() {
    let noon = when("2026-06-01T12:00:00Z");
    for (zone, want) in [
        ("", "2026-06-01T20:00:00Z"),
        ("UTC", "2026-06-01T20:00:00Z"),
        ("UTC#0", "2026-06-01T20:00:00Z"),
        ("CEST#7200", "2026-06-01T18:00:00Z"),
        ("EST#-18000", "2026-06-02T01:00:00Z"),
        // A place has its own rules, whatever its offset was.
        ("Europe/Berlin#3600", "2026-06-01T18:00:00Z"),
        ("America/New_York", "2026-06-02T00:00:00Z"),
    ] {
        let schedule = Schedule::parse("0 20 * * *", &schedule::zone(zone).unwrap()).unwrap();
        assert_eq!(schedule.after(at(noon)), Some(at(when(want))), "{zone}");
    }
    for bad in ["Nowhere", "../../etc/passwd", "/etc/localtime", "CET#", "CET#x", "CET#1000000", "Europe/Nowhere#0", &"a".repeat(1000)] {
        assert!(schedule::zone(bad).is_err(), "{bad}");
    }
}

#[test]
fn annotations_win_over_values() {
    let settings = PlatformSettings {
        sleep_after: 600,
        sleep_schedule: "0 20 * * *".into(),
        wakeup_schedule: "0 7 * * *".into(),
        timezone: "Europe/Berlin".into(),
        delete_after: HOUR,
        prevent_deletion: false,
    };
    let decide = |annotations: Value, settings: &PlatformSettings| {
        let mut world = World { settings: settings.clone(), ..World::new(&annotations) };
        (world.step().decision, world.get("scheduled-sleep").map(str::to_owned))
    };
    let berlin = (NOON + 7 * HOUR).to_string();
    assert_eq!(decide(json!({"last-activity": NOON - 600}), &settings), (FallAsleep(Inactivity), Some(berlin.clone())));
    assert_eq!(decide(json!({"last-activity": NOON - 600, "sleep-after": 0}), &settings).0, StayAwake);
    assert_eq!(decide(json!({"last-activity": NOON - 600, "sleep-after": "x"}), &settings).0, FallAsleep(Inactivity));
    assert_eq!(decide(json!({"last-activity": NOON - HOUR}), &settings).0, Delete);
    assert_eq!(decide(json!({"last-activity": NOON - HOUR, "delete-after": 0, "sleep-after": 0}), &settings).0, StayAwake);
    let other = json!({"last-activity": NOON, "sleep-schedule": "0 19 * * *", "timezone": "UTC#0"});
    assert_eq!(decide(other, &settings), (StayAwake, Some((NOON + 7 * HOUR).to_string())));
    assert_eq!(decide(json!({"last-activity": NOON, "sleep-schedule": ""}), &settings).1, Some(berlin));

    let protected = PlatformSettings { prevent_deletion: true, sleep_after: 0, ..settings };
    let world = World { settings: protected, ..World::new(&json!({"last-activity": NOON - HOUR})) };
    let plan = world.plan();
    assert_eq!((plan.decision, plan.deletion_blocked), (StayAwake, true));
}

#[test]
fn what_is_not_up_yet_is_not_unused() {
    for (phase, want) in [("", StayAwake), ("Pending", StayAwake), ("Ready", FallAsleep(Inactivity)), ("Failed", FallAsleep(Inactivity))] {
        let world = World { phase, ..World::new(&json!({"sleep-after": 600})) };
        let plan = world.plan();
        assert_eq!(plan.decision, want, "{phase}");
        assert!(plan.look_again.is_none_or(|time| time >= at(NOON + 600)));
    }
    // Force is force.
    assert_eq!(World { phase: "Pending", ..World::new(&json!({"force": "true"})) }.plan().decision, FallAsleep(Forced));
}

#[test]
fn settings_that_cannot_be_followed_are_told_and_passed_over() {
    let table = [
        (json!({"sleep-schedule": "at night"}), "annotation sleepmode.loft.sh/sleep-schedule: \"at night\" must be a cron expression"),
        (json!({"wakeup-schedule": "0 0 0 0 0 0"}), "wakeup-schedule"),
        (json!({"sleep-schedule": "0 20 * * *", "timezone": "Nowhere"}), "sleepmode.loft.sh/timezone: \"Nowhere\" is no time zone"),
        (json!({"force-duration": "ever"}), "force-duration: \"ever\" must be a number of seconds"),
        (json!({"sleep-after": "-5"}), "sleep-after"),
        (json!({"delete-after": "1h"}), "delete-after"),
    ];
    for (annotations, part) in table {
        let plan = World::new(&annotations).plan();
        assert_eq!((plan.decision, plan.look_again), (StayAwake, None), "{annotations}");
        assert!(plan.problems.len() == 1 && plan.problems[0].contains(part), "{annotations}: {:?}", plan.problems);
    }
    let mut world = World::new(&json!({}));
    world.settings.sleep_schedule = "x".into();
    assert!(world.plan().problems[0].contains("sleep.auto"));
}

#[test]
fn sleep_is_counted_in_spans_of_thirty_days() {
    let mut world = World::new(&json!({"force": "true"}));
    world.created = NOON - 10 * DAY;
    world.decide_at(NOON);
    world.annotate(&json!({"force": null}));
    assert_eq!(world.decide_at(NOON + 2 * DAY), WakeUp);
    assert_eq!(world.get("current-epoch-slept"), Some((2 * DAY).to_string().as_str()));
    world.annotate(&json!({"force": "true"}));
    world.decide_at(NOON + 15 * DAY);
    world.annotate(&json!({"force": null}));
    assert_eq!(world.decide_at(NOON + 21 * DAY), WakeUp);
    assert_eq!(world.get("last-epoch-start"), Some((NOON - 10 * DAY).to_string().as_str()));
    assert_eq!(world.get("last-epoch-slept"), Some((8 * DAY).to_string().as_str()));
    assert_eq!(
        (world.get("current-epoch-start"), world.get("current-epoch-slept")),
        (Some((NOON + 21 * DAY).to_string().as_str()), Some("0"))
    );
}

/// Annotations that make sense, and some that do not.
fn annotations() -> impl Strategy<Value = BTreeMap<String, String>> {
    let time =
        prop_oneof![(NOON - 3 * DAY..NOON + 3 * DAY).prop_map(|time| time.to_string()), Just(i64::MAX.to_string()), Just("x".into())];
    let seconds = prop_oneof![(0..2 * DAY).prop_map(|seconds| seconds.to_string()), Just(i64::MAX.to_string()), Just("-1".into())];
    let cron = prop_oneof![Just("0 20 * * *"), Just("*/5 * * * *"), Just("0 7 * * 1-5"), Just("0 0 30 2 *"), Just("x"), Just("")]
        .prop_map(str::to_owned);
    let kind = prop_oneof![Just("forcedSleep"), Just("forcedDurationSleep"), Just("inactivitySleep"), Just("scheduledSleep"), Just("?")]
        .prop_map(str::to_owned);
    let zone = prop_oneof![Just("Europe/Berlin"), Just("CET#3600"), Just("Nowhere")].prop_map(str::to_owned);
    let some = |values: BoxedStrategy<String>| proptest::option::of(values);
    let all = [
        ("force", Just("true".to_owned()).boxed()),
        ("force-duration", seconds.clone().boxed()),
        ("last-activity", time.clone().boxed()),
        ("sleep-after", seconds.clone().boxed()),
        ("delete-after", seconds.boxed()),
        ("sleep-schedule", cron.clone().boxed()),
        ("wakeup-schedule", cron.boxed()),
        ("timezone", zone.boxed()),
        ("sleeping-since", time.clone().boxed()),
        ("scheduled-sleep", time.clone().boxed()),
        ("current-epoch-start", time.clone().boxed()),
        ("current-epoch-slept", time.boxed()),
        ("sleep-type", kind.boxed()),
    ];
    let (keys, values): (Vec<_>, Vec<_>) = all.into_iter().map(|(name, values)| (format!("{}{name}", names::PREFIX), some(values))).unzip();
    values.prop_map(move |values| keys.iter().cloned().zip(values).filter_map(|(key, value)| Some((key, value?))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_expression_makes_it_panic_or_search_for_long(text in "([0-9*/,?LW#+-]{1,6} ){4}[0-9*/,?LW#+-]{1,6}|@?\\PC{0,20}") {
        if let Ok(schedule) = Schedule::parse(&text, &schedule::zone("Europe/Berlin").unwrap()) {
            let next = schedule.after(at(NOON));
            prop_assert!(next.is_some_and(|next| next > at(NOON) && next < at(NOON + 9 * 366 * DAY)), "{text} {next:?}");
            prop_assert!(schedule.latest(at(NOON)).is_some_and(|last| last <= at(NOON)), "{text}");
        }
    }

    #[test]
    fn whatever_is_written_it_comes_to_rest_and_looks_later(annotations in annotations()) {
        let mut world = World { annotations, ..World::new(&json!({})) };
        // A change may be followed by one other (woken, and put to sleep by something else), never by a third.
        let decisions: Vec<_> = (0..4).map(|_| world.step()).collect();
        for plan in &decisions {
            prop_assert!(plan.look_again.is_none_or(|time| time >= at(NOON + SOONEST)));
        }
        let last = &decisions[3];
        prop_assert!(matches!(last.decision, StayAwake | StayAsleep(_) | Delete), "{:?}", decisions);
        prop_assert!(last.annotations.is_empty(), "{:?}", decisions);
        let asleep = world.get("sleeping-since").is_some();
        prop_assert!(last.decision == Delete || matches!(last.decision, StayAsleep(_)) == (asleep && world.get("sleeping-since") != Some("x")), "{:?}", decisions);
    }
}
