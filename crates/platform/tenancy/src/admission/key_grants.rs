//! Rules for the creation and change of access keys.
//!
//! - A user makes keys for that user only. Administrators make keys for any user and any team.
//! - A request that was authenticated by an access key cannot make a key that is broader than that key or lasts longer. Neither can
//!   it widen, re-enable or give another secret to such a key. When the request's own key has been deleted meanwhile, the request
//!   cannot make or change keys at all.
//! - Only members of `system:masters` make a key whose holder is in `system:masters`, or widen, re-enable or give another secret to
//!   such a key.
//! - A user or a team has at most [`MOST_KEYS`] keys, whoever makes them, because each server has all keys in memory.

use crate::clock::unix_seconds;
use crate::directory::{Directory, EXTRA_ACCESS_KEY, Holder, KeyRecord};
use crate::identity_informer::record;
use apiserver_meta::context::GROUP_MASTERS;
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, RequestContext, Verb};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use std::sync::Arc;
use vci_management::access::Caller;

/// How many keys a user or a team may have. Servers count what they have heard of: at once, some more may be made.
const MOST_KEYS: usize = 1000;

/// Refuses keys for others, and keys that give more than the one that the request came with.
#[derive(Debug)]
pub(crate) struct KeyAdmission {
    directory: Arc<Directory>,
}

impl KeyAdmission {
    /// Reads roles and keys from this directory.
    pub(crate) fn new(directory: Arc<Directory>) -> Self {
        Self { directory }
    }

    fn is_admin(&self, ctx: &RequestContext) -> bool {
        ctx.user.in_group(GROUP_MASTERS) || self.directory.is_admin(Caller::from_context(ctx))
    }

    fn bound(&self, ctx: &RequestContext) -> Bound {
        let said = || ctx.user.extra.get(EXTRA_ACCESS_KEY).and_then(|names| names.first());
        let Some(name) = Caller::from_context(ctx).access_key.as_ref().or_else(said) else { return Bound::None };
        self.directory.key(name).map_or(Bound::Gone, Bound::Key)
    }

    /// The holder of a new key has as many as there may be.
    fn one_too_many(&self, object: &Object) -> Option<FieldError> {
        let holder = record::key(object)?.holder;
        let (kind, name) = match &holder {
            Holder::User(name) => ("user", name.clone()),
            Holder::Team(name) => ("team", name.clone()),
            Holder::VirtualCluster(identity) => ("subject", identity.to_string()),
        };
        let held = self.directory.keys_held(&holder);
        let path = FieldPath::new("spec").child(kind);
        let why = || format!("{kind} {name:?} has {held} access keys, and may have {MOST_KEYS}: delete those that are not used");
        (held >= MOST_KEYS).then(|| FieldError::forbidden(&path, why()))
    }

    /// Why the key may not become this, if so.
    fn refusal(&self, ctx: &RequestContext, object: &Object, old: Option<&Object>) -> Option<&'static str> {
        let own = Caller::from_context(ctx).user.as_deref().is_some_and(|user| user == object.str_at(&["spec", "user"]));
        if old.is_none() && !own && !self.is_admin(ctx) {
            return Some("cannot make an access key for somebody else");
        }
        let bound = self.bound(ctx);
        if matches!(bound, Bound::Gone) {
            return Some("cannot make or change access keys with one that is gone");
        }
        // A key without a secret opens nothing; validation says what is missing.
        let key = record::key(object)?;
        let now = unix_seconds();
        let before = old.and_then(record::key);
        let no_more_than_before =
            before.is_some_and(|old| key.digest == old.digest && (key.disabled || !old.disabled) && gives_no_more(&key, &old, now));
        if no_more_than_before {
            return None;
        }
        if self.directory.is_master(&key.holder) && !ctx.user.in_group(GROUP_MASTERS) {
            return Some("cannot make an access key for one of system:masters");
        }
        let more = matches!(&bound, Bound::Key(bound) if !gives_no_more(&key, bound, now));
        more.then_some("cannot make an access key that is broader or lasts longer than the one the request came with")
    }
}

/// The access key that a request came with, which bounds those that it makes.
enum Bound {
    /// The request came without an access key: no bound.
    None,
    Key(KeyRecord),
    /// The access key has been deleted: the request may not make or change keys.
    Gone,
}

fn gives_no_more(key: &KeyRecord, bound: &KeyRecord, now: i64) -> bool {
    let scope = match (&key.scope, &bound.scope) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(own), Some(bound)) => own.within(bound),
    };
    scope && key.lifetime.within(bound.lifetime, now)
}

