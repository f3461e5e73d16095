//! Rules that several kinds share.

use crate::access::{Caller, ObjectAccess, owner_of};
use crate::types::{Access, Condition, InstanceAccessRule, UserOrTeam, VirtualClusterTemplateDefinition, object_access};
use apiserver_meta::context::USER_ANONYMOUS;
use apiserver_meta::field::MOST_ERRORS;
use apiserver_meta::validation::{Size, SizeLimit};
use apiserver_meta::{FieldError, FieldPath, Object, RequestContext};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Rules are looked through for every reader.
const MOST_RULES: Size = Size::Items(1000);

/// How many rules of access an object may have.
pub(crate) const ACCESS: SizeLimit = SizeLimit { path: &["spec", "access"], most: MOST_RULES };
/// How many rules about roles an instance may have beside those of its template.
pub(crate) const EXTRA_ACCESS_RULES: SizeLimit = SizeLimit { path: &["spec", "extraAccessRules"], most: MOST_RULES };
/// How many rules about roles a template may have.
pub(crate) const TEMPLATE_RULES: SizeLimit = SizeLimit { path: &["spec", "template", "access", "rules"], most: MOST_RULES };
/// How many conditions an object may have.
pub(crate) const CONDITIONS: SizeLimit = SizeLimit { path: &["status", "conditions"], most: MOST_RULES };

/// The part of an object at a path of member names, as a Rust type; the default when it is absent.
///
/// # Errors
/// It has another form, which an object in canonical form never has.
pub(crate) fn part<T: DeserializeOwned + Default>(object: &Object, path: &[&str]) -> Result<T, FieldError> {
    let Some(value) = object.at(path) else {
        return Ok(T::default());
    };
    // What serde says of it may hold the value.
    T::deserialize(value).map_err(|_| FieldError::invalid_unshown(&field(path), "must have the form that its schema says"))
}

/// The path of nested fields.
pub(crate) fn field(path: &[&str]) -> FieldPath {
    path.iter().fold(FieldPath::default(), |path, name| path.child(name))
}

/// A top-level field that is an object, made when there is none.
pub(crate) fn object_mut<'a>(object: &'a mut Object, name: &str) -> &'a mut Map<String, Value> {
    let slot = object.0.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

/// In which `kubectl apply` keeps what it was given: the whole object.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Takes out that annotation, which holds what was taken out elsewhere.
pub(crate) fn remove_last_applied(object: &mut Object) {
    let Some(annotations) = object.0.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations")?.as_object_mut()) else {
        return;
    };
    if annotations.remove(LAST_APPLIED).is_some() && annotations.is_empty() {
        object.metadata_mut().remove("annotations");
    }
}

/// The caller, as an owner: the user, the team of a team's key, or the name of somebody who has no User object. Nobody
/// when the caller is anonymous.
fn creator(ctx: &RequestContext) -> UserOrTeam {
    if let Some(user) = &Caller::from_context(ctx).user {
        return UserOrTeam { user: user.clone(), team: String::new() };
    }
    if let Some(team) = Caller::from_context(ctx).teams.first() {
        return UserOrTeam { user: String::new(), team: team.clone() };
    }
    let user = Some(&ctx.user.name).filter(|name| *name != USER_ANONYMOUS).cloned().unwrap_or_default();
    UserOrTeam { user, team: String::new() }
}

fn is_owned(object: &Object) -> bool {
    owner_of(object) != ("", "")
}

/// Makes the caller the owner of an object that names none.
pub(crate) fn default_owner(ctx: &RequestContext, object: &mut Object) {
    let creator = creator(ctx);
    if is_owned(object) || creator.is_empty() {
        return;
    }
    let (who, name) = if creator.user.is_empty() { ("team", creator.team) } else { ("user", creator.user) };
    object_mut(object, "spec").insert("owner".into(), Value::Object(Map::from_iter([(who.into(), name.into())])));
}

/// Keeps the owner of an object whose new form names none: whoever replaces an object from a file that leaves the owner out, or
/// takes the field away by a patch, does not mean that it belongs to nobody.
pub(crate) fn keep_owner(new: &mut Object, old: &Object) {
    if !is_owned(old) || is_owned(new) {
        return;
    }
    if let Some(owner) = old.at(&["spec", "owner"]) {
        object_mut(new, "spec").insert("owner".into(), owner.clone());
    }
}

/// What `spec.owner` and `spec.access` say, in the words of authorization. What cannot be read grants nothing.
pub(crate) fn access_of(object: &Object) -> ObjectAccess {
    let owner: UserOrTeam = part(object, &["spec", "owner"]).unwrap_or_default();
    let rules: Vec<Access> = part(object, &["spec", "access"]).unwrap_or_default();
    object_access(Some(&owner), &rules)
}

/// What `spec.access` says of an object whose owner has no right to change it.
pub(crate) fn granted_access(object: &Object) -> ObjectAccess {
    ObjectAccess { rules: access_of(object).rules, ..ObjectAccess::default() }
}

