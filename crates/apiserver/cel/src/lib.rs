//! Kubernetes' CEL: expressions are compiled once and evaluated any number of times, each time within a cost budget.
//!
//! - [`Environment`]: the variables that expressions may name. It compiles an expression into a [`Program`].
//! - [`Activation`]: the values of these variables for one evaluation. JSON is read in place and never copied.
//! - [`Evaluator`]: evaluates programs against an activation. Programs of one evaluator share its budget.
//!
//! Expressions are not trusted: source texts are bounded, parsing runs on a thread of its own, which contains deep recursion
//! and panics, and evaluation counts what it does, element by element, against the cost limits of kube-apiserver.
//! Evaluation is synchronous; it blocks only while an [`Authorizer`] answers.
//!
//! The `cel` crate parses. Its interpreter is refused: it cannot be stopped, counts no cost, copies objects, and has other
//! error texts than those that clients of Kubernetes see. Also refused: the static type check, which kube-apiserver makes
//! before it stores an expression.
//!
//! ```
//! use apiserver_cel::{Activation, Environment, Evaluator, PER_CALL_LIMIT};
//! use serde_json::json;
//!
//! static ENVIRONMENT: Environment = Environment::new(&["object", "params"]);
//!
//! let program = ENVIRONMENT.compile("object.spec.ports.all(it, it.port <= params.max)")?;
//! let object = json!({"spec": {"ports": [{"port": 80}, {"port": 443}]}});
//! let activation = Activation::default().bind("object", object).bind("params", json!({"max": 1024}));
//! assert!(Evaluator::new(&activation, PER_CALL_LIMIT).evaluate_bool(&program)?);
//! # Ok::<(), apiserver_cel::EvaluationError>(())
//! ```
#![warn(missing_docs)]

mod activation;
mod ast;
mod authorizer;
mod compile;
mod context;
mod environment;
mod error;
mod evaluate;
mod functions;
mod go_regex;
mod operators;
mod overload;
mod printf;
mod program;
mod scalar;
mod select;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub use activation::{Activation, CompositedVariable};
pub use authorizer::{AccessCheck, Authorizer, Decision, ServiceAccount};
pub use context::{MATCH_CONDITIONS_BUDGET, PER_CALL_LIMIT, POLICY_BUDGET};
pub use environment::Environment;
pub use error::{CompileError, EvaluationError};
pub use evaluate::{Evaluator, Output};
pub use program::Program;
pub use types::quantity::Quantity;
