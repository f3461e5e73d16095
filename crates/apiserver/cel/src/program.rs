//! Programs: compiled expressions.

use crate::ast::Node;
use crate::error::{Error, EvaluationError};

/// A compiled expression, which can be evaluated any number of times.
#[derive(Debug)]
pub struct Program {
    source: Box<str>,
    pub(crate) root: Node,
}

impl Program {
    pub(crate) fn new(source: &str, root: Node) -> Self {
        Self { source: source.into(), root }
    }

    /// The source text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Names the program whose evaluation ended with an error.
    pub(crate) fn error(&self, error: Error) -> EvaluationError {
        match error {
            Error::OutOfBudget => EvaluationError::OutOfBudget,
            other => EvaluationError::Failed { expression: self.source.to_string(), reason: other.into_reason() },
        }
    }
}
