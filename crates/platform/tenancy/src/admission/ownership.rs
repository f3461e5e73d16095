//! Rules for changes of the owner, the access rules and the members that an object names.
//!
//! The verbs `create` and `update` do not include the right to give an object, or rights on it, to others. Otherwise a user with
//! `update` could grant themselves every other verb.
//!
//! - Only the object's owner, an admin of its project, an administrator, or a caller with the verb `makeowner` on it changes the owner.
//! - The new owner must be the caller, a team of the caller, or a User or Team on which the caller has `makeowner` and which, in a
//!   project, is a member of it. Otherwise users could fill the quotas of others, or escape their own.
//! - Administrators set any owner. An admin of a project gives the project itself to any User or Team that exists.
//! - Only the object's owner, an admin of its project or an administrator changes access rules and members.

use super::granting_fields::{self, OWNER};
use super::stored::Stored;
use crate::directory::{Directory, Role, TEAM_PREFIX};
use apiserver_meta::{ApiError, Descriptor, Object, ObjectKey, RequestContext, Scope, Subresource};
use apiserver_registry::{Admission, AdmissionRequest};
use apiserver_server::admission::{Act, Permissions};
use async_trait::async_trait;
use std::sync::Arc;
use vci_management::access::{Caller, ObjectAccess, VERB_MAKE_OWNER, owner_of};
use vci_management::plural::{PROJECTS, TEAMS, USERS};

/// Lets everybody create objects of their own or of their teams. Owners and admins, of the project or of everything, say
/// afterwards whose it is and what its rules are; who was granted `makeowner` gives it away and no more.
#[derive(Debug)]
pub(crate) struct Ownership {
    directory: Arc<Directory>,
    permissions: Arc<Permissions>,
    stored: Arc<Stored>,
}

