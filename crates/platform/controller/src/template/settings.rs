//! Settings in the values of a virtual cluster that the platform follows: sleep, deletion and snapshots.
//!
//! They are checked when a template was rendered, so that a schedule that cannot be is told at once and not at night. Older names
//! of the same settings (`external.platform`, `sleepMode`) are read where the present ones are missing.

use super::{ERROR_MODIFYING_TEMPLATE, TemplateError, quoted};
use crate::sleep::schedule::{Schedule, zone};
use apiserver_meta::decode::parse_yaml;
use apiserver_meta::duration;
use serde_json::Value;

/// The longest values.
const LONGEST: usize = 2 << 20;
/// The kinds of storage of snapshots, and the field that each needs.
const STORAGES: [(&str, &str); 4] = [("s3", "url"), ("oci", "repository"), ("container", "path"), ("azure", "blobUrl")];

/// Settings about sleep and deletion. What is absent is zero or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformSettings {
    /// After how many seconds without activity the virtual cluster sleeps.
    pub sleep_after: i64,
    /// When it is put to sleep, as a cron expression.
    pub sleep_schedule: String,
    /// When it is woken, as a cron expression.
    pub wakeup_schedule: String,
    /// The time zone of both.
    pub timezone: String,
    /// After how many seconds without activity it is deleted.
    pub delete_after: i64,
    /// Whether it must not be deleted.
    pub prevent_deletion: bool,
}

/// Reads the settings from rendered `helmRelease.values`.
///
/// # Errors
/// The values are no map in YAML, or a setting cannot be followed. The message names it.
pub fn read(values: &str) -> Result<PlatformSettings, TemplateError> {
    if values.len() > LONGEST {
        return Err(refuse("", &format!("may have at most {LONGEST} bytes")));
    }
    let parsed = parse_yaml(values.as_bytes()).map_err(|error| refuse("", &error.to_string()))?.value;
    if !parsed.is_object() && !parsed.is_null() {
        return Err(refuse("", "must be a map in YAML"));
    }
    let values = Section { value: &parsed, path: String::new() };
    let mut settings = sleep(&values)?;
    deletion(&values, &mut settings)?;
    snapshots(&values.member("snapshots")?.member("auto")?)?;
    Ok(settings)
}

fn refuse(path: &str, message: &str) -> TemplateError {
    let place = if path.is_empty() { String::new() } else { format!(" {path}:") };
    TemplateError::new(ERROR_MODIFYING_TEMPLATE, format!("helmRelease.values:{place} {message}"))
}

/// A map in the values, or nothing.
struct Section<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Section<'a> {
    fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn get(&self, name: &str) -> &'a Value {
        self.value.get(name).unwrap_or(&Value::Null)
    }

    fn member(&self, name: &str) -> Result<Self, TemplateError> {
        let (value, path) = (self.get(name), self.path(name));
        if !value.is_null() && !value.is_object() {
            return Err(refuse(&path, "must be a map"));
        }
        Ok(Self { value, path })
    }

    fn text(&self, name: &str) -> Result<String, TemplateError> {
        match self.get(name) {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.clone()),
            _ => Err(refuse(&self.path(name), "must be a text")),
        }
    }

    fn boolean(&self, name: &str) -> Result<bool, TemplateError> {
        match self.get(name) {
            Value::Null => Ok(false),
            Value::Bool(value) => Ok(*value),
            _ => Err(refuse(&self.path(name), "must be true or false")),
        }
    }

    fn number(&self, name: &str) -> Result<i64, TemplateError> {
        match self.get(name) {
            Value::Null => Ok(0),
            value => value.as_i64().filter(|number| *number >= 0).ok_or_else(|| refuse(&self.path(name), "must be a whole number")),
        }
    }

    /// Seconds of a duration as Go writes it. Old names have seconds.
    fn duration(&self, name: &str) -> Result<i64, TemplateError> {
        if self.get(name).is_number() {
            return self.number(name);
        }
        let text = self.text(name)?;
        if text.is_empty() {
            return Ok(0);
        }
        let parsed = duration::parse(&text).and_then(|duration| i64::try_from(duration.as_secs()).ok());
        parsed.ok_or_else(|| refuse(&self.path(name), &format!("{} must be a duration, such as 90m or 720h", quoted(&text))))
    }

    fn zone(&self, name: &str) -> Result<String, TemplateError> {
        let text = self.text(name)?;
        zone(&text).map(|_| text).map_err(|message| refuse(&self.path(name), &message))
    }

    fn schedule(&self, name: &str) -> Result<String, TemplateError> {
        let text = self.text(name)?;
        if !text.is_empty() {
            Schedule::parse(&text, &jiff::tz::TimeZone::UTC)
                .map_err(|message| refuse(&self.path(name), &format!("{} {message}", quoted(&text))))?;
        }
        Ok(text)
    }
}

