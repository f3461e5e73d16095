//! Sleep mode in the annotations of an instance: settings, which users write, and what is known, which the platform writes.
//!
//! Only their names and forms. Refused: when a virtual cluster sleeps; that is for the controller.

use crate::types::{Epoch, LastActivityInfo, SleepModeConfig, SleepModeConfigSpec, SleepModeConfigStatus};
use apiserver_meta::Object;
use serde_json::{Map, Value};
use std::str::FromStr;

/// What the names of all these annotations begin with.
pub const PREFIX: &str = "sleepmode.loft.sh/";

/// `true`: the virtual cluster sleeps, until activity or as [`FORCE_DURATION`] says.
pub const FORCE: &str = "sleepmode.loft.sh/force";
/// For how many seconds it sleeps whatever happens; `0`: until [`FORCE`] is taken away.
pub const FORCE_DURATION: &str = "sleepmode.loft.sh/force-duration";
/// After how many seconds without activity it is put to sleep.
pub const SLEEP_AFTER: &str = "sleepmode.loft.sh/sleep-after";
/// After how many seconds without activity it is deleted.
pub const DELETE_AFTER: &str = "sleepmode.loft.sh/delete-after";
/// When it is put to sleep, as a cron expression.
pub const SLEEP_SCHEDULE: &str = "sleepmode.loft.sh/sleep-schedule";
/// When it is woken, as a cron expression.
pub const WAKEUP_SCHEDULE: &str = "sleepmode.loft.sh/wakeup-schedule";
/// The time zone of the schedules: a name, or a name, `#` and an offset in seconds, as the command line writes it.
pub const TIMEZONE: &str = "sleepmode.loft.sh/timezone";
/// `workloads-only`: the control plane stays awake.
pub const SCOPE: &str = "sleepmode.loft.sh/scope";

/// When it was last used, in Unix seconds.
pub const LAST_ACTIVITY: &str = "sleepmode.loft.sh/last-activity";
/// The request that last used it, as JSON.
pub const LAST_ACTIVITY_INFO: &str = "sleepmode.loft.sh/last-activity-info";
/// Since when it sleeps, in Unix seconds; absent while it is awake.
pub const SLEEPING_SINCE: &str = "sleepmode.loft.sh/sleeping-since";
/// Why it sleeps: one of the `TYPE_` constants.
pub const SLEEP_TYPE: &str = "sleepmode.loft.sh/sleep-type";
/// When its schedule will put it to sleep, in Unix seconds.
pub const SCHEDULED_SLEEP: &str = "sleepmode.loft.sh/scheduled-sleep";
/// When its schedule will wake it, in Unix seconds.
pub const SCHEDULED_WAKEUP: &str = "sleepmode.loft.sh/scheduled-wakeup";
/// When the present span of time began over which sleep is counted, in Unix seconds.
pub const CURRENT_EPOCH_START: &str = "sleepmode.loft.sh/current-epoch-start";
/// How many seconds of that span were slept.
pub const CURRENT_EPOCH_SLEPT: &str = "sleepmode.loft.sh/current-epoch-slept";
/// When the span before that began, in Unix seconds.
pub const LAST_EPOCH_START: &str = "sleepmode.loft.sh/last-epoch-start";
/// How many seconds of that span were slept.
pub const LAST_EPOCH_SLEPT: &str = "sleepmode.loft.sh/last-epoch-slept";

/// [`SLEEP_TYPE`]: nobody used it for [`SLEEP_AFTER`].
pub const TYPE_INACTIVITY: &str = "inactivitySleep";
/// [`SLEEP_TYPE`]: by [`FORCE`].
pub const TYPE_FORCED: &str = "forcedSleep";
/// [`SLEEP_TYPE`]: by [`FORCE`] and [`FORCE_DURATION`].
pub const TYPE_FORCED_DURATION: &str = "forcedDurationSleep";
/// [`SLEEP_TYPE`]: by [`SLEEP_SCHEDULE`].
pub const TYPE_SCHEDULED: &str = "scheduledSleep";

/// The sleep mode that an instance's annotations say; `None` when they say nothing of it. A value that cannot be read is left out.
pub fn config(instance: &Object) -> Option<SleepModeConfig> {
    let annotations = Annotations(instance.at(&["metadata", "annotations"])?.as_object()?);
    if !annotations.0.keys().any(|name| name.starts_with(PREFIX)) {
        return None;
    }
    Some(SleepModeConfig { spec: settings(annotations), status: known(annotations), ..SleepModeConfig::default() })
}

#[derive(Clone, Copy)]
struct Annotations<'a>(&'a Map<String, Value>);

impl Annotations<'_> {
    fn text(self, name: &str) -> String {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A setting that has no constant, because nothing here goes by it.
    fn setting(self, name: &str) -> String {
        self.text(&format!("{PREFIX}{name}"))
    }

    fn parsed<T: FromStr>(self, name: &str) -> Option<T> {
        self.text(name).parse().ok()
    }

    fn seconds(self, name: &str) -> i64 {
        self.parsed(name).unwrap_or(0)
    }

    fn epoch(self, start: &str, slept: &str) -> Option<Epoch> {
        let (start, slept) = (self.parsed(start), self.parsed(slept));
        (start.is_some() || slept.is_some()).then(|| Epoch { start: start.unwrap_or(0), slept: slept.unwrap_or(0) })
    }
}