#[async_trait]
impl Admission for KeyAdmission {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| matches!(request.verb, Verb::Create | Verb::Update)) else { return Ok(()) };
        match self.refusal(ctx, object, request.old) {
            Some(why) => {
                let why = format!("User {:?} {why}", ctx.user.name);
                Err(ApiError::forbidden(request.descriptor.group_resource(), object.name(), why))
            }
            None => match self.one_too_many(object).filter(|_| request.verb == Verb::Create) {
                Some(error) => Err(ApiError::invalid(request.descriptor.group, request.descriptor.kind, object.name(), &[error])),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::directory::{CLUSTER_ROLE_ADMIN, UserRecord};
    use apiserver_meta::Principal;
    use apiserver_meta::options::DryRun;
    use apiserver_meta::{ObjectKey, Subresource};
    use apiserver_registry::Memo;
    use serde_json::{Value, json};
    use std::time::Instant;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn key(name: &str, spec: &Value) -> Object {
        let hash = "0".repeat(63) + &name.chars().next().unwrap().to_string();
        Object::from_value(json!({
            "metadata": { "name": name, "creationTimestamp": NOW }, "spec": spec, "status": { "keyHash": hash, "holderUID": "u" },
        }))
        .unwrap()
    }

    /// Users `ann` and `root`, each with keys `a` (all), `b` (expires), `c` (may lie idle), `d` (one project).
    fn admission() -> KeyAdmission {
        let directory = Directory::default();
        for (name, roles) in [("ann", vec![]), ("root", vec![CLUSTER_ROLE_ADMIN.to_owned()])] {
            directory.put_user(UserRecord { name: name.into(), cluster_roles: roles, ..UserRecord::default() });
        }
        for (name, disabled) in [("master", false), ("former", true)] {
            let groups = vec![GROUP_MASTERS.to_owned()];
            directory.put_user(UserRecord { name: name.into(), groups, disabled, ..UserRecord::default() });
        }
        for (name, limits) in LIMITS {
            let limits: Value = serde_json::from_str(limits).unwrap();
            let mut spec = json!({ "user": "ann" });
            spec.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
            directory.put_key(record::key(&key(name, &spec)).unwrap());
        }
        KeyAdmission::new(Arc::new(directory))
    }

    #[tokio::test]
    async fn only_masters_make_keys_of_masters() {
        let of = |limits: Value| {
            let mut spec = json!({ "user": "master" });
            spec.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
            spec
        };
        let old = key("e", &of(json!({})));
        let off = key("e", &of(json!({ "disabled": true })));
        // what it is, what it becomes, whether an admin by role may do that
        let table = [
            ("made", None, key("e", &of(json!({}))), false),
            ("made for a time", None, key("e", &of(json!({ "ttl": 5 }))), false),
            ("made for one who is locked out", None, key("e", &json!({ "user": "former" })), false),
            ("another secret", Some(&old), key("f", &of(json!({}))), false),
            ("unlocked", Some(&off), key("e", &of(json!({}))), false),
            ("locked", Some(&old), off.clone(), true),
            ("a shorter life", Some(&old), key("e", &of(json!({ "ttl": 5 }))), true),
            ("a name", Some(&old), key("e", &of(json!({ "displayName": "x" }))), true),
        ];
        for (what, old, new, want) in table {
            assert_eq!(asked("root", "", &new, old).await, want, "{what} by an admin");
            assert!(asked("master", "", &new, old).await, "{what} by one of system:masters");
        }
    }

    const LIMITS: [(&str, &str); 4] = [
        ("a", "{}"),
        ("b", r#"{"ttl": 100}"#),
        ("c", r#"{"ttl": 100, "ttlAfterLastActivity": true}"#),
        ("d", r#"{"scope": {"projects": [{"project": "blue"}]}}"#),
    ];

    async fn asked(by: &str, with: &str, new: &Object, old: Option<&Object>) -> bool {
        let admission = admission();
        let mut identity = admission.directory.known_as(by).unwrap();
        let access_key = (!with.is_empty()).then(|| with.into());
        identity.principal = Principal::new(Caller { access_key, ..Caller::of(&identity.principal).clone() });
        let ctx = RequestContext::new(identity.user, identity.principal, Instant::now(), "audit".into());
        let keys = vci_management::owned_access_keys();
        let verb = if old.is_some() { Verb::Update } else { Verb::Create };
        let at = ObjectKey::new("", new.name());
        let request = AdmissionRequest {
            descriptor: keys.descriptor(),
            verb,
            subresource: Subresource::Main,
            key: &at,
            old,
            dry_run: DryRun::No,
            schema: keys.schema(),
            memo: &Memo::default(),
        };
        admission.validate(&ctx, request, Some(new)).await.is_ok()
    }

    #[tokio::test]
    async fn a_key_is_ones_own_and_gives_no_more_than_the_one_it_is_made_with() {
        let mine = |limits: Value| {
            let mut spec = json!({ "user": "ann" });
            spec.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
            spec
        };
        // by, with which key, what, whether it may be made
        let table = [
            ("ann", "a", json!({ "user": "ann" }), true),
            ("ann", "a", json!({ "user": "bob" }), false),
            ("ann", "a", json!({ "team": "devs" }), false),
            ("root", "a", json!({ "user": "bob" }), true),
            ("root", "a", json!({ "team": "devs" }), true),
            ("ann", "b", mine(json!({})), false),
            ("ann", "b", mine(json!({ "ttl": 100 })), true),
            ("ann", "b", mine(json!({ "ttl": 101 })), false),
            ("ann", "b", mine(json!({ "ttl": 1, "ttlAfterLastActivity": true })), false),
            ("ann", "c", mine(json!({ "ttl": 100, "ttlAfterLastActivity": true })), true),
            ("ann", "c", mine(json!({ "ttl": 101, "ttlAfterLastActivity": true })), false),
            ("ann", "d", mine(json!({})), false),
            ("ann", "d", mine(json!({ "scope": { "projects": [{ "project": "blue" }] } })), true),
            ("ann", "d", mine(json!({ "scope": { "projects": [{ "project": "red" }] } })), false),
            ("root", "b", json!({ "user": "bob" }), false),
            ("root", "", json!({ "user": "bob" }), true),
            ("root", "gone", json!({ "user": "bob" }), false),
            ("ann", "gone", json!({ "user": "ann" }), false),
            ("ann", "gone", mine(json!({ "ttl": 1 })), false),
        ];
        for (by, with, spec, want) in table {
            assert_eq!(asked(by, with, &key("e", &spec), None).await, want, "{by} with {with}: {spec}");
        }
    }

    #[tokio::test]
    async fn nobody_has_more_keys_than_there_may_be() {
        let admission = admission();
        let keys = vci_management::owned_access_keys();
        let ask = async |by: &str, verb: Verb, holder: Value| {
            let identity = admission.directory.known_as(by).unwrap();
            let ctx = RequestContext::new(identity.user, identity.principal, Instant::now(), "audit".into());
            let (new, at) = (key("e", &holder), ObjectKey::new("", "e"));
            let old = (verb == Verb::Update).then_some(&new);
            let (descriptor, schema) = (keys.descriptor(), keys.schema());
            let (subresource, dry_run, memo) = (Subresource::Main, DryRun::No, &Memo::default());
            let request = AdmissionRequest { descriptor, verb, subresource, key: &at, old, dry_run, schema, memo };
            admission.validate(&ctx, request, Some(&new)).await
        };
        let ann = json!({ "user": "ann" });
        for index in LIMITS.len()..MOST_KEYS {
            ask("ann", Verb::Create, ann.clone()).await.unwrap();
            let record = KeyRecord { name: format!("more-{index}"), ..record::key(&key("f", &ann)).unwrap() };
            admission.directory.put_key(record.clone());
            // Told once more, it is still one.
            admission.directory.put_key(record);
        }
        for by in ["ann", "root"] {
            let error = ask(by, Verb::Create, ann.clone()).await.unwrap_err();
            let want = "spec.user: Forbidden: user \"ann\" has 1000 access keys, and may have 1000: delete those that are not used";
            assert!(error.code() == 422 && error.message.ends_with(want), "{by}: {error}");
        }
        ask("ann", Verb::Update, ann.clone()).await.unwrap();
        ask("root", Verb::Create, json!({ "user": "root" })).await.unwrap();
        ask("root", Verb::Create, json!({ "team": "ann" })).await.unwrap();
        admission.directory.remove_key("more-500");
        ask("ann", Verb::Create, ann).await.unwrap();
    }

    #[tokio::test]
    async fn a_short_lived_key_changes_nothing_to_last_longer() {
        let with = |name: &str, limits: Value| {
            let mut spec = json!({ "user": "ann" });
            spec.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
            key(name, &spec)
        };
        let all = || with("e", json!({}));
        let off = || with("e", json!({ "disabled": true }));
        let table = [
            ("a name", all(), with("e", json!({ "displayName": "x" })), true),
            ("a shorter life", all(), with("e", json!({ "ttl": 5 })), true),
            ("less", all(), with("e", json!({ "scope": {} })), true),
            ("locked", all(), off(), true),
            ("unlocked", off(), all(), false),
            ("another secret", all(), with("f", json!({})), false),
            ("a longer life", with("e", json!({ "ttl": 50 })), with("e", json!({ "ttl": 60 })), true),
            ("no end of life", with("e", json!({ "ttl": 50 })), all(), false),
        ];
        for (what, old, new, want) in table {
            assert_eq!(asked("ann", "b", &new, Some(&old)).await, want, "{what}");
            assert!(asked("ann", "a", &new, Some(&old)).await, "{what} with a key that gives everything");
        }
    }
}
