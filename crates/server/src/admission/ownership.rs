//! Who may say whose an object is, what its access rules grant, and who is a member of a project.
//!
//! A right to create or to change an object is no right to hand it, or rights on it, to others: otherwise whoever was
//! granted `update` could grant themselves everything else. What is needed is the verb `makeowner`: on the object to give it
//! to somebody else, on a User or a Team to make an object theirs from the beginning.

use super::permissions::{Act, Permissions};
use super::stored::Stored;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use vci_auth::directory::{Directory, Role};
use vci_meta::access::VERB_MAKE_OWNER;
use vci_meta::{ApiError, Descriptor, Object, ObjectKey, RequestContext, Subresource};
use vci_registry::{Admission, AdmissionRequest};

const PROJECTS: &str = "projects";

/// Lets everybody create objects of their own or of their teams. Owners and admins, of the project or of everything, say
/// afterwards whose it is and what its rules are; who was granted `makeowner` gives it away and no more.
#[derive(Debug)]
pub(crate) struct Ownership {
    directory: Arc<Directory>,
    permissions: Arc<Permissions>,
    stored: Arc<Stored>,
}

/// What somebody may do with the fields that say who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    Stranger,
    /// Say whose the object is.
    Giver,
    /// Everything.
    Owner,
}

impl Ownership {
    /// Reads roles from this directory, and users and teams as they are stored.
    pub(crate) fn new(directory: Arc<Directory>, permissions: Arc<Permissions>, stored: Arc<Stored>) -> Self {
        Self { directory, permissions, stored }
    }

    async fn create(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: &Object) -> Result<(), ApiError> {
        let others = others(ctx, object);
        let act = Act { descriptor: request.descriptor, verb: VERB_MAKE_OWNER, subresource: "", key: request.key };
        if others.is_empty() || self.permissions.allow(ctx, act).await {
            return Ok(());
        }
        for (plural, name) in others {
            if !self.may_give_to(ctx, plural, name).await? {
                return Err(refused(ctx, request.descriptor, object, "set spec.owner to somebody else"));
            }
        }
        Ok(())
    }

    /// Whether the caller may make objects that belong to this user or team.
    async fn may_give_to(&self, ctx: &RequestContext, plural: &str, name: &str) -> Result<bool, ApiError> {
        let Some(resource) = self.stored.resource(plural) else { return Ok(false) };
        let key = ObjectKey::new("", name);
        let act = Act { descriptor: resource.descriptor(), verb: VERB_MAKE_OWNER, subresource: "", key: &key };
        if self.permissions.allow(ctx, act).await {
            return Ok(true);
        }
        Ok(self.stored.access(&**resource, name).await?.grants(&ctx.caller, VERB_MAKE_OWNER, ""))
    }

    async fn update(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, new: &Object, old: &Object) -> Result<(), ApiError> {
        let changed: Vec<&str> = fields(request.descriptor).iter().copied().filter(|field| differs(new, old, field)).collect();
        let allowed = match changed.as_slice() {
            [] => true,
            ["owner"] => self.standing(ctx, request, old).await != Standing::Stranger,
            _ => self.standing(ctx, request, old).await == Standing::Owner,
        };
        if allowed && changed.contains(&"owner") && !self.may_receive(ctx, request, new).await? {
            return Err(refused(ctx, request.descriptor, new, "set spec.owner to somebody who is not known"));
        }
        if allowed {
            return Ok(());
        }
        let what = changed.join(" and spec.");
        Err(refused(ctx, request.descriptor, new, &format!("change spec.{what} of what somebody else owns")))
    }

