//! The steps that creates and updates share between the client's object and the store: owner references
//! without doubles, validation, admission, warnings.

use crate::admission::AdmissionRequest;
use crate::registry::Registry;
use crate::store_error::of_look_up;
use apiserver_meta::validation::{validate_object_meta, validate_object_meta_step, validate_object_meta_update, validate_sizes};
use apiserver_meta::{ApiError, FieldError, Object, RequestContext};
use serde_json::Value;
use std::collections::HashSet;

impl Registry {
    /// 422 for an object of this kind.
    pub(super) fn invalid(&self, name: &str, errors: &[FieldError]) -> ApiError {
        let descriptor = self.descriptor();
        ApiError::invalid(descriptor.group, descriptor.kind, name, errors)
    }

    pub(super) async fn admit_mutation(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        object: &mut Object,
    ) -> Result<(), ApiError> {
        dedup_owner_references(ctx, object, "");
        for admission in &self.admission {
            admission.mutate(ctx, request, object).await.map_err(|error| of_look_up(error, request.descriptor, request.verb))?;
        }
        dedup_owner_references(ctx, object, " after mutating admission happens");
        Ok(())
    }

    pub(super) async fn admit(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        for admission in &self.admission {
            admission.validate(ctx, request, object).await.map_err(|error| of_look_up(error, request.descriptor, request.verb))?;
        }
        Ok(())
    }

    /// Every rule about the object, and about the step from what it was.
    pub(super) fn validate(&self, ctx: &RequestContext, new: &Object, old: Option<&Object>) -> Result<(), ApiError> {
        // An object that is too large is not looked at any further: that is what sizes are bounded for.
        let too_large = validate_sizes(new, old, self.schema(), self.resource.size_limits());
        if !too_large.is_empty() {
            return Err(self.invalid(new.name(), &too_large));
        }
        let mut errors = validate_object_meta(new, self.descriptor().scope);
        if let Some(old) = old {
            // In which nothing was found is not looked through again.
            let step = if errors.is_empty() { validate_object_meta_step } else { validate_object_meta_update };
            errors.extend(step(new, old));
            errors.extend(self.resource.validate_update(new, old));
        }
        errors.extend(self.resource.validate(new));
        if !errors.is_empty() {
            return Err(self.invalid(new.name(), &errors));
        }
        finalizer_warnings(new, old).chain(self.resource.warnings(new)).for_each(|text| ctx.warn(text));
        Ok(())
    }
}

/// Removes owner references that are equal to an earlier one in every field, with a warning that says `when` they were found.
fn dedup_owner_references(ctx: &RequestContext, object: &mut Object, when: &str) {
    let Some(Value::Array(references)) = object.0.get_mut("metadata").and_then(|m| m.get_mut("ownerReferences")) else { return };
    // A set: a body has room for tens of thousands, and comparing each with each would take minutes.
    let mut seen: HashSet<Value> = HashSet::with_capacity(references.len());
    let mut doubles: Vec<String> = Vec::new();
    references.retain(|reference| {
        let is_first = seen.insert(reference.clone());
        if !is_first {
            doubles.push(reference.get("uid").and_then(Value::as_str).unwrap_or("").to_owned());
        }
        is_first
    });
    if !doubles.is_empty() {
        ctx.warn(format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            doubles.join(", ")
        ));
    }
}

/// Names of finalizers that were not there before and belong to nobody's domain.
fn finalizer_warnings<'a>(new: &'a Object, old: Option<&'a Object>) -> impl Iterator<Item = String> + 'a {
    let known: HashSet<&str> = old.map(Object::finalizers).unwrap_or_default().into_iter().collect();
    new.finalizers()
        .into_iter()
        .filter(move |name| !name.contains('/') && !["orphan", "foregroundDeletion", "kubernetes"].contains(name) && !known.contains(name))
        .map(|name| {
            let hint = if name.contains('.') { " including a path (/)" } else { "" };
            format!("metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name{hint} to avoid accidental conflicts with other finalizer writers")
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use apiserver_meta::Principal;
    use serde_json::json;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[test]
    fn a_body_full_of_owner_references_is_looked_through_once() {
        let reference = |uid: usize| json!({ "apiVersion": "v1", "kind": "K", "name": "n", "uid": uid.to_string() });
        let references: Vec<Value> = (0..30_000).chain([7, 0]).map(reference).collect();
        let mut object = Object::from_value(json!({ "metadata": { "ownerReferences": references } })).unwrap();
        let ctx = RequestContext::new(Arc::default(), Principal::default(), Instant::now(), "audit".into());
        let start = Instant::now();
        dedup_owner_references(&ctx, &mut object, "");
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        let kept = object.metadata()["ownerReferences"].as_array().unwrap();
        assert_eq!((kept.len(), &kept[7], &kept[29_999]), (30_000, &reference(7), &reference(29_999)));
        assert!(ctx.warnings()[0].ends_with("duplicate UID(s) observed: 7, 0"), "{:?}", ctx.warnings());
    }
}
