//! What of a project is for those alone who may change it.
//!
//! Members read their project to learn what they may do in it. How much others use is none of that, nor what the project logs in with
//! elsewhere. Of the use by users and teams readers keep their own rows; limits, and what the whole project uses, are for all.

use crate::access::Caller;
use crate::rules::remove_last_applied;
use apiserver_meta::resource::PrivatePart;
use apiserver_meta::{Object, Principal, Subresource};
use serde_json::{Map, Value};

pub(super) const PART: PrivatePart = PrivatePart { verbs: &["update", "patch"], subresource: Subresource::Main, hide };

fn hide(project: &mut Object, reader: &Principal) {
    let reader = Caller::of(reader);
    // The names of fields are here those of users and teams, too.
    if let Some(metadata) = at(&mut project.0, &["metadata"]) {
        metadata.remove("managedFields");
    }
    remove_last_applied(project);
    if let Some(vault) = at(&mut project.0, &["spec", "vault"]) {
        vault.remove("auth");
    }
    let Some(user) = at(&mut project.0, &["status", "quotas", "user"]) else { return };
    if let Some(used) = at(user, &["used"]) {
        keep_own(used, reader);
    }
    for used in at(user, &["clusters"]).into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        keep_own(used, reader);
    }
}

/// Leaves the rows of the reader, and of the teams that the reader is in.
fn keep_own(used: &mut Map<String, Value>, reader: &Caller) {
    remove(used, "users", |users| users.retain(|name, _| reader.user.as_ref() == Some(name)));
    remove(used, "teams", |teams| teams.retain(|name, _| reader.teams.contains(name)));
}

/// Takes something out of a member, and the member when it becomes empty, as everywhere.
fn remove(object: &mut Map<String, Value>, member: &str, take: impl FnOnce(&mut Map<String, Value>)) {
    let Some(inner) = at(object, &[member]) else { return };
    take(inner);
    if inner.is_empty() {
        object.remove(member);
    }
}

fn at<'a>(object: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter().try_fold(object, |object, name| object.get_mut(*name)?.as_object_mut())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rules::LAST_APPLIED;
    use serde_json::json;

    fn shown(project: &Value, user: Option<&str>, teams: &[&str]) -> Value {
        let mut object = Object::from_value(project.clone()).unwrap();
        let teams = teams.iter().map(|team| (*team).to_owned()).collect();
        hide(&mut object, &Principal::new(Caller { user: user.map(str::to_owned), teams, ..Caller::default() }));
        Value::Object(object.0)
    }

    #[test]
    fn readers_keep_their_own_rows_and_the_totals() {
        let total = json!({"limit": {"i": "9"}, "used": {"i": "3"}});
        let all = json!({"users": {"ann": {"i": "1"}, "bob": {"i": "2"}}, "teams": {"ann": {"i": "4"}, "ops": {"i": "5"}}});
        let with = |used: &Value| {
            let user = json!({"limit": {"i": "5"}, "used": used, "clusters": {"c": used}});
            json!({"status": {"quotas": {"project": total, "user": user}}})
        };
        for (user, teams, want) in [
            (Some("ann"), &[][..], json!({"users": {"ann": {"i": "1"}}})),
            (Some("bob"), &["ops"][..], json!({"users": {"bob": {"i": "2"}}, "teams": {"ops": {"i": "5"}}})),
            (None, &["ann"][..], json!({"teams": {"ann": {"i": "4"}}})),
            (Some("zoe"), &["devs"][..], json!({})),
            (None, &[][..], json!({})),
        ] {
            assert_eq!(shown(&with(&all), user, teams), with(&want), "{user:?} {teams:?}");
        }
        let without = json!({"metadata": {"name": "p"}, "spec": {}, "status": {"quotas": {"project": total}}});
        assert_eq!(shown(&without, Some("ann"), &[]), without);
    }

    #[test]
    fn what_the_project_logs_in_with_is_not_shown_nor_a_copy_of_it() {
        let project = json!({
            "metadata": {
                "name": "p", "annotations": {LAST_APPLIED: "s3cret"},
                "managedFields": [{"fieldsV1": {"f:status": {"f:quotas": {"f:user": {"f:used": {"f:users": {"f:s3cret": {}}}}}}}}],
            },
            "spec": {"vault": {"enabled": true, "address": "a", "auth": {"token": "s3cret"}}},
        });
        let want = json!({"metadata": {"name": "p"}, "spec": {"vault": {"enabled": true, "address": "a"}}});
        assert_eq!(shown(&project, Some("ann"), &[]), want);
    }
}
