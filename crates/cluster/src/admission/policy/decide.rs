//! What a policy says to a request, for one binding and one parameter.

use super::compiled::{AuditAnnotation, Compiled, CompiledPolicy, FailurePolicy, Validation};
use crate::admission::cel::{Answer, EvaluationError, MATCH_CONDITIONS_BUDGET, POLICY_BUDGET, Session, Variables};
use serde_json::Value;
use std::sync::Arc;
use vci_meta::Reason;

/// The longest message that an expression may make, in bytes.
const MAX_MESSAGE_BYTES: usize = 5 * 1024;
/// Where the value of an audit annotation is cut, in bytes.
const MAX_ANNOTATION_BYTES: usize = 10 * 1024;

/// A validation that does not hold, or could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    /// Which of the policy's validations.
    pub(super) index: usize,
    pub(super) message: String,
    pub(super) reason: Reason,
}

/// Everything that a policy says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What the binding's actions are for.
    pub(super) denials: Vec<Denial>,
    /// By key, without the policy's name.
    pub(super) annotations: Vec<(String, String)>,
    /// Annotations that could not be made: the request is refused, whatever the binding's actions are.
    pub(super) annotation_failures: Vec<String>,
}

/// Evaluates a policy. May block: for a thread that may.
pub(super) fn decide(policy: &CompiledPolicy, variables: &Variables) -> Verdict {
    match meets_conditions(policy, variables) {
        Ok(true) => {}
        Ok(false) => return Verdict::default(),
        Err(message) => return failed(policy, message),
    }
    let session_variables = Variables { variables: policy.variables.clone(), ..variables.clone() };
    let mut verdict = match validate(policy, &session_variables) {
        Ok(denials) => Verdict { denials, ..Verdict::default() },
        Err(error) => return failed(policy, error.to_string()),
    };
    // Annotations may not ask the authorizer.
    let without_authorizer = Variables { authorizer: None, ..session_variables };
    let mut session = Session::new(&without_authorizer, POLICY_BUDGET);
    for annotation in &policy.audit_annotations {
        match annotate(&mut session, annotation) {
            Ok(Some(value)) => verdict.annotations.push((annotation.key.clone(), value)),
            Ok(None) => {}
            Err(AnnotationFailure::OutOfBudget(message)) => return failed(policy, message),
            Err(AnnotationFailure::Unsupported(message)) => verdict.annotation_failures.push(message),
            Err(AnnotationFailure::Failed(message)) if policy.failure_policy == FailurePolicy::Fail => {
                verdict.annotation_failures.push(message)
            }
            Err(AnnotationFailure::Failed(_)) => {}
        }
    }
    verdict
}

/// The verdict where there is none.
fn failed(policy: &CompiledPolicy, message: String) -> Verdict {
    match policy.failure_policy {
        FailurePolicy::Ignore => Verdict::default(),
        FailurePolicy::Fail => Verdict { denials: vec![Denial { index: 0, message, reason: Reason::Invalid }], ..Verdict::default() },
    }
}

/// Whether all conditions are met: one that is not decides, even where others fail.
fn meets_conditions(policy: &CompiledPolicy, variables: &Variables) -> Result<bool, String> {
    // Conditions are asked before the namespace is looked at.
    let variables = Variables { namespace_object: Arc::new(Value::Null), variables: policy.variables.clone(), ..variables.clone() };
    let mut session = Session::new(&variables, MATCH_CONDITIONS_BUDGET);
    let mut failures = Vec::new();
    for condition in &policy.match_conditions {
        match truth(&mut session, condition) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(EvaluationError::OutOfBudget) => return Err(EvaluationError::OutOfBudget.to_string()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures.dedup();
    match failures.as_slice() {
        [] => Ok(true),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}

fn truth<'a>(session: &mut Session<'a>, condition: &'a Compiled) -> Result<bool, EvaluationError> {
    session.evaluate_bool(condition.as_ref().map_err(|error| EvaluationError::Compile(error.clone()))?)
}

fn validate(policy: &CompiledPolicy, variables: &Variables) -> Result<Vec<Denial>, EvaluationError> {
    let mut session = Session::new(variables, POLICY_BUDGET);
    let mut results = Vec::with_capacity(policy.validations.len());
    for validation in &policy.validations {
        match truth(&mut session, &validation.expression) {
            Err(EvaluationError::OutOfBudget) => return Err(EvaluationError::OutOfBudget),
            result => results.push(result),
        }
    }
    // Messages may not ask the authorizer, and are paid from what is left.
    let without_authorizer = Variables { authorizer: None, ..variables.clone() };
    let mut messages = Session::new(&without_authorizer, session.remaining());
    let mut denials = Vec::new();
    for (index, (validation, result)) in policy.validations.iter().zip(results).enumerate() {
        match result {
            Ok(true) => {}
            Ok(false) => denials.push(Denial { index, message: message(&mut messages, validation), reason: validation.reason }),
            Err(error) if policy.failure_policy == FailurePolicy::Fail => {
                denials.push(Denial { index, message: error.to_string(), reason: Reason::Invalid });
            }
            Err(_) => {}
        }
    }
    Ok(denials)
}

/// What a failed validation is told as: the first of its expression's, its own and a composed message that is of use.
fn message<'a>(session: &mut Session<'a>, validation: &'a Validation) -> String {
    let of_expression = match &validation.message_expression {
        Some(Ok(expression)) => match session.evaluate(expression) {
            Ok(Answer::Text(text)) => Some(text.trim().to_owned()).filter(|it| it.len() <= MAX_MESSAGE_BYTES && !it.contains('\n')),
            Err(error @ EvaluationError::OutOfBudget) => return format!("failed messageExpression: {error}"),
            Ok(Answer::Bool(_) | Answer::Null | Answer::Other(_)) => None,
            Err(error) => {
                tracing::debug!(%error, "an expression for a message failed");
                None
            }
        },
        _ => None,
    };
    let own = || validation.message.as_deref().map(|it| it.trim().to_owned());
    let useful = |it: &String| !it.is_empty();
    let composed = || format!("failed expression: {}", validation.source.trim());
    of_expression.filter(useful).or_else(|| own().filter(useful)).unwrap_or_else(composed)
}

enum AnnotationFailure {
    Failed(String),
    /// Refused whatever the failure policy is.
    Unsupported(String),
    /// Nothing more is evaluated.
    OutOfBudget(String),
}

/// The value of an annotation; none when it is null or empty.
fn annotate<'a>(session: &mut Session<'a>, annotation: &'a AuditAnnotation) -> Result<Option<String>, AnnotationFailure> {
    let expression =
        annotation.value.as_ref().map_err(|error| AnnotationFailure::Failed(EvaluationError::Compile(error.clone()).to_string()))?;
    let unsupported = |name: &str| {
        AnnotationFailure::Unsupported(format!(
            "valueExpression '{}' resulted in unsupported return type: {name}. Return type must be either string or null.",
            annotation.source
        ))
    };
    match session.evaluate(expression) {
        Ok(Answer::Text(text)) => Ok(Some(cut(text.trim(), MAX_ANNOTATION_BYTES).to_owned()).filter(|it| !it.is_empty())),
        Ok(Answer::Null) => Ok(None),
        Ok(Answer::Bool(_)) => Err(unsupported("bool")),
        Ok(Answer::Other(name)) => Err(unsupported(name)),
        Err(error @ EvaluationError::OutOfBudget) => Err(AnnotationFailure::OutOfBudget(error.to_string())),
        Err(error) => Err(AnnotationFailure::Failed(error.to_string())),
    }
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