    /// Whether those who become owners are there. Otherwise whoever gives an object to nobody would keep it by its rules, and
    /// it would count against nobody's quota. An admin may name whoever is still to come.
    async fn may_receive(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, new: &Object) -> Result<bool, ApiError> {
        let AdmissionRequest { descriptor, key, .. } = request;
        let others = others(ctx, new);
        if others.is_empty() || self.permissions.allow(ctx, Act { descriptor, verb: VERB_MAKE_OWNER, subresource: "", key }).await {
            return Ok(true);
        }
        for (plural, name) in others {
            let Some(resource) = self.stored.resource(plural) else { return Ok(false) };
            if !self.stored.exists(&**resource, name).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn standing(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, old: &Object) -> Standing {
        let AdmissionRequest { descriptor, key, .. } = request;
        let admin = || descriptor.plural == PROJECTS && self.directory.role_in_project(&key.name, &ctx.caller) == Some(Role::Admin);
        if is_owned(ctx, old) || admin() {
            return Standing::Owner;
        }
        let granted =
            || self.stored.resource(descriptor.plural).is_some_and(|kind| kind.access(old).grants(&ctx.caller, VERB_MAKE_OWNER, ""));
        match self.permissions.view(ctx, Act { descriptor, verb: VERB_MAKE_OWNER, subresource: "", key }).await {
            // An authorizer may have answered by what the project itself says.
            Some(vci_meta::View::All) if descriptor.plural == PROJECTS && granted() => Standing::Giver,
            Some(vci_meta::View::All) => Standing::Owner,
            Some(_) if granted() => Standing::Giver,
            _ => Standing::Stranger,
        }
    }
}

#[async_trait]
impl Admission for Ownership {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        match (object, request.old) {
            (Some(object), None) => self.create(ctx, request, object).await,
            (Some(new), Some(old)) if request.subresource == Subresource::Main => self.update(ctx, request, new, old).await,
            _ => Ok(()),
        }
    }
}

/// The fields that say who may do what with an object.
fn fields(descriptor: &Descriptor) -> &'static [&'static str] {
    if descriptor.plural == PROJECTS { &["access", "members", "owner"] } else { &["access", "owner"] }
}

/// Whom the object names as owners who are neither the caller nor a team of the caller: the plural of the kind, and the name.
fn others<'a>(ctx: &RequestContext, object: &'a Object) -> Vec<(&'static str, &'a str)> {
    let (user, team) = owners(object);
    let mut others = Vec::new();
    if !user.is_empty() && !is_name_of(ctx, user) {
        others.push(("users", user));
    }
    if !team.is_empty() && !is_team_of(ctx, team) {
        others.push(("teams", team));
    }
    others
}

/// Whether the caller owns the object, alone or through a team.
fn is_owned(ctx: &RequestContext, object: &Object) -> bool {
    let (user, team) = owners(object);
    !user.is_empty() && is_name_of(ctx, user) || !team.is_empty() && is_team_of(ctx, team)
}

fn owners(object: &Object) -> (&str, &str) {
    (object.str_at(&["spec", "owner", "user"]), object.str_at(&["spec", "owner", "team"]))
}

/// Who has no User object, and is no team, is known by the name alone.
fn is_name_of(ctx: &RequestContext, user: &str) -> bool {
    match &ctx.caller.user {
        Some(name) => name == user,
        None => ctx.caller.teams.is_empty() && ctx.user.name == user,
    }
}

fn is_team_of(ctx: &RequestContext, team: &str) -> bool {
    ctx.caller.teams.iter().any(|own| own == team)
}

fn differs(a: &Object, b: &Object, field: &str) -> bool {
    let value = |object: &Object| object.at(&["spec", field]).cloned().unwrap_or(Value::Null);
    value(a) != value(b)
}

