//! Environments: the names that expressions may use.

use crate::compile;
use crate::error::CompileError;
use crate::program::Program;

/// The longest source text that is compiled, in bytes: as many as cel-go takes code points.
pub(crate) const MAX_SOURCE_BYTES: usize = 100_000;

/// The variables that expressions may name. Functions, macros and the composited variables `variables.NAME` are always known.
#[derive(Debug)]
pub struct Environment {
    variables: &'static [&'static str],
}

impl Environment {
    /// Declares variables. A name may have dots: `authorizer.requestResource` is found before a field of `authorizer`.
    pub const fn new(variables: &'static [&'static str]) -> Self {
        Self { variables }
    }

    /// Compiles an expression. Takes its time: not for a thread of an async runtime.
    ///
    /// # Errors
    /// A syntax error, an undeclared variable, or an unknown function.
    pub fn compile(&self, source: &str) -> Result<Program, CompileError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(CompileError(format!("the expression is longer than {MAX_SOURCE_BYTES} bytes")));
        }
        let root = compile::on_own_thread(self.variables, source).map_err(CompileError)?;
        Ok(Program::new(source, root))
    }
}
