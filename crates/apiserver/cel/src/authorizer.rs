//! The `authorizer` value: access checks that are composed step by step, and answered by the caller.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// Answers whether the user that it stands for, or a service account, may do something. Called while an expression is
/// evaluated, and may block.
pub trait Authorizer: fmt::Debug + Send + Sync + 'static {
    /// Answers a check.
    ///
    /// # Errors
    /// The reason why there is no answer.
    fn check(&self, access: &AccessCheck) -> Result<Decision, String>;
}

/// An action, and where it is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AccessCheck {
    /// The service account that acts; none for the authorizer's own user.
    pub service_account: Option<ServiceAccount>,
    /// A path that is no resource; the fields of resources are then empty.
    pub path: Option<String>,
    /// The verb.
    pub verb: String,
    /// The resource's group.
    pub group: String,
    /// The resource.
    pub resource: String,
    /// Its subresource, or empty.
    pub subresource: String,
    /// The namespace; empty for all, or none.
    pub namespace: String,
    /// The object; empty for all.
    pub name: String,
    /// Restricts a collection by fields, in the notation of queries.
    pub field_selector: String,
    /// Restricts a collection by labels, in the notation of queries.
    pub label_selector: String,
}

/// A service account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The answer to an access check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The reason; may be empty.
    pub reason: String,
}

/// An access check as far as it is composed, and the authorizer that will answer it.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) access: AccessCheck,
}

impl Check {
    /// Returns the check with one thing more said.
    pub(crate) fn with(&self, set: impl FnOnce(&mut AccessCheck)) -> Rc<Self> {
        let mut check = self.clone();
        set(&mut check.access);
        Rc::new(check)
    }
}