fn refused(ctx: &RequestContext, descriptor: &Descriptor, object: &Object, what: &str) -> ApiError {
    ApiError::forbidden(descriptor.group_resource(), object.name(), format!("User {:?} cannot {what}", ctx.user.name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::admission::tests::{Rig, member};
    use serde_json::json;

    const VCI: &str = "virtualclusterinstances";

    /// A project of which adam is an admin; una, tina (of devs) and zoe are users.
    async fn rig() -> Rig {
        let rig = Rig::start().await;
        let members = json!([member("adam", "admin"), member("una", "user"), member("tina", "user"), member("zoe", "user")]);
        let spec = json!({"members": members, "requireTemplate": {"disabled": true}});
        rig.create("root", "projects", "blue", spec).await.unwrap();
        rig.knows("zoe", "loft-p-blue").await;
        rig
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_creation_is_for_oneself_unless_others_let_it() {
        let rig = rig().await;
        rig.patch("root", "users", "zoe", &json!({"spec": {"access": [{"verbs": ["makeowner"], "users": ["una"]}]}})).await.unwrap();
        rig.patch("root", "teams", "devs", &json!({"spec": {"access": [{"verbs": ["get"], "users": ["una"]}]}})).await.unwrap();
        let table = [
            ("una", json!({}), true),
            ("una", json!({"user": "una"}), true),
            ("una", json!({"user": "adam"}), false),
            ("una", json!({"user": "nobody"}), false),
            ("una", json!({"user": "zoe"}), true),
            ("una", json!({"team": "devs"}), false),
            ("una", json!({"user": "una", "team": "devs"}), false),
            ("una", json!({"user": "zoe", "team": "devs"}), false),
            ("tina", json!({"team": "devs"}), true),
            ("tina", json!({"user": "tina", "team": "devs"}), true),
            ("tina", json!({"user": "zoe"}), false),
            ("adam", json!({"user": "una"}), true),
            ("root", json!({"team": "devs"}), true),
        ];
        for (index, (who, owner, want)) in table.into_iter().enumerate() {
            let made = rig.create(who, VCI, &format!("loft-p-blue/i{index}"), json!({"owner": owner})).await;
            assert_eq!(made.map_err(|error| error.code()).err(), (!want).then_some(403), "{who} for {owner}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn to_change_is_not_to_give_away() {
        let rig = rig().await;
        let rules = json!([{"verbs": ["update", "patch"], "users": ["tina"]}, {"verbs": ["patch", "makeowner"], "users": ["zoe"]}]);
        let owner = |name: &str| json!({"owner": {"user": name}});
        let access = json!({"access": []});
        // who, which change of una's object, whether it is allowed
        let table = [
            ("tina", json!({"displayName": "x"}), true),
            ("tina", owner("tina"), false),
            ("tina", access.clone(), false),
            ("zoe", owner("zoe"), true),
            ("zoe", access.clone(), false),
            ("zoe", json!({"owner": {"user": "zoe"}, "access": []}), false),
            ("una", owner("zoe"), true),
            ("una", owner("nobody"), false),
            ("una", json!({"owner": {"team": "nobody"}}), false),
            ("zoe", owner("nobody"), false),
            ("adam", owner("nobody"), true),
            ("una", access.clone(), true),
            ("adam", owner("adam"), true),
            ("adam", access, true),
            ("root", owner("root"), true),
        ];
        for (index, (who, spec, want)) in table.into_iter().enumerate() {
            let at = format!("loft-p-blue/i{index}");
            rig.create("una", VCI, &at, json!({ "access": rules })).await.unwrap();
            let changed = rig.patch(who, VCI, &at, &json!({ "spec": spec })).await;
            assert_eq!(changed.map_err(|error| error.code()).err(), (!want).then_some(403), "{who}: {spec}");
        }
        let error = rig.patch("tina", VCI, "loft-p-blue/i0", &json!({"spec": {"owner": null, "access": null}})).await.unwrap_err();
        let text = "virtualclusterinstances.management.loft.sh \"i0\" is forbidden: User \"tina\" cannot change spec.access and spec.owner of what somebody else owns";
        assert_eq!(error.message, text);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn members_of_a_project_are_its_admins_to_say() {
        let rig = rig().await;
        let rules = json!([{"verbs": ["*", "makeowner"], "users": ["una"]}, {"verbs": ["update", "patch"], "users": ["tina"]}]);
        rig.patch("root", "projects", "blue", &json!({"spec": {"access": rules, "owner": {"user": "zoe"}}})).await.unwrap();
        let change =
            async |who: &str, spec: Value| rig.patch(who, "projects", "blue", &json!({ "spec": spec })).await.map_err(|error| error.code());
        let all = |name: &str| json!({"members": [member("adam", "admin"), member("una", "user"), member("tina", "user"), member(name, "admin")]});
        assert_eq!(change("tina", json!({"displayName": "x", "quotas": {"project": {"virtualclusterinstances": "9"}}})).await, Ok(()));
        for spec in [all("tina"), json!({"owner": {"user": "tina"}}), json!({"access": []})] {
            assert_eq!(change("tina", spec.clone()).await, Err(403), "{spec}");
        }
        assert_eq!(change("una", all("una")).await, Err(403));
        assert_eq!(change("adam", all("eve")).await, Ok(()));
        assert_eq!(change("zoe", all("mallory")).await, Ok(()));
        assert_eq!(change("una", json!({"owner": {"user": "una"}})).await, Ok(()), "that is what makeowner is");
    }
}
