//! Label and field selectors: upstream's grammar and upstream's errors.

mod field;
mod label;
mod lexer;
#[cfg(test)]
mod vectors;

pub use field::{FieldOperator, FieldSelector, FieldTerm};
pub use label::{LabelOperator, LabelRequirement, LabelSelector};

/// Why a selector cannot be understood; the text of a 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);
