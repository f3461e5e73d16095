//! Why a pass over an instance ends before its end: what is told of it, and when it is tried again.

use crate::conditions::{Aspect, Cause, Severity};
use std::borrow::Cow;
use std::time::Duration;

/// The end of a pass before its end.
#[derive(Clone, Debug)]
pub(crate) struct Halt {
    /// The condition that does not hold.
    pub(crate) aspect: Aspect,
    /// Why.
    pub(crate) cause: Cause,
    /// When it is tried again.
    pub(crate) again: Again,
}

/// When something is tried again. A change of the instance, or of what it depends on, comes before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// After this time: it is only waited for.
    After(Duration),
    /// After a time that grows with every attempt: it was refused, or failed.
    WithBackoff,
}

impl Halt {
    /// Nothing goes on until somebody mends it, or the cause goes away by itself.
    pub(crate) fn error(aspect: Aspect, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let cause = Cause { severity: Severity::Error, reason: reason.into(), message: message.into() };
        Self { aspect, cause, again: Again::WithBackoff }
    }

    /// It did not go, and may go the next time.
    pub(crate) fn warning(aspect: Aspect, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let cause = Cause { severity: Severity::Warning, reason: reason.into(), message: message.into() };
        Self { aspect, cause, again: Again::WithBackoff }
    }

    /// It is under way.
    pub(crate) fn wait(aspect: Aspect, reason: impl Into<Cow<'static, str>>, message: impl Into<String>, time: Duration) -> Self {
        Self { again: Again::After(time), ..Self::warning(aspect, reason, message) }
    }

    /// What an API server answered, or that it did not answer, while `doing` was tried: `reading the namespace x`.
    pub(crate) fn of_api(aspect: Aspect, whose: Api, doing: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 403 && status.message.contains("exceeded quota") => {
                Self::warning(aspect, "HostQuotaExceeded", format!("{doing}: {}", status.message))
            }
            kube::Error::Api(status) if status.code == 403 => {
                let remedy = "the controller's ClusterRole has to allow it";
                Self::error(aspect, whose.forbidden(), format!("{doing}: {}; {remedy}", status.message))
            }
            kube::Error::Api(status) if (400..500).contains(&status.code) && ![409, 429].contains(&status.code) => {
                Self::error(aspect, whose.refused(), format!("{doing}: {}", status.message))
            }
            kube::Error::Api(status) => Self::warning(aspect, whose.unreachable(), format!("{doing}: {}", status.message)),
            // What else there is may name addresses, which are no instance's business.
            other => {
                tracing::warn!(error = %other, doing, "no answer");
                Self::warning(aspect, whose.unreachable(), format!("{doing}: there was no answer"))
            }
        }
    }
}

/// Whose API was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// The host cluster's.
    Host,
    /// The virtual cluster's.
    VirtualCluster,
    /// That of management.loft.sh.
    Management,
}

impl Api {
    fn forbidden(self) -> &'static str {
        match self {
            Self::Host => "HostForbidden",
            Self::VirtualCluster => "VirtualClusterForbidden",
            Self::Management => "ManagementForbidden",
        }
    }

    fn refused(self) -> &'static str {
        match self {
            Self::Host => "HostRefused",
            Self::VirtualCluster => "VirtualClusterRefused",
            Self::Management => "ManagementRefused",
        }
    }

    fn unreachable(self) -> &'static str {
        match self {
            Self::Host => "HostUnreachable",
            Self::VirtualCluster => "VirtualClusterUnreachable",
            Self::Management => "ManagementUnreachable",
        }
    }
}