fn sleep(values: &Section<'_>) -> Result<PlatformSettings, TemplateError> {
    let present = values.member("sleep")?.member("auto")?;
    let platform = values.member("external")?.member("platform")?.member("autoSleep")?;
    let mode = values.member("sleepMode")?;
    let (auto, wakeup, timezone) = if !present.is_absent() {
        let (wakeup, timezone) = (present.member("wakeup")?, present.zone("timezone")?);
        (present, wakeup, timezone)
    } else if !platform.is_absent() {
        let (wakeup, timezone) = (platform.member("autoWakeup")?, platform.zone("timezone")?);
        (platform, wakeup, timezone)
    } else if mode.boolean("enabled")? {
        (mode.member("autoSleep")?, mode.member("autoWakeup")?, mode.zone("timeZone")?)
    } else {
        return Ok(PlatformSettings::default());
    };
    Ok(PlatformSettings {
        sleep_after: auto.duration("afterInactivity")?,
        sleep_schedule: auto.schedule("schedule")?,
        wakeup_schedule: wakeup.schedule("schedule")?,
        timezone,
        ..PlatformSettings::default()
    })
}

fn deletion(values: &Section<'_>, settings: &mut PlatformSettings) -> Result<(), TemplateError> {
    let deletion = values.member("deletion")?;
    settings.prevent_deletion = deletion.boolean("prevent")?;
    let present = deletion.member("auto")?;
    let auto = if present.is_absent() { values.member("external")?.member("platform")?.member("autoDelete")? } else { present };
    settings.delete_after = auto.duration("afterInactivity")?;
    Ok(())
}

