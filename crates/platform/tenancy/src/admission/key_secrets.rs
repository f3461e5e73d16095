//! Secrets for access keys that come without one, and a word about those that are easily guessed.

use crate::fresh_secret::fresh_secret;
use apiserver_meta::{ApiError, Object, RequestContext, Subresource, Verb};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use serde_json::{Map, Value};

/// Shorter secrets are warned of, and taken: a file of first objects for tests or a home has its reasons.
const SHORT: usize = 16;

/// Makes the secrets. A dry run's opens nothing and is shown to nobody.
#[derive(Debug)]
pub(crate) struct KeySecrets;

#[async_trait]
impl Admission for KeySecrets {
    async fn mutate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
        if request.subresource != Subresource::Main {
            return Ok(());
        }
        match object.str_at(&["spec", "key"]) {
            "" if request.verb == Verb::Create => {
                let secret = fresh_secret().map_err(|error| ApiError::internal("no secret could be made").with_source(error))?;
                let spec = object.0.entry("spec").or_insert_with(|| Value::Object(Map::new()));
                if let Some(spec) = spec.as_object_mut() {
                    spec.insert("key".into(), secret.into());
                }
            }
            "" => {}
            secret if secret.len() < SHORT => {
                ctx.warn(format!("spec.key: a secret of fewer than {SHORT} characters can be guessed; leave it out and one is made"));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, context};
    use apiserver_meta::options::{DryRun, WriteOptions};
    use serde_json::{Value, json};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_without_a_secret_is_given_one_that_is_shown_once() {
        let rig = Rig::start().await;
        let made = rig.create("una", "ownedaccesskeys", "k", json!({"displayName": "CI"})).await.unwrap();
        let secret = made["spec"]["key"].as_str().unwrap().to_owned();
        assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "256 bits");
        assert_eq!(made["spec"]["user"], "una");
        rig.opens(&secret, "una").await;
        let other = rig.create("una", "ownedaccesskeys", "l", json!({})).await.unwrap();
        assert_ne!(other["spec"]["key"], made["spec"]["key"]);
        let read = rig.get("root", "ownedaccesskeys", "k").await;
        assert_eq!(read["spec"].get("key"), None);
        assert!(!read.to_string().contains(&secret));

        let given = rig.create("una", "ownedaccesskeys", "m", json!({"key": "a-secret-that-una-has-made"})).await.unwrap();
        assert_eq!(given["spec"]["key"], "a-secret-that-una-has-made");
        let dry = WriteOptions { dry_run: DryRun::All, ..WriteOptions::default() };
        let made = rig.create_with("una", "ownedaccesskeys", "n", json!({}), &dry).await.unwrap();
        assert_eq!(made["spec"].get("key"), None::<&Value>);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn short_secrets_are_taken_and_warned_of() {
        let rig = Rig::start().await;
        let texts = ["spec.key: a secret of fewer than 16 characters can be guessed; leave it out and one is made"];
        for (secret, want) in [("replay-key", &texts[..]), ("0123456789abcde", &texts[..]), ("0123456789abcdef", &[]), ("", &[])] {
            let ctx = context("una");
            rig.create_as(&ctx, "ownedaccesskeys", &format!("k{}", secret.len()), json!({ "key": secret })).await.unwrap();
            assert_eq!(ctx.warnings(), want, "{secret}");
        }
        let ctx = context("root");
        rig.patch_as(&ctx, "ownedaccesskeys", "k16", &json!({"spec": {"key": "short"}})).await.unwrap();
        assert_eq!(ctx.warnings(), texts);
        rig.opens("short", "una").await;
    }
}
