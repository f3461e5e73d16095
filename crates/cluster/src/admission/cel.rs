//! CEL expressions over a request, with the libraries that Kubernetes adds: match conditions and admission policies.
//!
//! The cluster's administrators write them, and they must not harm the server: source texts are bounded, parsing runs on
//! a thread of its own whose stack and panics are no one else's, and evaluation counts what it does, element by element,
//! against the cost limits that kube-apiserver has; it stops where they end. Parsed by the `cel` crate. Its interpreter
//! is refused: it cannot be stopped, counts no cost, copies the objects, and has other error texts than the ones clients
//! of Kubernetes see. Also refused: the static type check, which kube-apiserver makes before it stores an expression.

mod access;
mod compile;
mod evaluate;
mod functions;
mod go_regex;
mod operators;
mod value;

#[cfg(test)]
mod tests;

pub use functions::authorizer::{AccessCheck, Authorizer, Decision};
pub(crate) use functions::quantity::Quantity;

use serde_json::Value as Json;
use std::sync::Arc;

/// The longest source text that is taken, in bytes: as much as cel-go takes code points.
const MAX_SOURCE_BYTES: usize = 100_000;

/// What one expression may cost.
pub const PER_CALL_LIMIT: u64 = 1_000_000;
/// What all expressions of a policy may cost for one binding and parameter.
pub const POLICY_BUDGET: u64 = 10_000_000;
/// What the match conditions of a policy or webhook may cost.
pub const MATCH_CONDITIONS_BUDGET: u64 = 2_500_000;

/// An expression, ready to be evaluated any number of times.
#[derive(Debug)]
pub struct Expression {
    source: Box<str>,
    root: compile::Node,
}

/// Why a text is no expression. Written for those who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compilation failed: {0}")]
pub struct CompileError(String);

/// Why an expression gave no value, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The text was no expression in the first place.
    #[error("compilation error: {0}")]
    Compile(#[from] CompileError),
    /// Something that it did is not possible.
    #[error("expression '{expression}' resulted in error: {reason}")]
    Failed {
        /// Its source.
        expression: String,
        /// What was not possible.
        reason: String,
    },
    /// All that may be spent was spent: what comes after it is not evaluated either.
    #[error("validation failed due to running out of cost budget, no further validation rules will be run")]
    OutOfBudget,
    /// The evaluation ended in a way that it never should.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What expressions can speak of. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// `object`: what is to be stored; null for deletes.
    pub object: Arc<Json>,
    /// `oldObject`: what is there; null for creates.
    pub old_object: Arc<Json>,
    /// `request`: the attributes of the request, without its objects.
    pub request: Arc<Json>,
    /// `params`: the parameter of a policy's binding, or null.
    pub params: Arc<Json>,
    /// `namespaceObject`: the namespace, or null.
    pub namespace_object: Arc<Json>,
    /// `authorizer` and `authorizer.requestResource`, where they may be asked.
    pub authorizer: Option<Authorization>,
    /// `variables`: evaluated when first needed, once for each [`Session`].
    pub variables: Arc<[Variable]>,
}

/// Whom and what `authorizer` asks.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Whom it asks.
    pub authorizer: Arc<dyn Authorizer>,
    /// Whose access it is about.
    pub user: Arc<vci_meta::User>,
    /// What `authorizer.requestResource` is.
    pub request_resource: AccessCheck,
}

/// A named expression of a policy.
#[derive(Debug)]
pub struct Variable {
    /// The name after `variables.`.
    pub name: String,
    /// What it is; may be no expression, which is told to whoever asks for it.
    pub expression: Result<Expression, CompileError>,
}

/// The value of an expression, as far as callers tell values apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A truth value.
    Bool(bool),
    /// A string.
    Text(String),
    /// Null.
    Null,
    /// Anything else: its type.
    Other(&'static str),
}

/// Evaluations that share their variables and their budget.
pub struct Session<'a> {
    evaluator: evaluate::Evaluator<'a>,
}

impl Expression {
    /// Parses a text.
    ///
    /// # Errors
    /// What is wrong with it: syntax, a name that nothing has, a function that does not exist.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(CompileError(format!("the expression is longer than {MAX_SOURCE_BYTES} bytes")));
        }
        let root = compile::on_own_thread(source).map_err(CompileError)?;
        Ok(Self { source: source.into(), root })
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Evaluates one condition. Blocks while `authorizer` is asked: not for the runtime's threads, see [`off_runtime`].
    ///
    /// # Errors
    /// When there is no value, or one that is not a truth value.
    pub fn evaluate_bool(&self, variables: &Variables) -> Result<bool, EvaluationError> {
        Session::new(variables, MATCH_CONDITIONS_BUDGET).evaluate_bool(self)
    }
}

impl<'a> Session<'a> {
    /// A session that may cost `budget`.
    pub fn new(variables: &'a Variables, budget: u64) -> Self {
        Self { evaluator: evaluate::Evaluator::new(variables, budget) }
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// When there is no value.
    pub fn evaluate(&mut self, expression: &'a Expression) -> Result<Answer, EvaluationError> {
        self.evaluator.run(expression)
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// When there is no value, or one that is not a truth value.
    pub fn evaluate_bool(&mut self, expression: &'a Expression) -> Result<bool, EvaluationError> {
        let failed = |got: &str| EvaluationError::Failed {
            expression: expression.source().to_owned(),
            reason: format!("must evaluate to bool but got {got}"),
        };
        match self.evaluate(expression)? {
            Answer::Bool(it) => Ok(it),
            Answer::Text(_) => Err(failed("string")),
            Answer::Null => Err(failed("null_type")),
            Answer::Other(name) => Err(failed(name)),
        }
    }

    /// What may still be spent.
    pub fn remaining(&self) -> u64 {
        self.evaluator.remaining()
    }
}

/// Runs evaluations where they may take their time, and where a panic ends nothing but them.
///
/// # Errors
/// [`EvaluationError::Internal`] when `evaluations` panicked.
pub async fn off_runtime<T: Send + 'static>(evaluations: impl FnOnce() -> T + Send + 'static) -> Result<T, EvaluationError> {
    tokio::task::spawn_blocking(evaluations).await.map_err(|error| EvaluationError::Internal(error.to_string()))
}
