//! In the place of traces, in a program that was built without them.

use crate::StartError;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

/// Never there.
#[derive(Clone, Debug)]
pub(crate) struct TracingPlan(Infallible);

impl TracingPlan {
    /// # Errors
    /// Always.
    pub(crate) fn read(path: &Path) -> Result<Self, StartError> {
        let why = "this program was built without traces (feature otlp)".into();
        Err(StartError::Configuration { path: path.to_owned(), why })
    }
}

/// Never there.
#[derive(Debug)]
pub(crate) struct Traces(Infallible);

impl Traces {
    /// # Errors
    /// Never.
    pub(crate) fn start(plan: &TracingPlan, _version: &str) -> Result<Arc<Self>, StartError> {
        match plan.0 {}
    }

    pub(crate) fn around(self: &Arc<Self>, _router: axum::Router) -> axum::Router {
        match self.0 {}
    }

    pub(crate) async fn flush(&self) {
        match self.0 {}
    }
}
