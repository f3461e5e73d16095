//! Who is calling, and what goes with a request from one end of the server to the other.

use crate::access::Caller;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// An authenticated identity (`user.Info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name that rules and audit speak of.
    pub name: String,
    /// An identifier that survives a rename; may be empty.
    pub uid: String,
    /// The groups, `system:authenticated` among them for everybody but anonymous.
    pub groups: Vec<String>,
    /// More facts, by key.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Everybody who was authenticated.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// Everybody who offered no credentials.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";
/// Those who may do everything.
pub const GROUP_MASTERS: &str = "system:masters";
/// The name of those who offered no credentials.
pub const USER_ANONYMOUS: &str = "system:anonymous";

impl User {
    /// Who is meant when no credentials were offered.
    pub fn anonymous() -> Self {
        Self { name: USER_ANONYMOUS.into(), groups: vec![GROUP_UNAUTHENTICATED.into()], ..Self::default() }
    }

    /// Whether nobody knows who this is: nobody was authenticated, and whoever hands the request on says so as well.
    pub fn is_anonymous(&self) -> bool {
        self.name == USER_ANONYMOUS || self.in_group(GROUP_UNAUTHENTICATED) && !self.in_group(GROUP_AUTHENTICATED)
    }

    /// The same user, in the group of those who were authenticated. Who is anonymous stays so, whoever vouches for them, as
    /// with upstream's AuthenticatedGroupAdder.
    #[must_use]
    pub fn authenticated(mut self) -> Self {
        if !self.is_anonymous() && !self.in_group(GROUP_AUTHENTICATED) {
            self.groups.push(GROUP_AUTHENTICATED.into());
        }
        self
    }

    /// Whether the user is in the group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}

/// What goes first into every call: who, until when, under which id.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who is calling.
    pub user: Arc<User>,
    /// Who is calling, in the words of the API's own objects (user and team names). Used by rules and filters.
    pub caller: Arc<Caller>,
    /// When the answer is due.
    pub deadline: Instant,
    /// The request's id in logs and audit, sent back as `Audit-Id`.
    pub audit_id: Arc<str>,
    /// Texts for `Warning` headers.
    warnings: Arc<Mutex<Vec<String>>>,
    /// What the audit event of this request is to say beside; `None` where nothing is audited.
    annotations: Option<Annotations>,
}

impl RequestContext {
    /// A context without warnings.
    pub fn new(user: Arc<User>, caller: Arc<Caller>, deadline: Instant, audit_id: Arc<str>) -> Self {
        Self { user, caller, deadline, audit_id, warnings: Arc::default(), annotations: None }
    }

    /// The same context, whose [`RequestContext::annotate`] writes to these.
    #[must_use]
    pub fn with_annotations(mut self, annotations: Annotations) -> Self {
        self.annotations = Some(annotations);
        self
    }

    /// The same request of somebody who is now another: what they are and may do has changed since it came.
    #[must_use]
    pub fn with_identity(mut self, user: Arc<User>, caller: Arc<Caller>) -> Self {
        (self.user, self.caller) = (user, caller);
        self
    }

    /// Says something in the audit event of this request: see [`Annotations::annotate`]. Where nothing is audited, nothing
    /// happens.
    pub fn annotate(&self, key: impl Into<String>, value: impl Into<String>) {
        if let Some(annotations) = &self.annotations {
            annotations.annotate(key, value);
        }
    }

    /// Tells the client something beside the answer; the same text only once.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// The warnings so far, in order.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// What an audit event says beside who did what: admission's and authorization's remarks, by key. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Annotations(Arc<Mutex<BTreeMap<String, String>>>);

impl Annotations {
    /// Notes a remark. The key is qualified with a domain, for example `authorization.k8s.io/decision`. What was said first
    /// stands, as upstream has it. Nothing secret may be in it.
    pub fn annotate(&self, key: impl Into<String>, value: impl Into<String>) {
        let mut annotations = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        annotations.entry(key.into()).or_insert_with(|| value.into());
    }

    /// All remarks so far.
    pub fn all(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
