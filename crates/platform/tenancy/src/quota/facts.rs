//! The properties of an instance by which quotas count it.
//!
//! An instance sleeps while `sleepmode.loft.sh/force` says so, and while its phase is `Sleeping` and nobody has asked to wake
//! it: who does so takes the first annotation away and leaves a last activity that is younger than the sleep. So an
//! instance counts as active from the request on that wakes it, not only when it has woken.

use apiserver_meta::{Descriptor, Object};
use apiserver_registry::Item;
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;
use vci_management::access::{ObjectAccess, owner_of};

const FORCE: &str = "sleepmode.loft.sh/force";
/// [`FORCE`] as canonical JSON has it; perhaps elsewhere, too.
const FORCED: &[u8] = b"\"sleepmode.loft.sh/force\":\"true\"";
const SLEEPING_SINCE: &str = "sleepmode.loft.sh/sleeping-since";
const LAST_ACTIVITY: &str = "sleepmode.loft.sh/last-activity";
const SLEEPING: &str = "Sleeping";

/// The properties of an instance by which quotas count it.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) owner: Option<Owner<'a>>,
    /// The name of the template that it follows; empty: none.
    pub(crate) template: &'a str,
    activity: Activity<'a>,
}

/// To whom an instance counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner<'a> {
    User(&'a str),
    Team(&'a str),
}

/// Whether an instance is active. Nearly no quota asks, so an item's annotations are read when one does.
#[derive(Clone, Debug)]
enum Activity<'a> {
    Known(Sleep, &'a str),
    Unread(&'a Item, &'a str),
}

/// Annotations about sleep. Times are Unix seconds; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sleep {
    is_forced: bool,
    since: i64,
    last_activity: i64,
}

impl<'a> Facts<'a> {
    /// Of an object that is to be written.
    pub(crate) fn of_object(object: &'a Object) -> Self {
        let text = |name| object.metadata().get("annotations").and_then(|annotations| annotations.get(name)).and_then(Value::as_str);
        Self {
            owner: owner(owner_of(object)),
            template: object.str_at(&["spec", "templateRef", "name"]),
            activity: Activity::Known(Sleep::read(text), object.str_at(&["status", "phase"])),
        }
    }

    /// Of an object that is stored.
    pub(crate) fn of_item(item: &'a Item, descriptor: &Descriptor) -> Self {
        let field = |label| {
            let index = descriptor.selectable_fields.iter().position(|field| field.label == label);
            index.and_then(|index| item.fields.get(index)).map_or("", |value| &**value)
        };
        let access = ObjectAccess::of(&item.facts);
        Self {
            owner: owner((&access.owner_user, &access.owner_team)),
            template: field("spec.templateRef.name"),
            activity: Activity::Unread(item, field("status.phase")),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        match &self.activity {
            Activity::Known(sleep, phase) => sleep.is_active(phase),
            // Most are awake, and show it without being decoded.
            Activity::Unread(item, phase) if *phase != SLEEPING && memmem::find(&item.bytes, FORCED).is_none() => true,
            Activity::Unread(item, phase) => Sleep::of_item(item).is_active(phase),
        }
    }

    /// The instance as it will be once it has woken, where the step from `old` asks for that.
    pub(crate) fn woken_from(mut self, old: &Self) -> Self {
        if let (Activity::Known(was, _), Activity::Known(is, _)) = (&old.activity, &self.activity)
            && was.is_forced
            && !is.is_forced
        {
            self.activity = Activity::Known(*is, "");
        }
        self
    }
}

/// The owner that an instance counts to. An instance of a team counts to the team alone, not to its members.
fn owner<'a>(owner: (&'a str, &'a str)) -> Option<Owner<'a>> {
    match owner {
        ("", "") => None,
        (user, "") => Some(Owner::User(user)),
        (_, team) => Some(Owner::Team(team)),
    }
}

impl Sleep {
    fn read<'a>(text: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let seconds = |name| text(name).and_then(|text| text.parse().ok()).unwrap_or_default();
        Self { is_forced: text(FORCE) == Some("true"), since: seconds(SLEEPING_SINCE), last_activity: seconds(LAST_ACTIVITY) }
    }

    fn of_item(item: &Item) -> Self {
        #[derive(Deserialize)]
        struct Outer {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        struct Metadata {
            annotations: Option<serde_json::Map<String, Value>>,
        }
        // Stored bytes were written by this API; what cannot be read does not sleep.
        let outer: Option<Outer> = serde_json::from_slice(&item.bytes).ok();
        let annotations = outer.and_then(|outer| outer.metadata.annotations).unwrap_or_default();
        Self::read(|name| annotations.get(name).and_then(Value::as_str))
    }

    fn is_active(self, phase: &str) -> bool {
        let is_asleep = phase == SLEEPING && self.last_activity <= self.since;
        !self.is_forced && !is_asleep
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    #[test]
    fn who_sleeps_is_not_active() {
        let table = [
            (json!({}), "", true),
            (json!({}), "Ready", true),
            (json!({}), "Failed", true),
            (json!({}), "Sleeping", false),
            (json!({FORCE: "true"}), "", false),
            (json!({FORCE: "true"}), "Ready", false),
            (json!({FORCE: "false"}), "Ready", true),
            (json!({FORCE: "true", LAST_ACTIVITY: "200", SLEEPING_SINCE: "100"}), "Sleeping", false),
            // Put to sleep for want of activity.
            (json!({LAST_ACTIVITY: "90", SLEEPING_SINCE: "100"}), "Sleeping", false),
            (json!({SLEEPING_SINCE: "100"}), "Sleeping", false),
            (json!({LAST_ACTIVITY: "x"}), "Sleeping", false),
            // About to wake.
            (json!({LAST_ACTIVITY: "200", SLEEPING_SINCE: "100"}), "Sleeping", true),
            (json!({LAST_ACTIVITY: "200"}), "Sleeping", true),
        ];
        for (annotations, phase, want) in table {
            let object = object(json!({"metadata": {"annotations": annotations}, "status": {"phase": phase}}));
            assert_eq!(Facts::of_object(&object).is_active(), want, "{annotations} {phase:?}");
        }
    }

    #[test]
    fn taking_force_away_wakes() {
        let of = |annotations: Value| object(json!({"metadata": {"annotations": annotations}, "status": {"phase": "Sleeping"}}));
        let (forced, plain) = (of(json!({FORCE: "true"})), of(json!({})));
        for (old, new, want) in [(&forced, &plain, true), (&plain, &plain, false), (&plain, &forced, false), (&forced, &forced, false)] {
            let new = Facts::of_object(new).woken_from(&Facts::of_object(old));
            assert_eq!(new.is_active(), want, "{old:?} -> {new:?}");
        }
    }

    #[test]
    fn a_team_is_the_owner_before_a_user() {
        let table =
            [("", "", None), ("u", "", Some(Owner::User("u"))), ("", "t", Some(Owner::Team("t"))), ("u", "t", Some(Owner::Team("t")))];
        for (user, team, want) in table {
            assert_eq!(owner((user, team)), want);
        }
    }
}