fn settings(annotations: Annotations<'_>) -> SleepModeConfigSpec {
    let is_set = |name: &str| annotations.setting(name) == "true";
    SleepModeConfigSpec {
        force_sleep: annotations.text(FORCE) == "true",
        force_sleep_duration: annotations.parsed(FORCE_DURATION),
        delete_after: annotations.seconds(DELETE_AFTER),
        sleep_after: annotations.seconds(SLEEP_AFTER),
        sleep_schedule: annotations.text(SLEEP_SCHEDULE),
        wakeup_schedule: annotations.text(WAKEUP_SCHEDULE),
        timezone: annotations.text(TIMEZONE),
        ignore_active_connections: is_set("ignore-active-connections"),
        ignore_all: is_set("ignore-all"),
        ignore_ingresses: is_set("ignore-ingresses"),
        ignore_vclusters: is_set("ignore-vclusters"),
        ignore_groups: annotations.setting("ignore-groups"),
        ignore_verbs: annotations.setting("ignore-verbs"),
        ignore_resources: annotations.setting("ignore-resources"),
        ignore_resource_verbs: annotations.setting("ignore-resource-verbs"),
        ignore_resource_names: annotations.setting("ignore-resource-names"),
        ignore_user_agents: annotations.setting("ignore-user-agents"),
    }
}

fn known(annotations: Annotations<'_>) -> SleepModeConfigStatus {
    let info = annotations.text(LAST_ACTIVITY_INFO);
    SleepModeConfigStatus {
        last_activity: annotations.seconds(LAST_ACTIVITY),
        last_activity_info: serde_json::from_str::<Option<LastActivityInfo>>(&info).ok().flatten(),
        sleeping_since: annotations.seconds(SLEEPING_SINCE),
        current_epoch: annotations.epoch(CURRENT_EPOCH_START, CURRENT_EPOCH_SLEPT),
        last_epoch: annotations.epoch(LAST_EPOCH_START, LAST_EPOCH_SLEPT),
        scheduled_sleep: annotations.parsed(SCHEDULED_SLEEP),
        scheduled_wakeup: annotations.parsed(SCHEDULED_WAKEUP),
        sleep_type: annotations.text(SLEEP_TYPE),
        ..SleepModeConfigStatus::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rules::tests::object;
    use serde_json::json;

    fn told(annotations: &Value) -> Value {
        let config = config(&object(json!({"metadata": {"annotations": annotations}})));
        config.map_or(Value::Null, |config| json!({"spec": config.spec, "status": config.status}))
    }

    #[test]
    fn annotations_are_told_as_settings_and_what_is_known() {
        let annotations = json!({
            FORCE: "true", FORCE_DURATION: "0", SLEEP_AFTER: "600", DELETE_AFTER: "86400", SLEEP_SCHEDULE: "0 20 * * *",
            WAKEUP_SCHEDULE: "0 8 * * *", TIMEZONE: "Europe/Berlin#7200", "sleepmode.loft.sh/ignore-groups": "a,b",
            "sleepmode.loft.sh/ignore-all": "true", LAST_ACTIVITY: "1790000000", SLEEPING_SINCE: "1790000600",
            LAST_ACTIVITY_INFO: r#"{"subject":"ann","verb":"get"}"#, SLEEP_TYPE: TYPE_FORCED_DURATION, SCHEDULED_WAKEUP: "1790001000",
            CURRENT_EPOCH_START: "1789000000", CURRENT_EPOCH_SLEPT: "60",
        });
        let want = json!({
            "spec": {
                "forceSleep": true, "forceSleepDuration": 0, "sleepAfter": 600, "deleteAfter": 86400, "sleepSchedule": "0 20 * * *",
                "wakeupSchedule": "0 8 * * *", "timezone": "Europe/Berlin#7200", "ignoreGroups": "a,b", "ignoreAll": true,
            },
            "status": {
                "lastActivity": 1_790_000_000, "sleepingSince": 1_790_000_600, "lastActivityInfo": {"subject": "ann", "verb": "get"},
                "sleepType": "forcedDurationSleep", "scheduledWakeup": 1_790_001_000, "currentEpoch": {"start": 1_789_000_000, "slept": 60},
            },
        });
        assert_eq!(told(&annotations), want);
    }

    #[test]
    fn what_says_nothing_of_sleep_has_no_sleep_mode() {
        for annotations in [json!({}), json!({"loft.sh/custom-links": "x"}), json!(null), json!(1)] {
            assert_eq!(told(&annotations), Value::Null, "{annotations}");
        }
        assert_eq!(config(&object(json!({}))), None);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let annotations = json!({FORCE: true, SLEEP_AFTER: "soon", LAST_ACTIVITY: "-", LAST_ACTIVITY_INFO: "{", TIMEZONE: "UTC"});
        assert_eq!(told(&annotations), json!({"spec": {"timezone": "UTC"}, "status": {}}));
    }
}
