//! Conditions of an instance, and the phase that they come to.
//!
//! A condition is False with a severity: an error fails the instance, a warning keeps it waiting, and what is only told has no say.
//! Cluster API's conditions are like this, and so are those of the platform.

use jiff::Timestamp;
use std::borrow::Cow;
use vci_management::types::Condition;
use vci_management::virtualclusterinstance::VirtualClusterInstanceStatus;

/// The aspects that the controller tells of, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    /// The summary of all others.
    Ready,
    /// It is known where the virtual cluster runs.
    Scheduled,
    /// Nothing newer of the template is waiting.
    TemplateSynced,
    /// The template is there, and the parameters are good.
    TemplateResolved,
    /// The host namespace is as it should be.
    SpaceSynced,
    /// The host namespace can be used.
    SpaceReady,
    /// The chart is installed.
    VirtualClusterDeployed,
    /// Roles inside are as the rules say.
    VirtualClusterSynced,
    /// The control plane answers.
    VirtualClusterReady,
    /// The objects and charts of the template are inside.
    VirtualClusterAppsAndObjectsSynced,
    /// What was made is taken away again.
    ExternalResourcesCleanedUp,
    /// It would have been deleted by now, if it were not protected.
    VirtualClusterAutoDeletionBlocked,
}

impl Aspect {
    const ALL: [Self; 12] = [
        Self::Ready,
        Self::Scheduled,
        Self::TemplateSynced,
        Self::TemplateResolved,
        Self::SpaceSynced,
        Self::SpaceReady,
        Self::VirtualClusterDeployed,
        Self::VirtualClusterSynced,
        Self::VirtualClusterReady,
        Self::VirtualClusterAppsAndObjectsSynced,
        Self::ExternalResourcesCleanedUp,
        Self::VirtualClusterAutoDeletionBlocked,
    ];

    /// The `type` of the condition.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Scheduled => "Scheduled",
            Self::TemplateSynced => "TemplateSynced",
            Self::TemplateResolved => "TemplateResolved",
            Self::SpaceSynced => "SpaceSynced",
            Self::SpaceReady => "SpaceReady",
            Self::VirtualClusterDeployed => "VirtualClusterDeployed",
            Self::VirtualClusterSynced => "VirtualClusterSynced",
            Self::VirtualClusterReady => "VirtualClusterReady",
            Self::VirtualClusterAppsAndObjectsSynced => "VirtualClusterAppsAndObjectsSynced",
            Self::ExternalResourcesCleanedUp => "ExternalResourcesCleanedUp",
            Self::VirtualClusterAutoDeletionBlocked => "VirtualClusterAutoDeletionBlocked",
        }
    }

    /// Whether the instance is not ready while this is False, unless it is only told.
    fn gates(self) -> bool {
        !matches!(
            self,
            Self::Ready
                | Self::TemplateSynced
                | Self::VirtualClusterAppsAndObjectsSynced
                | Self::ExternalResourcesCleanedUp
                | Self::VirtualClusterAutoDeletionBlocked
        )
    }

    /// Where a condition stands in the list. Those of others come last, in their order.
    fn position(condition: &Condition) -> usize {
        Self::ALL.iter().position(|aspect| aspect.name() == condition.r#type).unwrap_or(Self::ALL.len())
    }
}

/// How much it matters that a condition is False.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing goes on until somebody mends it.
    Error,
    /// It is waited for.
    Warning,
    /// It is good to know.
    Info,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Info => "Info",
        }
    }
}

/// Why a condition is False.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// How much it matters.
    pub(crate) severity: Severity,
    /// In CamelCase, for programs.
    pub(crate) reason: Cow<'static, str>,
    /// For people: the field and the remedy.
    pub(crate) message: String,
}

/// The conditions of one instance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conditions {
    items: Vec<Condition>,
    now: Timestamp,
}

/// What an instance is doing, beside its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It works, or is to work.
    Awake,
    /// It sleeps.
    Asleep,
}

