//! Whether a virtual cluster sleeps, and whether somebody who comes wakes it.

use std::collections::BTreeMap;
use vci_management::sleep::{FORCE, FORCE_DURATION, LAST_ACTIVITY, PREFIX, SLEEPING_SINCE};

/// Whether a virtual cluster sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SleepState {
    /// It does not.
    Awake,
    /// It does; by itself it would go on to.
    Asleep {
        /// Since when, in Unix seconds.
        since: i64,
        /// Before this time nobody who comes wakes it; `None`: never.
        wakes_from: Option<i64>,
    },
}

impl SleepState {
    /// By the phase, which the controller writes, and the annotations. `force: "true"` alone holds until somebody comes; with
    /// `force-duration` N it holds for N seconds whoever comes, with 0 until it is taken back.
    pub(crate) fn of(phase: &str, annotations: &BTreeMap<String, String>) -> Self {
        if phase != "Sleeping" {
            return Self::Awake;
        }
        let text = |name: &str| annotations.get(name).map(String::as_str);
        let since = text(SLEEPING_SINCE).and_then(|since| since.parse::<i64>().ok()).unwrap_or(0);
        let duration = (text(FORCE) == Some("true")).then(|| text(FORCE_DURATION)).flatten().filter(|duration| !duration.is_empty());
        let wakes_from = match duration.map(str::parse::<i64>) {
            None => Some(since),
            Some(Ok(seconds)) if seconds > 0 => Some(since.saturating_add(seconds)),
            // What cannot be read holds until somebody mends it.
            Some(Ok(_) | Err(_)) => None,
        };
        Self::Asleep { since, wakes_from }
    }
}

/// When it was last used, as far as that is stored.
pub(crate) fn last_activity(annotations: &BTreeMap<String, String>) -> i64 {
    annotations.get(LAST_ACTIVITY).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether requests of this sort count as activity: those that the annotations `ignore-*` name do not.
pub(crate) fn counts(annotations: &BTreeMap<String, String>, user_agent: &str) -> bool {
    let is_set = |name: &str| setting(annotations, name) == "true";
    let agents = setting(annotations, "ignore-user-agents").split(',').map(str::trim).filter(|agent| !agent.is_empty());
    let is_ignored_agent = agents.into_iter().any(|agent| match agent.strip_suffix('*') {
        Some(prefix) => user_agent.starts_with(prefix),
        None => user_agent == agent,
    });
    !(is_set("ignore-all") || is_set("ignore-vclusters") || is_ignored_agent)
}

/// Whether streams that stay open count as activity.
pub(crate) fn streams_count(annotations: &BTreeMap<String, String>) -> bool {
    setting(annotations, "ignore-active-connections") != "true"
}

/// A setting that has no constant, because nothing else goes by it.
fn setting<'a>(annotations: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    annotations.get(&format!("{PREFIX}{name}")).map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use SleepState::{Asleep, Awake};

    fn annotations(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())).collect()
    }

    #[test]
    fn what_wakes_whom() {
        for (phase, entries, want) in [
            ("Ready", &[("force", "true")][..], Awake),
            ("", &[], Awake),
            ("Sleeping", &[("sleeping-since", "100")], Asleep { since: 100, wakes_from: Some(100) }),
            ("Sleeping", &[("sleeping-since", "100"), ("force", "true")], Asleep { since: 100, wakes_from: Some(100) }),
            (
                "Sleeping",
                &[("sleeping-since", "100"), ("force", "true"), ("force-duration", "60")],
                Asleep { since: 100, wakes_from: Some(160) },
            ),
            ("Sleeping", &[("sleeping-since", "100"), ("force", "true"), ("force-duration", "0")], Asleep { since: 100, wakes_from: None }),
            ("Sleeping", &[("sleeping-since", "100"), ("force", "true"), ("force-duration", "x")], Asleep { since: 100, wakes_from: None }),
            ("Sleeping", &[("sleeping-since", "100"), ("force-duration", "0")], Asleep { since: 100, wakes_from: Some(100) }),
            (
                "Sleeping",
                &[("sleeping-since", "100"), ("force", "true"), ("force-duration", "")],
                Asleep { since: 100, wakes_from: Some(100) },
            ),
            ("Sleeping", &[], Asleep { since: 0, wakes_from: Some(0) }),
        ] {
            assert_eq!(SleepState::of(phase, &annotations(entries)), want, "{phase} {entries:?}");
        }
    }

    #[test]
    fn what_counts_as_activity() {
        for (entries, agent, want) in [
            (&[][..], "kubectl/v1", true),
            (&[("ignore-all", "true")], "kubectl/v1", false),
            (&[("ignore-vclusters", "true")], "kubectl/v1", false),
            (&[("ignore-all", "false")], "kubectl/v1", true),
            (&[("ignore-user-agents", "argocd*, kubectl/v1")], "kubectl/v1", false),
            (&[("ignore-user-agents", "argocd*")], "argocd-server/2", false),
            (&[("ignore-user-agents", "argocd")], "argocd-server/2", true),
        ] {
            assert_eq!(counts(&annotations(entries), agent), want, "{entries:?} {agent}");
        }
    }
}