/// Snapshots are checked only: nobody here makes any.
fn snapshots(auto: &Section<'_>) -> Result<(), TemplateError> {
    if auto.is_absent() {
        return Ok(());
    }
    if auto.schedule("schedule")?.is_empty() {
        return Err(refuse(&auto.path("schedule"), "is required when there are snapshots"));
    }
    auto.zone("timezone")?;
    let retention = auto.member("retention")?;
    if retention.number("period")? == 0 || retention.number("maxSnapshots")? == 0 {
        return Err(refuse(&retention.path, "period and maxSnapshots must both be greater than 0"));
    }
    let storage = auto.member("storage")?;
    let kind = storage.text("type")?;
    let Some((_, needed)) = STORAGES.iter().find(|(name, _)| *name == kind) else {
        return Err(refuse(&storage.path("type"), &format!("{} must be s3, oci, container or azure", quoted(&kind))));
    };
    let settings = storage.member(&kind)?;
    if settings.text(needed)?.is_empty() {
        return Err(refuse(&settings.path(needed), &format!("is required for snapshots of type {kind}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn settings_are_read_by_present_and_by_older_names() {
        let all = PlatformSettings {
            sleep_after: 5400,
            sleep_schedule: "0 20 * * *".into(),
            wakeup_schedule: "0 7 * * 1-5".into(),
            timezone: "Europe/Berlin".into(),
            delete_after: 2_592_000,
            prevent_deletion: true,
        };
        let present = "sleep: {auto: {afterInactivity: 1h30m, schedule: '0 20 * * *', timezone: Europe/Berlin, wakeup: {schedule: 0 7 * * 1-5}}}\n\
            deletion: {prevent: true, auto: {afterInactivity: 720h}}";
        let platform = "external: {platform: {autoSleep: {afterInactivity: 5400, schedule: '0 20 * * *', timezone: Europe/Berlin, \
            autoWakeup: {schedule: 0 7 * * 1-5}}, autoDelete: {afterInactivity: 2592000}}}\ndeletion: {prevent: true}";
        let mode = "sleepMode: {enabled: true, timeZone: Europe/Berlin, autoSleep: {afterInactivity: 90m, schedule: '0 20 * * *'}, \
            autoWakeup: {schedule: 0 7 * * 1-5}}\ndeletion: {prevent: true, auto: {afterInactivity: 720h}}";
        for values in [present, platform, mode] {
            assert_eq!(read(values).unwrap(), all, "{values}");
        }
        for values in ["", "controlPlane: {a: b}", "sleepMode: {autoSleep: {afterInactivity: 1h}}", "sleep:\ndeletion:\n"] {
            assert_eq!(read(values).unwrap(), PlatformSettings::default(), "{values}");
        }
    }

    #[test]
    fn settings_that_cannot_be_followed_are_named() {
        let snapshots =
            |rest: &str| format!("snapshots: {{auto: {{schedule: '@daily', retention: {{period: 1, maxSnapshots: 1}}, {rest}}}}}");
        let table = [
            ("- a".to_owned(), "must be a map"),
            ("a: [".into(), "yaml"),
            ("sleep: yes please".into(), "sleep: must be a map"),
            ("sleep: {auto: {schedule: 'at night'}}".into(), "sleep.auto.schedule: \"at night\" must be a cron expression"),
            ("sleep: {auto: {schedule: '0 20 * * * *'}}".into(), "sleep.auto.schedule"),
            ("sleep: {auto: {schedule: '61 20 * * *'}}".into(), "sleep.auto.schedule"),
            ("sleep: {auto: {wakeup: {schedule: x}}}".into(), "sleep.auto.wakeup.schedule"),
            ("sleep: {auto: {timezone: Europe/Nowhere}}".into(), "sleep.auto.timezone: \"Europe/Nowhere\" is no time zone"),
            ("sleep: {auto: {timezone: ../../etc/passwd}}".into(), "is no time zone"),
            ("sleep: {auto: {timezone: 'CET#x'}}".into(), "is no time zone"),
            ("sleep: {auto: {timezone: 'CET#999999'}}".into(), "is no time zone"),
            ("sleep: {auto: {afterInactivity: soon}}".into(), "sleep.auto.afterInactivity: \"soon\" must be a duration"),
            ("sleep: {auto: {afterInactivity: -1}}".into(), "sleep.auto.afterInactivity"),
            ("deletion: {auto: {afterInactivity: 30d}}".into(), "deletion.auto.afterInactivity"),
            ("snapshots: {auto: {timezone: UTC}}".into(), "snapshots.auto.schedule: is required"),
            ("snapshots: {auto: {schedule: '@daily', retention: {period: 1}}}".into(), "period and maxSnapshots"),
            (snapshots("storage: {type: tape}"), "snapshots.auto.storage.type: \"tape\" must be s3"),
            (snapshots("timezone: UTC"), "snapshots.auto.storage.type"),
            (snapshots("storage: {type: s3}"), "snapshots.auto.storage.s3.url: is required"),
        ];
        for (values, part) in table {
            let error = read(&values).unwrap_err();
            assert!(error.reason == ERROR_MODIFYING_TEMPLATE && error.message.contains(part), "{values}: {error}");
        }
        assert!(read(&snapshots("storage: {type: s3, s3: {url: 's3://b/k'}}")).is_ok());
    }
}
