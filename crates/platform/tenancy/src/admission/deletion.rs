//! Annotations that stand against a deletion.

use apiserver_meta::{ApiError, Object, RequestContext, Verb};
use apiserver_registry::{Admission, AdmissionRequest};
use async_trait::async_trait;

/// While it is `true`, nobody deletes the object, admins neither.
const NON_DELETABLE: &str = "loft.sh/non-deletable";
/// While it is `true`, whoever deletes the object is warned.
const WARN_DELETION: &str = "loft.sh/warn-deletion";

/// Refuses to delete what is marked so. What is being deleted already goes on to be.
#[derive(Debug)]
pub(crate) struct DeletionMarks;

#[async_trait]
impl Admission for DeletionMarks {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, _: Option<&Object>) -> Result<(), ApiError> {
        let Some(old) = request.old.filter(|old| request.verb == Verb::Delete && !old.is_terminating()) else { return Ok(()) };
        if is_marked(old, NON_DELETABLE) {
            let why = format!("the annotation {NON_DELETABLE} is \"true\": take it off first");
            return Err(ApiError::forbidden(request.descriptor.group_resource(), old.name(), why));
        }
        if is_marked(old, WARN_DELETION) {
            let (resource, name) = (request.descriptor.group_resource(), old.name());
            ctx.warn(format!("{resource} {name:?} has the annotation {WARN_DELETION}: somebody wants its deletion to be thought over"));
        }
        Ok(())
    }
}

fn is_marked(object: &Object, annotation: &str) -> bool {
    object.str_at(&["metadata", "annotations", annotation]) == "true"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, context, instance};
    use apiserver_meta::options::{DeleteOptions, DryRun, ListOptions};
    use apiserver_meta::{ApiError, ObjectFilter, ObjectKey};
    use serde_json::{Value, json};

    const VCI: &str = "virtualclusterinstances";

    fn mark(annotation: &str, value: &Value) -> Value {
        json!({"metadata": {"annotations": {annotation: value}}})
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_marked_is_not_deleted() {
        let rig = Rig::start().await;
        rig.create("root", "projects", "blue", json!({})).await.unwrap();
        rig.create("root", "projects", "grey", json!({})).await.unwrap();
        for name in ["a", "b"] {
            rig.create("root", VCI, &format!("loft-p-blue/{name}"), instance()).await.unwrap();
        }
        for (plural, at, name) in [(VCI, "loft-p-blue/a", "a"), ("projects", "grey", "grey")] {
            rig.patch("root", plural, at, &mark("loft.sh/non-deletable", &json!("true"))).await.unwrap();
            let error = rig.delete("root", plural, at).await.unwrap_err();
            let text = format!(
                "{plural}.management.loft.sh {name:?} is forbidden: the annotation loft.sh/non-deletable is \"true\": take it off first"
            );
            assert_eq!((error.code(), error.message), (403, text));
        }
        let dry = DeleteOptions { dry_run: DryRun::All, ..DeleteOptions::default() };
        let instances = rig.registry(VCI);
        let key = ObjectKey::new("loft-p-blue", "a");
        let failure = instances.delete(&context("root"), &key, &dry, &ObjectFilter::All).await.unwrap_err();
        assert_eq!(ApiError::from(failure).code(), 403);
        let (ctx, all, options) = (context("root"), ListOptions::default(), DeleteOptions::default());
        let failure = instances.delete_collection(&ctx, "loft-p-blue", &all, &options, &ObjectFilter::All).await.unwrap_err();
        assert_eq!(ApiError::from(failure).code(), 403);
        assert_eq!(rig.get("root", VCI, "loft-p-blue/a").await["metadata"]["name"], "a");

        for value in [json!("false"), json!(null)] {
            rig.patch("root", "projects", "grey", &mark("loft.sh/non-deletable", &value)).await.unwrap();
            rig.delete("root", "projects", "grey").await.unwrap();
            rig.create("root", "projects", "grey", json!({})).await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_deletes_what_is_marked_so_is_warned() {
        let rig = Rig::start().await;
        rig.create("root", "projects", "blue", json!({})).await.unwrap();
        rig.create("root", VCI, "loft-p-blue/a", instance()).await.unwrap();
        rig.patch("root", VCI, "loft-p-blue/a", &mark("loft.sh/warn-deletion", &json!("true"))).await.unwrap();
        let ctx = context("root");
        let key = ObjectKey::new("loft-p-blue", "a");
        rig.registry(VCI).delete(&ctx, &key, &DeleteOptions::default(), &ObjectFilter::All).await.unwrap();
        let text = "virtualclusterinstances.management.loft.sh \"a\" has the annotation loft.sh/warn-deletion: somebody wants its deletion to be thought over";
        assert_eq!(ctx.warnings(), [text]);
    }
}
