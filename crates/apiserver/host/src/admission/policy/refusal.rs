//! The answer to a request that a policy refuses.

use apiserver_meta::error::GroupResource;
use apiserver_meta::{ApiError, Cause, Reason};

/// One reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) policy: String,
    /// None where the policy itself is at fault.
    pub(super) binding: Option<String>,
    pub(super) message: String,
    pub(super) reason: Reason,
}

impl Refusal {
    /// A fault in how a policy, or a binding, is configured.
    pub(super) fn misconfigured(policy: &str, binding: Option<&str>, why: impl std::fmt::Display) -> Self {
        let what = if binding.is_some() { "binding" } else { "policy" };
        let message = format!("failed to configure {what}: {why}");
        Self { policy: policy.into(), binding: binding.map(str::to_owned), message, reason: Reason::Invalid }
    }

    /// As a client gets it: the words of a 403, with a code of its own.
    pub(super) fn into_error(self, what: GroupResource<'_>, name: &str) -> ApiError {
        let with_binding = self.binding.map(|it| format!(" with binding '{it}'")).unwrap_or_default();
        let message = format!("ValidatingAdmissionPolicy '{}'{with_binding} denied request: {}", self.policy, self.message);
        let mut error = ApiError::forbidden(what, name, &message);
        error.reason = self.reason;
        if let Some(details) = &mut error.details {
            details.causes.push(Cause { message, ..Cause::default() });
        }
        error
    }
}
