//! Options of `delete` and `deletecollection`, from the query or from the body. A body, where there is one, is
//! all that counts.

use super::query::{Query, dry_run, refuse};
use super::{DeleteOptions, Propagation};
use crate::decode::conform;
use crate::error::ApiError;
use crate::field::{FieldError, FieldPath, quoted};
use crate::schema::Schema;
use crate::types;
use serde_json::Value;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::of::<types::DeleteOptions>);

impl DeleteOptions {
    /// Reads a decoded query.
    ///
    /// # Errors
    /// 400 for numbers that cannot be read, 422 for values that are not supported or exclude each other.
    pub fn from_query(query: &[(String, String)]) -> Result<Self, ApiError> {
        let query = Query(query);
        let given = |name| query.first(name).filter(|value| !value.is_empty()).map(str::to_owned);
        Self::from_wire(types::DeleteOptions {
            grace_period_seconds: query.integer("gracePeriodSeconds")?,
            preconditions: Some(types::Preconditions { uid: given("uid"), resource_version: given("resourceVersion") }),
            orphan_dependents: query.boolean("orphanDependents"),
            propagation_policy: query.first("propagationPolicy").map(str::to_owned),
            dry_run: query.all("dryRun").map(str::to_owned).collect(),
            ..types::DeleteOptions::default()
        })
    }

    /// Reads a parsed body of kind `DeleteOptions`; fields that are not known are ignored.
    ///
    /// # Errors
    /// 400 for another kind and values of a wrong type, 422 as for a query.
    pub fn from_body(body: &Value) -> Result<Self, ApiError> {
        if body.is_null() {
            return Ok(Self::default());
        }
        let body = conform(body.clone(), &SCHEMA).map_err(|error| ApiError::bad_request(error.0))?;
        // What conforms to the schema of a type can be read as that type.
        let wire: types::DeleteOptions = serde_json::from_value(body.value).map_err(|error| ApiError::bad_request(error.to_string()))?;
        if !matches!(wire.kind.as_str(), "" | "DeleteOptions") {
            return Err(ApiError::bad_request(format!(
                "decoded object cannot be converted to DeleteOptions: it is of kind {}",
                quoted(&wire.kind)
            )));
        }
        Self::from_wire(wire)
    }

    fn from_wire(wire: types::DeleteOptions) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        let propagation = wire.propagation_policy.as_deref().and_then(|policy| {
            let path = FieldPath::new("propagationPolicy");
            if wire.orphan_dependents.is_some() {
                errors.push(FieldError::invalid(&path, policy, "orphanDependents and deletionPropagation cannot be both set"));
            }
            let parsed = propagation(policy);
            if parsed.is_none() {
                errors.push(FieldError::not_supported(&path, policy, &["Foreground", "Background", "Orphan", "nil"]));
            }
            parsed
        });
        let dry_run = dry_run(wire.dry_run.iter().map(String::as_str), &mut errors);
        refuse("DeleteOptions", &errors)?;
        let types::Preconditions { uid, resource_version } = wire.preconditions.unwrap_or_default();
        Ok(Self {
            dry_run,
            uid,
            resource_version,
            propagation,
            grace_period_seconds: wire.grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds }),
            orphan_dependents: wire.orphan_dependents,
        })
    }
}

fn propagation(policy: &str) -> Option<Propagation> {
    match policy {
        "Foreground" => Some(Propagation::Foreground),
        "Background" => Some(Propagation::Background),
        "Orphan" => Some(Propagation::Orphan),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::DryRun;
    use super::*;
    use serde_json::json;

    #[test]
    fn query_and_body_say_the_same() {
        let pairs =
            [("dryRun", "All"), ("gracePeriodSeconds", "-3"), ("propagationPolicy", "Foreground"), ("uid", "u"), ("resourceVersion", "7")];
        let query: Vec<(String, String)> = pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        let body = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"], "gracePeriodSeconds": -3, "unknown": 1,
            "propagationPolicy": "Foreground", "preconditions": {"uid": "u", "resourceVersion": "7"},
        });
        for options in [DeleteOptions::from_query(&query).unwrap(), DeleteOptions::from_body(&body).unwrap()] {
            assert_eq!(options.dry_run, DryRun::All);
            assert_eq!((options.uid.as_deref(), options.resource_version.as_deref()), (Some("u"), Some("7")));
            assert_eq!((options.propagation, options.grace_period_seconds), (Some(Propagation::Foreground), Some(1)));
            assert_eq!(options.orphan_dependents, None);
        }
        for nothing in [DeleteOptions::from_query(&[]).unwrap(), DeleteOptions::from_body(&Value::Null).unwrap()] {
            assert_eq!((nothing.uid, nothing.resource_version, nothing.propagation), (None, None, None));
        }
    }

    #[test]
    fn bad_options_are_refused_in_the_words_of_upstream() {
        for (body, code, want) in [
            (
                json!({"propagationPolicy": "Sideways"}),
                422,
                r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil""#,
            ),
            (
                json!({"propagationPolicy": "Orphan", "orphanDependents": false}),
                422,
                r#"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set"#,
            ),
            (json!({"gracePeriodSeconds": "x"}), 400, "cannot unmarshal string into field gracePeriodSeconds of type int64"),
            (json!({"kind": "Pod"}), 400, r#"decoded object cannot be converted to DeleteOptions: it is of kind "Pod""#),
            (json!([]), 400, "cannot unmarshal array into value of type DeleteOptions"),
        ] {
            let error = DeleteOptions::from_body(&body).unwrap_err();
            assert_eq!((error.code(), error.message.as_str()), (code, want));
        }
        let error = DeleteOptions::from_query(&[("gracePeriodSeconds".into(), "x".into())]).unwrap_err();
        assert_eq!(error.message, r#"strconv.ParseInt: parsing "x": invalid syntax"#);
    }
}
