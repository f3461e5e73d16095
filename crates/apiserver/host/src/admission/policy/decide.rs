//! What a policy says to a request, for one binding and one parameter.

use super::compiled::{AuditAnnotation, Compiled, CompiledPolicy, FailurePolicy, Validation};
use apiserver_cel::{Activation, EvaluationError, Evaluator, MATCH_CONDITIONS_BUDGET, Output, POLICY_BUDGET};
use apiserver_meta::Reason;
use serde_json::Value;

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
pub(super) fn decide(policy: &CompiledPolicy, activation: &Activation) -> Verdict {
    let activation = activation.clone().with_variables(policy.variables.clone());
    match meets_conditions(policy, &activation) {
        Ok(true) => {}
        Ok(false) => return Verdict::default(),
        Err(message) => return failed(policy, message),
    }
    let mut verdict = match validate(policy, &activation) {
        Ok(denials) => Verdict { denials, ..Verdict::default() },
        Err(error) => return failed(policy, error.to_string()),
    };
    // Annotations may not ask the authorizer.
    let without_authorizer = activation.without_authorizer();
    let mut evaluator = Evaluator::new(&without_authorizer, POLICY_BUDGET);
    for annotation in &policy.audit_annotations {
        match annotate(&mut evaluator, annotation) {
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
fn meets_conditions(policy: &CompiledPolicy, activation: &Activation) -> Result<bool, String> {
    // Conditions are asked before the namespace is looked at.
    let activation = activation.clone().bind("namespaceObject", Value::Null);
    let mut evaluator = Evaluator::new(&activation, MATCH_CONDITIONS_BUDGET);
    let mut failures = Vec::new();
    for condition in &policy.match_conditions {
        match truth(&mut evaluator, condition) {
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

fn truth<'a>(evaluator: &mut Evaluator<'a>, condition: &'a Compiled) -> Result<bool, EvaluationError> {
    evaluator.evaluate_bool(condition.as_ref().map_err(|error| EvaluationError::Compile(error.clone()))?)
}

fn validate(policy: &CompiledPolicy, activation: &Activation) -> Result<Vec<Denial>, EvaluationError> {
    let mut evaluator = Evaluator::new(activation, POLICY_BUDGET);
    let mut results = Vec::with_capacity(policy.validations.len());
    for validation in &policy.validations {
        match truth(&mut evaluator, &validation.expression) {
            Err(EvaluationError::OutOfBudget) => return Err(EvaluationError::OutOfBudget),
            result => results.push(result),
        }
    }
    // Messages may not ask the authorizer, and are paid from what is left.
    let without_authorizer = activation.clone().without_authorizer();
    let mut messages = Evaluator::new(&without_authorizer, evaluator.remaining());
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
fn message<'a>(evaluator: &mut Evaluator<'a>, validation: &'a Validation) -> String {
    let of_expression = match &validation.message_expression {
        Some(Ok(program)) => match evaluator.evaluate(program) {
            Ok(Output::String(text)) => Some(text.trim().to_owned()).filter(|it| it.len() <= MAX_MESSAGE_BYTES && !it.contains('\n')),
            Err(error @ EvaluationError::OutOfBudget) => return format!("failed messageExpression: {error}"),
            Ok(Output::Bool(_) | Output::Null | Output::Other(_)) => None,
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
fn annotate<'a>(evaluator: &mut Evaluator<'a>, annotation: &'a AuditAnnotation) -> Result<Option<String>, AnnotationFailure> {
    let program =
        annotation.value.as_ref().map_err(|error| AnnotationFailure::Failed(EvaluationError::Compile(error.clone()).to_string()))?;
    let unsupported = |name: &str| {
        AnnotationFailure::Unsupported(format!(
            "valueExpression '{}' resulted in unsupported return type: {name}. Return type must be either string or null.",
            annotation.source
        ))
    };
    match evaluator.evaluate(program) {
        Ok(Output::String(text)) => Ok(Some(cut(text.trim(), MAX_ANNOTATION_BYTES).to_owned()).filter(|it| !it.is_empty())),
        Ok(Output::Null) => Ok(None),
        Ok(Output::Bool(_)) => Err(unsupported("bool")),
        Ok(Output::Other(name)) => Err(unsupported(name)),
        Err(error @ EvaluationError::OutOfBudget) => Err(AnnotationFailure::OutOfBudget(error.to_string())),
        Err(error) => Err(AnnotationFailure::Failed(error.to_string())),
    }
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
