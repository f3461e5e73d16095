//! The holder of an access key: a User, a Team or an instance that exists, noted by UID. A later object of the same name does not hold the key.

use super::stored::Stored;
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, ObjectKey, RequestContext, Subresource, Verb};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::sync::Arc;
use vci_management::access::{Caller, VirtualClusterIdentity};
use vci_management::plural;

/// Notes the holder's UID in a key's status. Whether the caller may make a key for them is asked elsewhere, and before it is said
/// that there is nobody of that name.
#[derive(Debug)]
pub(crate) struct KeyHolders {
    stored: Arc<Stored>,
}

impl KeyHolders {
    /// Reads holders as they are stored.
    pub(crate) fn new(stored: Arc<Stored>) -> Self {
        Self { stored }
    }
}

/// Whose a key is: the kind of the holder, where it is, and the field that names it with what it says.
struct Named<'a> {
    plural: &'static str,
    key: ObjectKey,
    field: &'static str,
    said: &'a str,
}

/// `None` for a key that is nobody's. Who makes a key without saying whose makes their own.
fn holder<'a>(ctx: &'a RequestContext, key: &'a Object) -> Option<Named<'a>> {
    let of_cluster = |plural, field, said| Named { plural, key: ObjectKey::new("", said), field, said };
    match (key.str_at(&["spec", "user"]), key.str_at(&["spec", "team"]), key.str_at(&["spec", "subject"])) {
        ("", "", "") => Caller::from_context(ctx).user.as_deref().map(|user| of_cluster(plural::USERS, "user", user)),
        ("", "", subject) => VirtualClusterIdentity::parse(subject).map(|identity| Named {
            plural: plural::INSTANCES,
            key: ObjectKey::new(identity.namespace, identity.name),
            field: "subject",
            said: subject,
        }),
        ("", team, _) => Some(of_cluster(plural::TEAMS, "team", team)),
        (user, ..) => Some(of_cluster(plural::USERS, "user", user)),
    }
}

#[async_trait]
impl Admission for KeyHolders {
    async fn mutate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
        if request.verb != Verb::Create || request.subresource != Subresource::Main {
            return Ok(());
        }
        let found = match holder(ctx, object) {
            Some(Named { plural, key, .. }) => self.stored.uid(plural, &key).await?,
            None => None,
        };
        let status = found.map(|uid| ("holderUID".to_owned(), Value::String(uid)));
        object.0.insert("status".into(), Value::Object(status.into_iter().collect::<Map<_, _>>()));
        Ok(())
    }

    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| request.verb == Verb::Create) else { return Ok(()) };
        match holder(ctx, object).filter(|_| object.str_at(&["status", "holderUID"]).is_empty()) {
            None => Ok(()),
            Some(Named { field, said, .. }) => {
                let error = FieldError::not_found(&FieldPath::new("spec").child(field), said);
                Err(ApiError::invalid(request.descriptor.group, request.descriptor.kind, object.name(), &[error]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::Rig;
    use serde_json::json;

    const KEYS: &str = "ownedaccesskeys";

    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_notes_who_holds_it() {
        let rig = Rig::start().await;
        let uid = async |plural: &str, name: &str| rig.get("root", plural, name).await["metadata"]["uid"].clone();
        for (who, name, spec, plural, holder) in [
            ("una", "own", json!({}), "users", "una"),
            ("una", "own-by-name", json!({"user": "una"}), "users", "una"),
            ("root", "for-zoe", json!({"user": "zoe"}), "users", "zoe"),
            ("root", "for-devs", json!({"team": "devs"}), "teams", "devs"),
        ] {
            let made = rig.create(who, KEYS, name, spec).await.unwrap();
            assert_eq!(made["status"]["holderUID"], uid(plural, holder).await, "{name}");
            assert!(made["status"]["keyHash"].is_string(), "{name}");
        }
        // It is not for clients to say, nor does it change.
        let said = json!({"spec": {"displayName": "x"}, "status": {"holderUID": "u"}});
        rig.patch("root", KEYS, "own", &said).await.unwrap();
        assert_eq!(rig.get("root", KEYS, "own").await["status"]["holderUID"], uid("users", "una").await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_holds_no_key_and_only_admins_are_told() {
        let rig = Rig::start().await;
        let code = async |who: &str, spec| rig.create(who, KEYS, "k", spec).await.map_err(|error| (error.code(), error.message));
        let text = |field: &str| format!("OwnedAccessKey.management.loft.sh \"k\" is invalid: spec.{field}: Not found: \"nobody\"");
        assert_eq!(code("root", json!({"user": "nobody"})).await, Err((422, text("user"))));
        assert_eq!(code("root", json!({"team": "nobody"})).await, Err((422, text("team"))));
        for spec in [json!({"user": "nobody"}), json!({"user": "zoe"}), json!({"team": "nobody"}), json!({"team": "devs"})] {
            assert_eq!(code("una", spec).await.map_err(|(code, _)| code), Err(403), "nothing is told of who is there");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_does_not_go_with_the_name_to_somebody_else() {
        let rig = Rig::start().await;
        rig.create("root", KEYS, "k", json!({"user": "zoe", "key": "the-secret-of-zoe"})).await.unwrap();
        rig.create("root", KEYS, "t", json!({"team": "devs", "key": "the-secret-of-devs"})).await.unwrap();
        rig.opens("the-secret-of-zoe", "zoe").await;
        rig.opens("the-secret-of-devs", "loft:team:devs").await;
        for (plural, name, key, secret) in [("users", "zoe", "l", "the-secret-of-zoe"), ("teams", "devs", "u", "the-secret-of-devs")] {
            rig.delete("root", plural, name).await.unwrap();
            rig.create("root", plural, name, json!({})).await.unwrap();
            let holder = if plural == "users" { "user" } else { "team" };
            let new = format!("new-{secret}");
            rig.create("root", KEYS, key, json!({holder: name, "key": new})).await.unwrap();
            // When the new one's key opens, the directory knows of all that came before.
            rig.opens(&new, &if plural == "users" { name.to_owned() } else { format!("loft:team:{name}") }).await;
            assert!(!rig.is_good(secret), "{plural}");
        }
    }
}