impl Conditions {
    /// Those that an instance has.
    pub(crate) fn of(status: &VirtualClusterInstanceStatus, now: Timestamp) -> Self {
        Self { items: status.conditions.clone(), now }
    }

    /// It is so.
    pub(crate) fn hold(&mut self, aspect: Aspect) {
        self.set(aspect, "True", None);
    }

    /// It is not so, and why.
    pub(crate) fn fail(&mut self, aspect: Aspect, cause: &Cause) {
        self.set(aspect, "False", Some(cause));
    }

    /// Whether it is known to be so.
    pub(crate) fn holds(&self, aspect: Aspect) -> bool {
        self.items.iter().any(|condition| condition.r#type == aspect.name() && condition.status == "True")
    }

    /// Nothing is said of it any more.
    pub(crate) fn forget(&mut self, aspect: Aspect) {
        self.items.retain(|condition| condition.r#type != aspect.name());
    }

    fn set(&mut self, aspect: Aspect, status: &str, cause: Option<&Cause>) {
        let old = self.items.iter().find(|condition| condition.r#type == aspect.name());
        let since = old.filter(|old| old.status == status).and_then(|old| old.last_transition_time.clone());
        let condition = Condition {
            r#type: aspect.name().into(),
            status: status.into(),
            severity: cause.map(|cause| cause.severity.name().to_owned()).unwrap_or_default(),
            last_transition_time: Some(since.unwrap_or_else(|| seconds(self.now))),
            reason: cause.map(|cause| cause.reason.clone().into_owned()).unwrap_or_default(),
            message: cause.map(|cause| cause.message.clone()).unwrap_or_default(),
        };
        self.forget(aspect);
        self.items.push(condition);
    }

    /// Sets `Ready`, and writes the conditions and what they come to: phase, reason and message.
    pub(crate) fn summarize(mut self, rest: Rest, status: &mut VirtualClusterInstanceStatus) {
        let blocking: Vec<&Condition> = self.blocking().collect();
        let worst = blocking.iter().find(|condition| condition.severity == "Error").or(blocking.first()).map(|found| (*found).clone());
        let known = Aspect::ALL.iter().filter(|aspect| aspect.gates()).all(|aspect| self.holds(*aspect) || self.is_told(*aspect));
        let (phase, cause) = match (&worst, rest) {
            (Some(worst), _) if worst.severity == "Error" => ("Failed", Some(cause_of(worst, Severity::Error))),
            (_, Rest::Asleep) => ("Sleeping", Some(asleep())),
            (Some(worst), Rest::Awake) => ("Pending", Some(cause_of(worst, Severity::Warning))),
            (None, Rest::Awake) if known => ("Ready", None),
            (None, Rest::Awake) => ("Pending", None),
        };
        match &cause {
            None if phase == "Ready" => self.hold(Aspect::Ready),
            None => {}
            Some(cause) => self.fail(Aspect::Ready, cause),
        }
        status.phase = phase.into();
        let told = cause.filter(|_| phase != "Sleeping");
        status.reason = told.as_ref().map(|cause| cause.reason.clone().into_owned()).unwrap_or_default();
        status.message = told.map(|cause| cause.message).unwrap_or_default();
        self.items.sort_by_key(Aspect::position);
        status.conditions = self.items;
    }

    /// The conditions that keep the instance from being ready, in the order of their aspects.
    fn blocking(&self) -> impl Iterator<Item = &Condition> {
        let gates = |condition: &&Condition| condition.status == "False" && condition.severity != "Info";
        let of = move |aspect: &Aspect| self.items.iter().find(|condition| condition.r#type == aspect.name()).filter(gates);
        Aspect::ALL.iter().filter(|aspect| aspect.gates()).filter_map(of)
    }

    /// Whether a condition is False in a way that has no say.
    fn is_told(&self, aspect: Aspect) -> bool {
        self.items.iter().any(|condition| condition.r#type == aspect.name() && condition.severity == "Info")
    }
}

fn cause_of(condition: &Condition, severity: Severity) -> Cause {
    Cause { severity, reason: condition.reason.clone().into(), message: condition.message.clone() }
}

fn asleep() -> Cause {
    Cause { severity: Severity::Info, reason: "Sleeping".into(), message: "the virtual cluster sleeps".into() }
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn cause(severity: Severity, reason: &'static str) -> Cause {
        Cause { severity, reason: reason.into(), message: format!("{reason} happened") }
    }

    fn healthy(now: Timestamp) -> Conditions {
        let mut conditions = Conditions { items: Vec::new(), now };
        for aspect in Aspect::ALL.into_iter().filter(|aspect| aspect.gates()) {
            conditions.hold(aspect);
        }
        conditions
    }

    #[test]
    fn the_phase_follows_from_the_conditions() {
        use Aspect::{SpaceReady, TemplateResolved, TemplateSynced, VirtualClusterReady};
        use Severity::{Error, Info, Warning};
        type Failed = &'static [(Aspect, Severity, &'static str)];
        let cases: [(Failed, Rest, &str, &str); 9] = [
            (&[], Rest::Awake, "Ready", ""),
            (&[], Rest::Asleep, "Sleeping", ""),
            (&[(TemplateSynced, Error, "Newer")], Rest::Awake, "Ready", ""),
            (&[(TemplateResolved, Info, "Gone")], Rest::Awake, "Ready", ""),
            (&[(VirtualClusterReady, Warning, "Starting")], Rest::Awake, "Pending", "Starting"),
            (&[(VirtualClusterReady, Warning, "Starting")], Rest::Asleep, "Sleeping", ""),
            (&[(SpaceReady, Error, "Taken")], Rest::Awake, "Failed", "Taken"),
            (&[(TemplateResolved, Warning, "Late"), (SpaceReady, Error, "Taken")], Rest::Awake, "Failed", "Taken"),
            (&[(SpaceReady, Error, "Taken")], Rest::Asleep, "Failed", "Taken"),
        ];
        for (failed, rest, phase, reason) in cases {
            let mut conditions = healthy(at(1));
            for (aspect, severity, reason) in failed {
                conditions.fail(*aspect, &cause(*severity, reason));
            }
            let mut status = VirtualClusterInstanceStatus::default();
            conditions.summarize(rest, &mut status);
            assert_eq!((status.phase.as_str(), status.reason.as_str()), (phase, reason), "{failed:?} {rest:?}");
            assert_eq!(status.conditions[0].r#type, "Ready");
            assert_eq!(status.conditions[0].status == "True", phase == "Ready", "{failed:?} {rest:?}");
            assert_eq!(status.message.is_empty(), reason.is_empty());
        }
    }

    #[test]
    fn what_is_not_known_yet_is_waited_for() {
        let mut status = VirtualClusterInstanceStatus::default();
        let mut conditions = Conditions::of(&status, at(1));
        conditions.hold(Aspect::Scheduled);
        conditions.summarize(Rest::Awake, &mut status);
        assert_eq!(status.phase, "Pending");
        assert_eq!(status.conditions.len(), 1, "{:?}", status.conditions);
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_last_change_of_status() {
        let mut status = VirtualClusterInstanceStatus::default();
        healthy(at(1)).summarize(Rest::Awake, &mut status);
        let mut again = Conditions::of(&status, at(5));
        again.hold(Aspect::Scheduled);
        again.fail(Aspect::SpaceReady, &cause(Severity::Warning, "Terminating"));
        again.summarize(Rest::Awake, &mut status);
        let time = |name: &str| {
            let found = status.conditions.iter().find(|condition| condition.r#type == name).unwrap();
            found.last_transition_time.clone().unwrap()
        };
        assert_eq!(time("Scheduled"), "1970-01-01T00:00:01Z");
        assert_eq!(time("SpaceReady"), "1970-01-01T00:00:05Z");
        assert_eq!(time("Ready"), "1970-01-01T00:00:05Z");
    }
}
