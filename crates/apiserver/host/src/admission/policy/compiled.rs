//! A policy whose expressions were parsed.

use crate::admission::expressions::ENVIRONMENT;
use apiserver_cel::{CompileError, CompositedVariable, Program};
use apiserver_meta::Reason;
use k8s_openapi::api::admissionregistration::v1::{ParamKind, ValidatingAdmissionPolicy};
use std::sync::Arc;

/// What becomes of a request that a policy cannot be evaluated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailurePolicy {
    Fail,
    Ignore,
}

/// A program, or its compilation error, which requests that need it are answered with.
pub(super) type Compiled = Result<Program, CompileError>;

/// One of `spec.validations`.
#[derive(Debug)]
pub(super) struct Validation {
    pub(super) expression: Compiled,
    pub(super) source: String,
    pub(super) message: Option<String>,
    pub(super) message_expression: Option<Compiled>,
    pub(super) reason: Reason,
}

/// One of `spec.auditAnnotations`.
#[derive(Debug)]
pub(super) struct AuditAnnotation {
    pub(super) key: String,
    pub(super) value: Compiled,
    pub(super) source: String,
}

/// A policy, ready to be evaluated.
#[derive(Debug)]
pub(super) struct CompiledPolicy {
    pub(super) name: String,
    pub(super) failure_policy: FailurePolicy,
    pub(super) param_kind: Option<ParamKind>,
    pub(super) match_conditions: Vec<Compiled>,
    pub(super) variables: Arc<[CompositedVariable]>,
    pub(super) validations: Vec<Validation>,
    pub(super) audit_annotations: Vec<AuditAnnotation>,
}

impl CompiledPolicy {
    /// Parses all expressions of a policy. Takes its time: not for the runtime's threads.
    pub(super) fn new(policy: &ValidatingAdmissionPolicy) -> Self {
        let spec = policy.spec.clone().unwrap_or_default();
        let failure_policy = match spec.failure_policy.as_deref() {
            Some("Ignore") => FailurePolicy::Ignore,
            _ => FailurePolicy::Fail,
        };
        let conditions = spec.match_conditions.unwrap_or_default();
        let variables = spec.variables.unwrap_or_default();
        let validations = spec.validations.unwrap_or_default();
        let annotations = spec.audit_annotations.unwrap_or_default();
        Self {
            name: policy.metadata.name.clone().unwrap_or_default(),
            failure_policy,
            param_kind: spec.param_kind,
            match_conditions: conditions.iter().map(|it| ENVIRONMENT.compile(&it.expression)).collect(),
            variables: variables
                .into_iter()
                .map(|it| CompositedVariable { program: ENVIRONMENT.compile(&it.expression), name: it.name })
                .collect(),
            validations: validations
                .into_iter()
                .map(|it| Validation {
                    expression: ENVIRONMENT.compile(&it.expression),
                    source: it.expression,
                    message: it.message,
                    message_expression: it.message_expression.filter(|it| !it.is_empty()).map(|it| ENVIRONMENT.compile(&it)),
                    reason: reason(it.reason.as_deref()),
                })
                .collect(),
            audit_annotations: annotations
                .into_iter()
                .map(|it| AuditAnnotation { key: it.key, value: ENVIRONMENT.compile(&it.value_expression), source: it.value_expression })
                .collect(),
        }
    }

    /// One that refuses everything that it is asked about.
    pub(super) fn broken(name: String) -> Self {
        let empty = Validation {
            expression: ENVIRONMENT.compile(""),
            source: String::new(),
            message: None,
            message_expression: None,
            reason: Reason::Invalid,
        };
        Self {
            name,
            failure_policy: FailurePolicy::Fail,
            param_kind: None,
            match_conditions: Vec::new(),
            variables: Arc::default(),
            validations: vec![empty],
            audit_annotations: Vec::new(),
        }
    }
}

/// The reason of a refusal, which decides its code.
fn reason(text: Option<&str>) -> Reason {
    match text {
        Some("Unauthorized") => Reason::Unauthorized,
        Some("Forbidden") => Reason::Forbidden,
        Some("RequestEntityTooLarge") => Reason::RequestEntityTooLarge,
        _ => Reason::Invalid,
    }
}