/// The right of a caller to change the fields that grant rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnershipLevel {
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
        if self.may_receive(ctx, request, object).await? {
            return Ok(());
        }
        Err(refused(ctx, request.descriptor, object, "set spec.owner to somebody else"))
    }

    /// Whether the caller may make the users and teams the owners that the object newly names.
    async fn may_receive(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, new: &Object) -> Result<bool, ApiError> {
        let before = request.old.map(owner_of).unwrap_or_default();
        let mut receivers = others(ctx, new);
        receivers.retain(|(plural, name)| *name != if *plural == USERS { before.0 } else { before.1 });
        if receivers.is_empty() || self.is_admin(ctx, request).await {
            return Ok(true);
        }
        for (plural, name) in receivers {
            let may = if self.is_project_admin(ctx, request) {
                // An admin of a project could make any user a member first. The new owner only has to exist.
                self.stored.uid(plural, &ObjectKey::new("", name)).await?.is_some()
            } else {
                self.is_member(request, plural, name) && self.may_give_to(ctx, plural, name).await?
            };
            if !may {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the caller may do everything here. Of what lies outside of namespaces each object is asked about itself when it is
    /// named, so none is.
    async fn is_admin(&self, ctx: &RequestContext, request: AdmissionRequest<'_>) -> bool {
        let AdmissionRequest { descriptor, key, .. } = request;
        let unnamed = ObjectKey::new("", "");
        let key = if descriptor.scope == Scope::Namespaced { key } else { &unnamed };
        self.permissions.allow(ctx, Act { descriptor, verb: VERB_MAKE_OWNER, subresource: "", key }).await
    }

    fn is_project_admin(&self, ctx: &RequestContext, request: AdmissionRequest<'_>) -> bool {
        let AdmissionRequest { descriptor, key, .. } = request;
        descriptor.plural == PROJECTS && self.directory.role_in_project(&key.name, Caller::from_context(ctx)) == Some(Role::Admin)
    }

    /// Whether a user or a team is in the project that the object is, or is in. Other objects are in none.
    fn is_member(&self, request: AdmissionRequest<'_>, plural: &str, name: &str) -> bool {
        let AdmissionRequest { descriptor, key, .. } = request;
        let known = if plural == USERS { self.directory.known_as(name) } else { self.directory.known_as(&format!("{TEAM_PREFIX}{name}")) };
        let role = |caller: &Caller| match descriptor.scope {
            Scope::Namespaced => self.directory.role(&key.namespace, caller),
            Scope::Cluster => self.directory.role_in_project(&key.name, caller),
        };
        let in_project = descriptor.scope == Scope::Namespaced || descriptor.plural == PROJECTS;
        !in_project || known.is_some_and(|known| role(Caller::of(&known.principal)).is_some())
    }

    /// Whether the caller may make objects that belong to this user or team.
    async fn may_give_to(&self, ctx: &RequestContext, plural: &str, name: &str) -> Result<bool, ApiError> {
        let Some(resource) = self.stored.resource(plural) else { return Ok(false) };
        let key = ObjectKey::new("", name);
        let act = Act { descriptor: resource.descriptor(), verb: VERB_MAKE_OWNER, subresource: "", key: &key };
        if self.permissions.allow(ctx, act).await {
            return Ok(true);
        }
        Ok(self.stored.access(&**resource, name).await?.grants(Caller::from_context(ctx), VERB_MAKE_OWNER, ""))
    }

    async fn update(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, new: &Object, old: &Object) -> Result<(), ApiError> {
        let fields = granting_fields::of(request.descriptor).iter().copied();
        let changed: Vec<_> = fields.filter(|path| granting_fields::differs(new, old, path)).collect();
        let allowed = match changed.as_slice() {
            [] => true,
            [path] if *path == OWNER => self.standing(ctx, request, old).await != OwnershipLevel::Stranger,
            _ => self.standing(ctx, request, old).await == OwnershipLevel::Owner,
        };
        if !allowed {
            let what: Vec<String> = changed.iter().map(|path| path.join(".")).collect();
            return Err(refused(ctx, request.descriptor, new, &format!("change {} of what somebody else owns", what.join(" and "))));
        }
        if changed.contains(&OWNER) && !self.may_receive(ctx, request, new).await? {
            // One answer for all reasons: it tells nobody who is there.
            return Err(refused(ctx, request.descriptor, new, "set spec.owner to somebody who does not let them or is in no such project"));
        }
        Ok(())
    }

    async fn standing(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, old: &Object) -> OwnershipLevel {
        let AdmissionRequest { descriptor, key, .. } = request;
        if is_owned(ctx, old) || self.is_project_admin(ctx, request) {
            return OwnershipLevel::Owner;
        }
        let granted = || {
            self.stored
                .resource(descriptor.plural)
                .is_some_and(|kind| ObjectAccess::read(&**kind, old).grants(Caller::from_context(ctx), VERB_MAKE_OWNER, ""))
        };
        match self.permissions.filter(ctx, Act { descriptor, verb: VERB_MAKE_OWNER, subresource: "", key }).await {
            // An authorizer may have answered by what the project itself says.
            Some(apiserver_meta::ObjectFilter::All) if descriptor.plural == PROJECTS && granted() => OwnershipLevel::Giver,
            Some(apiserver_meta::ObjectFilter::All) => OwnershipLevel::Owner,
            Some(_) if granted() => OwnershipLevel::Giver,
            _ => OwnershipLevel::Stranger,
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

/// The owners that the object names, without the caller and the caller's teams: the plural of the kind, and the name.
fn others<'a>(ctx: &RequestContext, object: &'a Object) -> Vec<(&'static str, &'a str)> {
    let (user, team) = owner_of(object);
    let mut others = Vec::new();
    if !user.is_empty() && !is_name_of(ctx, user) {
        others.push((USERS, user));
    }
    if !team.is_empty() && !is_team_of(ctx, team) {
        others.push((TEAMS, team));
    }
    others
}

/// Whether the caller owns the object, alone or through a team.
fn is_owned(ctx: &RequestContext, object: &Object) -> bool {
    let (user, team) = owner_of(object);
    !user.is_empty() && is_name_of(ctx, user) || !team.is_empty() && is_team_of(ctx, team)
}

/// Whether this is the caller's name as an owner. A caller without a User object who is no team is known by the user name alone.
fn is_name_of(ctx: &RequestContext, user: &str) -> bool {
    match &Caller::from_context(ctx).user {
        Some(name) => name == user,
        None => Caller::from_context(ctx).teams.is_empty() && ctx.user.name == user,
    }
}

fn is_team_of(ctx: &RequestContext, team: &str) -> bool {
    Caller::from_context(ctx).teams.iter().any(|own| own == team)
}

fn refused(ctx: &RequestContext, descriptor: &Descriptor, object: &Object, what: &str) -> ApiError {
    ApiError::forbidden(descriptor.group_resource(), object.name(), format!("User {:?} cannot {what}", ctx.user.name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, member};
    use serde_json::{Value, json};
    use vci_management::access::Caller;

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

    /// The team ops, a member of the project, and eve, who is none, as well as tina let una make things theirs.
    async fn consents(rig: &Rig) {
        let consent = json!({"access": [{"verbs": ["makeowner"], "users": ["una"]}]});
        rig.patch("root", "users", "tina", &json!({ "spec": consent })).await.unwrap();
        rig.create("root", "users", "eve", consent.clone()).await.unwrap();
        rig.create("root", "teams", "ops", consent).await.unwrap();
        let mut members = rig.get("root", "projects", "blue").await["spec"]["members"].clone();
        members.as_array_mut().unwrap().push(json!({"kind": "Team", "name": "ops", "clusterRole": "loft-management-project-user"}));
        rig.patch("root", "projects", "blue", &json!({"spec": {"members": members}})).await.unwrap();
        let (directory, ..) = rig.feeding();
        let of_ops =
            || directory.known_as("loft:team:ops").is_some_and(|ops| directory.role("loft-p-blue", Caller::of(&ops.principal)).is_some());
        rig.wait_for(|| of_ops() && directory.known_as("eve").is_some()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_creation_is_for_oneself_unless_others_let_it() {
        let rig = rig().await;
        consents(&rig).await;
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
            ("una", json!({"user": "eve"}), false),
            ("una", json!({"team": "ops"}), true),
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
        consents(&rig).await;
        let rules = json!([{"verbs": ["update", "patch"], "users": ["tina"]}, {"verbs": ["patch", "makeowner"], "users": ["zoe"]}]);
        let owner = |name: &str| json!({"owner": {"user": name}});
        let access = json!({"access": []});
        // who, which change of una's object, whether it is allowed
        let table = [
            ("tina", json!({"displayName": "x"}), true),
            ("tina", owner("tina"), false),
            ("tina", access.clone(), false),
            ("tina", json!({"extraAccessRules": [{"users": ["tina"], "clusterRole": "cluster-admin"}]}), false),
            ("tina", json!({"template": {"access": {"defaultClusterRole": "cluster-admin"}}}), false),
            ("tina", json!({"template": {"objects": "a ClusterRoleBinding for tina"}}), false),
            ("tina", json!({"templateRef": {"name": "without-rules"}}), false),
            ("tina", json!({"parameters": "size: large"}), true),
            ("una", json!({"extraAccessRules": [{"users": ["tina"], "clusterRole": "view"}]}), true),
            ("una", json!({"template": {"access": {"defaultClusterRole": "view"}}}), true),
            ("zoe", owner("zoe"), true),
            ("zoe", access.clone(), false),
            ("zoe", json!({"owner": {"user": "zoe"}, "access": []}), false),
            ("una", owner("zoe"), false),
            ("una", owner("tina"), true),
            ("una", owner("eve"), false),
            ("una", owner("nobody"), false),
            ("una", json!({"owner": {"user": "una", "team": "devs"}}), false),
            ("una", json!({"owner": {"user": "tina", "team": "devs"}}), false),
            ("una", json!({"owner": {"user": "tina", "team": "ops"}}), true),
            ("una", json!({"owner": {"team": "ops"}}), true),
            ("una", json!({"owner": null}), true),
            ("una", json!({"owner": {"user": null}}), true),
            ("una", json!({"owner": {"team": "nobody"}}), false),
            ("zoe", owner("nobody"), false),
            ("zoe", owner("tina"), false),
            ("zoe", json!({"owner": {"user": "zoe", "team": "devs"}}), false),
            ("adam", owner("nobody"), true),
            ("adam", owner("eve"), true),
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
        let error =
            rig.patch("tina", VCI, "loft-p-blue/i0", &json!({"spec": {"owner": {"user": "tina"}, "access": null}})).await.unwrap_err();
        let text = "virtualclusterinstances.management.loft.sh \"i0\" is forbidden: User \"tina\" cannot change spec.access and spec.owner of what somebody else owns";
        assert_eq!(error.message, text);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_has_which_role_by_a_template_is_its_owner_to_say() {
        let rig = Rig::start().await;
        let version = |role: &str, objects: &str| json!([{"version": "1.0.0", "template": {"access": {"defaultClusterRole": role}, "objects": objects}}]);
        let rules = json!([{"verbs": ["*"], "users": ["tina"]}]);
        let spec = json!({"owner": {"user": "una"}, "access": rules, "versions": version("view", "")});
        rig.create("root", "virtualclustertemplates", "t", spec).await.unwrap();
        let table = [
            ("tina", json!({"versions": version("view", "kind: ConfigMap")}), true),
            ("tina", json!({"versions": version("cluster-admin", "")}), false),
            ("tina", json!({"versions": null}), false),
            ("tina", json!({"template": {"access": {"rules": [{"users": ["tina"], "clusterRole": "cluster-admin"}]}}}), false),
            ("tina", json!({"owner": {"user": "tina"}}), false),
            ("una", json!({"owner": {"user": "zoe"}}), false),
            ("una", json!({"versions": version("edit", "")}), true),
            ("root", json!({"owner": {"user": "zoe"}}), true),
        ];
        for (who, spec, want) in table {
            let changed = rig.patch(who, "virtualclustertemplates", "t", &json!({ "spec": spec })).await;
            assert_eq!(changed.map_err(|error| error.code()).err(), (!want).then_some(403), "{who}: {spec}");
        }
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
        assert_eq!(change("una", json!({"argoCD": {"sso": {"enabled": true}}})).await, Err(403));
        assert_eq!(change("adam", all("eve")).await, Ok(()));
        assert_eq!(change("zoe", all("mallory")).await, Ok(()));
        // Whoever may give the project away gives it to members who agree; its admins to whom they like, who must be there.
        for (who, receiver, want) in
            [("una", "nobody", Err(403)), ("una", "adam", Err(403)), ("zoe", "nobody", Err(403)), ("zoe", "adam", Ok(()))]
        {
            assert_eq!(change(who, json!({"owner": {"user": receiver}})).await, want, "{who} to {receiver}");
        }
        assert_eq!(change("una", json!({"owner": {"user": "una"}})).await, Ok(()), "that is what makeowner is");
    }
}
