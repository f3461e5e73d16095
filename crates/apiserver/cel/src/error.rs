//! Errors: those that callers see, and those that end a step of an evaluation.

use crate::value::Value;

/// A compilation error, written for the author of the expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("compilation failed: {0}")]
pub struct CompileError(pub(crate) String);

/// The reason why a program has no value, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The expression was never compiled.
    #[error("compilation error: {0}")]
    Compile(#[from] CompileError),
    /// An operation is not possible, or the program alone has reached its cost limit.
    #[error("expression '{expression}' resulted in error: {reason}")]
    Failed {
        /// The source of the program.
        expression: String,
        /// The error of the operation.
        reason: String,
    },
    /// The budget is spent: nothing that comes after is evaluated.
    #[error("validation failed due to running out of cost budget, no further validation rules will be run")]
    OutOfBudget,
}

/// An error within an evaluation, which `||`, `&&` and macros may absorb unless it is final.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Error {
    /// A function or operator does not take values of these types.
    NoSuchOverload,
    /// Any other error of an operation.
    Message(String),
    /// The program has reached its own cost limit.
    CallLimit,
    /// The evaluator's budget is spent.
    OutOfBudget,
}

/// The value of a step, or its error.
pub(crate) type Outcome<'a> = Result<Value<'a>, Error>;

/// An error with a text.
pub(crate) fn fail<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Message(text.into()))
}

impl Error {
    /// Tells whether `||`, `&&` and macros must not go on after it.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::CallLimit | Self::OutOfBudget)
    }

    pub(crate) fn into_reason(self) -> String {
        match self {
            Self::NoSuchOverload => "no such overload".into(),
            Self::Message(text) => text,
            Self::CallLimit | Self::OutOfBudget => "operation cancelled: actual cost limit exceeded".into(),
        }
    }
}
