#![allow(clippy::unwrap_used)]
//! Programs over one activation, compiled in the environment of admission policies.

mod hostile;
mod language;

use crate::*;
use serde_json::json;
use std::sync::Arc;

static ENVIRONMENT: Environment =
    Environment::new(&["object", "oldObject", "request", "params", "namespaceObject", "authorizer", "authorizer.requestResource"]);

#[derive(Debug)]
struct Rules;

impl Authorizer for Rules {
    fn check(&self, access: &AccessCheck) -> Result<Decision, String> {
        if access.verb == "explode" {
            return Err("no answer".into());
        }
        let allowed = match &access.path {
            Some(path) => path == "/healthz",
            None => access.resource == "pods" && access.namespace == "default" && access.service_account.is_none(),
        };
        Ok(Decision { allowed, reason: format!("jane {}", access.verb) })
    }
}

fn compile(source: &str) -> Program {
    ENVIRONMENT.compile(source).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn evaluate(program: &Program, activation: &Activation) -> Result<bool, EvaluationError> {
    Evaluator::new(activation, MATCH_CONDITIONS_BUDGET).evaluate_bool(program)
}

fn variable(name: impl Into<String>, source: &str) -> CompositedVariable {
    CompositedVariable { name: name.into(), program: ENVIRONMENT.compile(source) }
}

fn activation() -> Activation {
    let object = json!({
        "metadata": {"name": "x", "labels": {"app": "web", "a/b": "slashed"}},
        "spec": {"replicas": 3, "ratio": 0.5, "big": 9_007_199_254_740_993_i64, "paused": false, "nothing": null,
            "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}], "names": ["b", "a", "c"]},
    });
    let request_resource = AccessCheck { resource: "pods".into(), namespace: "default".into(), ..AccessCheck::default() };
    Activation::default()
        .bind("object", object)
        .bind("oldObject", json!(null))
        .bind("request", json!({"operation": "CREATE", "userInfo": {"username": "jane", "groups": ["dev"]}, "dryRun": false}))
        .bind("params", json!({"maxReplicas": 5}))
        .bind("namespaceObject", json!({"metadata": {"name": "default", "labels": {"env": "prod"}}}))
        .bind_authorizer(Arc::new(Rules), request_resource)
        .with_variables(Arc::new([
            variable("replicas", "object.spec.replicas"),
            variable("twice", "variables.replicas * 2"),
            variable("broken", "object.spec.missing"),
            variable("unparsable", "1 +"),
            variable("self", "variables.self + 1"),
        ]))
}