/// What a virtual cluster is made from can be made.
pub(crate) fn definition_errors(definition: &VirtualClusterTemplateDefinition, path: &FieldPath) -> Vec<FieldError> {
    let version = &definition.helm_release.chart.version;
    let mut errors = Vec::new();
    if !version.is_empty() && semantic_version(version).is_none() {
        let path = path.child("helmRelease").child("chart").child("version");
        errors.push(FieldError::invalid(&path, version.as_str(), "must be a semantic version, such as 0.27.0"));
    }
    if let Some(access) = &definition.access {
        errors.extend(role_errors(&access.rules, &path.child("access").child("rules")));
    }
    errors
}

/// A list that merges by type can hold each type once only.
pub(crate) fn condition_errors(object: &Object) -> Vec<FieldError> {
    let conditions: Vec<Condition> = match part(object, &["status", "conditions"]) {
        Ok(conditions) => conditions,
        Err(error) => return vec![error],
    };
    let path = field(&["status", "conditions"]);
    let mut seen = BTreeSet::new();
    let twice = conditions.iter().enumerate().filter(|(_, condition)| !seen.insert(&condition.r#type));
    twice.take(MOST_ERRORS).map(|(index, condition)| FieldError::duplicate(&path.index(index), json!({"type": condition.r#type}))).collect()
}

/// A rule about roles inside a virtual cluster must give one.
pub(crate) fn role_errors(rules: &[InstanceAccessRule], path: &FieldPath) -> Vec<FieldError> {
    let without = rules.iter().enumerate().filter(|(_, rule)| rule.cluster_role.is_empty());
    let without = without.take(MOST_ERRORS);
    without.map(|(index, _)| FieldError::required(&path.index(index).child("clusterRole"), "clusterrole is required")).collect()
}

/// A semantic version with an optional v before it, as Helm takes it.
pub(crate) fn semantic_version(text: &str) -> Option<semver::Version> {
    semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

/// Whoever is named must have a name.
pub(crate) fn named(names: &[String], path: &FieldPath) -> Vec<FieldError> {
    let empty = names.iter().enumerate().filter(|(_, name)| name.is_empty());
    empty.take(MOST_ERRORS).map(|(index, _)| FieldError::required(&path.index(index), "")).collect()
}

/// A string that may be set once and never changed after that.
pub(crate) fn immutable_once_set(new: &Object, old: &Object, path: &[&str]) -> Option<FieldError> {
    let (new, old) = (new.str_at(path), old.str_at(path));
    (!old.is_empty() && new != old).then(|| FieldError::invalid(&field(path), new, "field is immutable"))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::Caller;
    use apiserver_meta::User;
    use std::sync::Arc;
    use std::time::Instant;

    pub(crate) fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    /// The context of somebody with these names.
    pub(crate) fn context(name: &str, user: Option<&str>, teams: &[&str]) -> RequestContext {
        let caller =
            Caller { user: user.map(str::to_owned), teams: teams.iter().map(|team| (*team).to_owned()).collect(), ..Caller::default() };
        let user = User { name: name.into(), ..User::default() };
        RequestContext::new(Arc::new(user), apiserver_meta::Principal::new(caller), Instant::now(), "audit".into())
    }

    #[test]
    fn the_creator_becomes_the_owner_of_what_nobody_owns() {
        let nobody = json!({"spec": {"displayName": "d"}});
        let table = [
            (context("ann@example.com", Some("ann"), &["t"]), nobody.clone(), json!({"user": "ann"})),
            (context("loft:team:t", None, &["t"]), nobody.clone(), json!({"team": "t"})),
            (context("kubernetes-admin", None, &[]), nobody.clone(), json!({"user": "kubernetes-admin"})),
            (context("system:anonymous", None, &[]), nobody.clone(), json!(null)),
            (context("ann", Some("ann"), &[]), json!({"spec": {"owner": {}}}), json!({"user": "ann"})),
            (context("ann", Some("ann"), &[]), json!({"spec": {"owner": {"user": "bob"}}}), json!({"user": "bob"})),
            (context("ann", Some("ann"), &[]), json!({"spec": {"owner": {"team": "t"}}}), json!({"team": "t"})),
            (context("ann", Some("ann"), &[]), json!({}), json!({"user": "ann"})),
        ];
        for (ctx, before, want) in table {
            let mut object = object(before.clone());
            default_owner(&ctx, &mut object);
            assert_eq!(object.at(&["spec", "owner"]).unwrap_or(&Value::Null), &want, "{before} by {:?}", Caller::from_context(&ctx));
        }
    }

    #[test]
    fn what_is_set_once_stays() {
        let with = |cluster: &str| object(json!({"spec": {"clusterRef": {"cluster": cluster}}}));
        for (old, new, changed) in [("", "a", false), ("a", "a", false), ("a", "b", true), ("a", "", true), ("", "", false)] {
            let error = immutable_once_set(&with(new), &with(old), &["spec", "clusterRef", "cluster"]);
            assert_eq!(error.is_some(), changed, "{old} -> {new}");
            if let Some(error) = error {
                assert_eq!(error.to_string(), format!("spec.clusterRef.cluster: Invalid value: {new:?}: field is immutable"));
            }
        }
    }

    #[test]
    fn of_very_many_faults_the_first_are_told() {
        let (path, many) = (FieldPath::new("l"), 1_000_000);
        assert_eq!(role_errors(&vec![InstanceAccessRule::default(); many], &path).len(), MOST_ERRORS);
        assert_eq!(named(&vec![String::new(); many], &path).len(), MOST_ERRORS);
    }
}
