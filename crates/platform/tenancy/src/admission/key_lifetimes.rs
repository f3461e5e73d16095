//! How long access keys last at most, where an operator says so.

use crate::directory::{KeyRecord, Lifetime};
use crate::identity_informer::record;
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, RequestContext};
use apiserver_registry::loopback::is_loopback;
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use std::time::Duration;

/// Refuses keys that last longer than this. Keys that were there before stay as they are, as long as they are given no more
/// time and no other secret. The keys that the server itself makes, in files of first objects and for its administrator's
/// kubeconfig, are the operator's.
#[derive(Debug)]
pub(crate) struct KeyLifetimes {
    longest: Duration,
}

impl KeyLifetimes {
    /// At most this.
    pub(crate) fn new(longest: Duration) -> Self {
        Self { longest }
    }

    fn refusal(&self, object: &Object, old: Option<&Object>) -> Option<FieldError> {
        let key = record::key(object)?;
        let before = old.and_then(record::key);
        if before.is_some_and(|before| gives_no_more_time(&key, &before)) {
            return None;
        }
        let spec = FieldPath::new("spec");
        let longest = i64::try_from(self.longest.as_secs()).unwrap_or(i64::MAX);
        let ttl = object.at(&["spec", "ttl"]).and_then(serde_json::Value::as_i64).unwrap_or(0);
        if !(1..=longest).contains(&ttl) {
            let why = format!("must be between 1 and {longest}: keys of this server end after {longest} s at the latest");
            return Some(FieldError::invalid(&spec.child("ttl"), ttl, why));
        }
        // It would last as long as it is used.
        let idle = matches!(key.lifetime, Lifetime::Idle { .. });
        let why = format!("keys of this server end {longest} s after their creation at the latest, however often they are used");
        idle.then(|| FieldError::forbidden(&spec.child("ttlAfterLastActivity"), why))
    }
}

fn gives_no_more_time(key: &KeyRecord, before: &KeyRecord) -> bool {
    let shorter = match (key.lifetime, before.lifetime) {
        (_, Lifetime::Endless) => true,
        (Lifetime::Until(end), Lifetime::Until(bound)) => end <= bound,
        (Lifetime::Idle { seconds, .. }, Lifetime::Idle { seconds: bound, .. }) => seconds <= bound,
        _ => false,
    };
    shorter && key.digest == before.digest
}

#[async_trait]
impl Admission for KeyLifetimes {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| !is_loopback(ctx)) else { return Ok(()) };
        match self.refusal(object, request.old) {
            None => Ok(()),
            Some(error) => Err(ApiError::invalid(request.descriptor.group, request.descriptor.kind, object.name(), &[error])),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use apiserver_meta::options::DryRun;
    use apiserver_meta::{ObjectKey, Subresource, Verb};
    use apiserver_registry::{Memo, loopback};
    use serde_json::{Value, json};

    fn key(spec: &Value, secret: char) -> Object {
        let status = json!({ "keyHash": secret.to_string().repeat(64) });
        let metadata = json!({ "name": "k", "creationTimestamp": "2026-01-01T00:00:00Z" });
        Object::from_value(json!({ "metadata": metadata, "spec": spec, "status": status })).unwrap()
    }

    async fn refused(ctx: &RequestContext, new: &Object, old: Option<&Object>) -> Option<String> {
        let keys = vci_management::owned_access_keys();
        let request = AdmissionRequest {
            descriptor: keys.descriptor(),
            verb: if old.is_some() { Verb::Update } else { Verb::Create },
            subresource: Subresource::Main,
            key: &ObjectKey::new("", "k"),
            old,
            dry_run: DryRun::No,
            schema: keys.schema(),
            memo: &Memo::default(),
        };
        let refusal = KeyLifetimes::new(Duration::from_secs(100)).validate(ctx, request, Some(new)).await.err();
        refusal.map(|error| {
            assert_eq!(error.code(), 422, "{error}");
            error.message
        })
    }

    #[tokio::test]
    async fn a_new_key_ends_in_time() {
        let ctx = crate::admission::tests::context("root");
        let ttl = "spec.ttl: Invalid value: ";
        let idle = "spec.ttlAfterLastActivity: Forbidden: ";
        for (spec, want) in [
            (json!({"user": "una", "ttl": 100}), None),
            (json!({"team": "devs", "ttl": 1}), None),
            (json!({"user": "una", "ttl": 101}), Some(ttl)),
            (json!({"user": "una"}), Some(ttl)),
            (json!({"user": "una", "ttl": 0, "disabled": true}), Some(ttl)),
            (json!({"user": "una", "ttl": 100, "ttlAfterLastActivity": true}), Some(idle)),
        ] {
            let said = refused(&ctx, &key(&spec, 'a'), None).await;
            let matches = said.as_ref().is_some_and(|said| said.contains(want.unwrap_or("?")) && said.contains("100"));
            assert_eq!((said.is_some(), matches), (want.is_some(), want.is_some()), "{spec}: {said:?}");
        }
        assert_eq!(refused(&loopback::context(Duration::from_secs(1)), &key(&json!({"user": "una"}), 'a'), None).await, None);
    }

    #[tokio::test]
    async fn an_older_key_stays_but_is_given_no_more_time() {
        let ctx = crate::admission::tests::context("root");
        let endless = json!({"user": "una"});
        let long = json!({"user": "una", "ttl": 1000});
        let idle = json!({"user": "una", "ttl": 1000, "ttlAfterLastActivity": true});
        for (what, old, new, secret, want) in [
            ("a name", &endless, json!({"user": "una", "displayName": "x"}), 'a', true),
            ("less time", &endless, json!({"user": "una", "ttl": 1000}), 'a', true),
            ("less time", &long, json!({"user": "una", "ttl": 999}), 'a', true),
            ("less idle time", &idle, json!({"user": "una", "ttl": 999, "ttlAfterLastActivity": true}), 'a', true),
            ("more time", &long, json!({"user": "una", "ttl": 1001}), 'a', false),
            ("endless", &long, json!({"user": "una"}), 'a', false),
            ("in use", &long, json!({"user": "una", "ttl": 50, "ttlAfterLastActivity": true}), 'a', false),
            ("another secret", &endless, json!({"user": "una"}), 'b', false),
            ("another secret for a time", &endless, json!({"user": "una", "ttl": 100}), 'b', true),
        ] {
            let said = refused(&ctx, &key(&new, secret), Some(&key(old, 'a'))).await;
            assert_eq!(said.is_none(), want, "{what}: {old} to {new}: {said:?}");
        }
    }
}
