//! Activations: the values of an environment's variables.

use crate::authorizer::{AccessCheck, Authorizer, Check};
use crate::error::CompileError;
use crate::program::Program;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

const AUTHORIZER: &str = "authorizer";
const REQUEST_RESOURCE: &str = "authorizer.requestResource";

/// The values of variables for one evaluation. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Activation {
    bindings: BTreeMap<&'static str, Binding>,
    composited: Arc<[CompositedVariable]>,
}

/// A named expression of a policy: `variables.NAME`.
#[derive(Debug)]
pub struct CompositedVariable {
    /// The name after `variables.`.
    pub name: String,
    /// Its program. A compilation error is reported by the expressions that use the variable.
    pub program: Result<Program, CompileError>,
}

/// The value of one variable.
#[derive(Clone, Debug)]
pub(crate) enum Binding {
    Json(Arc<Json>),
    Authorizer(Check),
    ResourceCheck(Check),
}

impl Activation {
    /// Binds a variable to JSON.
    #[must_use]
    pub fn bind(mut self, name: &'static str, value: impl Into<Arc<Json>>) -> Self {
        self.bindings.insert(name, Binding::Json(value.into()));
        self
    }

    /// Binds `authorizer`, and `authorizer.requestResource` to the check that it begins with.
    #[must_use]
    pub fn bind_authorizer(mut self, authorizer: Arc<dyn Authorizer>, request_resource: AccessCheck) -> Self {
        let check = Check { authorizer: Arc::clone(&authorizer), access: AccessCheck::default() };
        self.bindings.insert(AUTHORIZER, Binding::Authorizer(check));
        self.bindings.insert(REQUEST_RESOURCE, Binding::ResourceCheck(Check { authorizer, access: request_resource }));
        self
    }

    /// Takes the authorizer away: expressions that ask it fail.
    #[must_use]
    pub fn without_authorizer(mut self) -> Self {
        self.bindings.retain(|name, _| !matches!(*name, AUTHORIZER | REQUEST_RESOURCE));
        self
    }

    /// Sets the composited variables: each is evaluated when it is first used, once for each evaluator.
    #[must_use]
    pub fn with_variables(self, composited: Arc<[CompositedVariable]>) -> Self {
        Self { composited, ..self }
    }

    pub(crate) fn binding(&self, name: &str) -> Option<&Binding> {
        self.bindings.get(name)
    }

    pub(crate) fn composited(&self, name: &str) -> Option<&CompositedVariable> {
        self.composited.iter().find(|it| it.name == name)
    }
}
