//! Options of `delete` and `deletecollection`, from the query or from the body.
//!
//! Upstream forgets the query where there is a body, so that `?dryRun=All` with a body that does not repeat it deletes. Here the
//! body says how to delete, and what in the query protects something counts beside it: a dry run, preconditions, and that
//! dependents are orphaned where the body is silent about them. Nothing else is taken from the query (`gracePeriodSeconds`, other
//! propagation), so no request deletes more than it would upstream. Preconditions that contradict each other hold for no object: 400.

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
        Self::from_wire(wire_of_query(query)?)
    }

    /// Reads a parsed body of kind `DeleteOptions`, and of the query beside it what protects; fields that are not known are ignored.
    ///
    /// # Errors
    /// 400 for another kind, values of a wrong type and preconditions that contradict each other, 422 as for a query.
    pub fn from_body(body: &Value, query: &[(String, String)]) -> Result<Self, ApiError> {
        Self::from_wire(protected(wire_of_body(body)?, wire_of_query(query)?)?)
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

fn wire_of_query(query: &[(String, String)]) -> Result<types::DeleteOptions, ApiError> {
    let query = Query(query);
    let given = |name| query.first(name).filter(|value| !value.is_empty()).map(str::to_owned);
    Ok(types::DeleteOptions {
        grace_period_seconds: query.integer("gracePeriodSeconds")?,
        preconditions: Some(types::Preconditions { uid: given("uid"), resource_version: given("resourceVersion") }),
        orphan_dependents: query.boolean("orphanDependents"),
        propagation_policy: query.first("propagationPolicy").map(str::to_owned),
        dry_run: query.all("dryRun").map(str::to_owned).collect(),
        ..types::DeleteOptions::default()
    })
}

fn wire_of_body(body: &Value) -> Result<types::DeleteOptions, ApiError> {
    if body.is_null() {
        return Ok(types::DeleteOptions::default());
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
    Ok(wire)
}

/// The options of a body, with what protects in a query.
fn protected(body: types::DeleteOptions, query: types::DeleteOptions) -> Result<types::DeleteOptions, ApiError> {
    let (said, asked) = (body.preconditions.unwrap_or_default(), query.preconditions.unwrap_or_default());
    let preconditions = types::Preconditions {
        uid: both("uid", said.uid, asked.uid)?,
        resource_version: both("resourceVersion", said.resource_version, asked.resource_version)?,
    };
    let is_silent = body.propagation_policy.is_none() && body.orphan_dependents.is_none();
    let policy = query.propagation_policy.filter(|policy| is_silent && policy == "Orphan");
    let orphan = query.orphan_dependents.filter(|orphan| is_silent && *orphan);
    Ok(types::DeleteOptions {
        preconditions: Some(preconditions),
        propagation_policy: body.propagation_policy.or(policy),
        orphan_dependents: body.orphan_dependents.or(orphan),
        dry_run: body.dry_run.into_iter().chain(query.dry_run).collect(),
        ..body
    })
}

/// A precondition that must hold by the body and by the query.
fn both(name: &str, body: Option<String>, query: Option<String>) -> Result<Option<String>, ApiError> {
    match (body, query) {
        (Some(said), Some(asked)) if said != asked => {
            Err(ApiError::bad_request(format!("the precondition {name} is another in the query than in the body")))
        }
        (said, asked) => Ok(said.or(asked)),
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
        for options in [DeleteOptions::from_query(&query).unwrap(), DeleteOptions::from_body(&body, &[]).unwrap()] {
            assert_eq!(options.dry_run, DryRun::All);
            assert_eq!((options.uid.as_deref(), options.resource_version.as_deref()), (Some("u"), Some("7")));
            assert_eq!((options.propagation, options.grace_period_seconds), (Some(Propagation::Foreground), Some(1)));
            assert_eq!(options.orphan_dependents, None);
        }
        for nothing in [DeleteOptions::from_query(&[]).unwrap(), DeleteOptions::from_body(&Value::Null, &[]).unwrap()] {
            assert_eq!((nothing.uid, nothing.resource_version, nothing.propagation), (None, None, None));
        }
    }

    #[test]
    fn what_protects_in_the_query_counts_beside_a_body() {
        let read = |pairs: &[(&str, &str)], body: &Value| {
            let query: Vec<(String, String)> = pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect();
            DeleteOptions::from_body(body, &query).map_err(|error| (error.code(), error.message))
        };
        for body in [json!({}), json!(null), json!({"dryRun": []}), json!({"dryRun": ["All"]}), json!({"propagationPolicy": "Foreground"})]
        {
            assert_eq!(read(&[("dryRun", "All")], &body).unwrap().dry_run, DryRun::All, "{body}");
            let held = read(&[("uid", "u"), ("resourceVersion", "7")], &body).unwrap();
            assert_eq!((held.uid.as_deref(), held.resource_version.as_deref()), (Some("u"), Some("7")), "{body}");
        }
        assert_eq!(read(&[("dryRun", "Some")], &json!({"dryRun": ["All"]})).unwrap_err().0, 422);
        let (uid, other) = (json!({"preconditions": {"uid": "u"}}), json!({"preconditions": {"uid": "v"}}));
        assert_eq!(read(&[("uid", "u")], &uid).unwrap().uid.as_deref(), Some("u"));
        let text = "the precondition uid is another in the query than in the body".to_owned();
        assert_eq!(read(&[("uid", "u")], &other).unwrap_err(), (400, text));

        // How dependents go is the body's to say; only where it is silent are they kept because of the query.
        let dependents = |pair, body| read(&[pair], &body).map(|options| (options.propagation, options.orphan_dependents)).unwrap();
        let orphan = ("propagationPolicy", "Orphan");
        assert_eq!(dependents(orphan, json!({"dryRun": ["All"]})), (Some(Propagation::Orphan), None));
        assert_eq!(dependents(("orphanDependents", "true"), json!({})), (None, Some(true)));
        assert_eq!(dependents(orphan, json!({"propagationPolicy": "Background"})), (Some(Propagation::Background), None));
        assert_eq!(dependents(orphan, json!({"orphanDependents": false})), (None, Some(false)));
        for pair in [("propagationPolicy", "Foreground"), ("propagationPolicy", "Background"), ("orphanDependents", "false")] {
            assert_eq!(dependents(pair, json!({})), (None, None), "{pair:?}");
        }
        assert_eq!(read(&[("gracePeriodSeconds", "0")], &json!({})).unwrap().grace_period_seconds, None);
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
            let error = DeleteOptions::from_body(&body, &[]).unwrap_err();
            assert_eq!((error.code(), error.message.as_str()), (code, want));
        }
        let error = DeleteOptions::from_query(&[("gracePeriodSeconds".into(), "x".into())]).unwrap_err();
        assert_eq!(error.message, r#"strconv.ParseInt: parsing "x": invalid syntax"#);
    }
}
