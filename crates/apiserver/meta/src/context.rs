//! The user of a request, and the context that accompanies it through the server.

use crate::opaque::Opaque;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
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

/// The group of all authenticated users.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// The group of requests without credentials.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";
/// Those who may do everything.
pub const GROUP_MASTERS: &str = "system:masters";
/// The name of those who offered no credentials.
pub const USER_ANONYMOUS: &str = "system:anonymous";

impl User {
    /// The user of requests without credentials.
    pub fn anonymous() -> Self {
        Self { name: USER_ANONYMOUS.into(), groups: vec![GROUP_UNAUTHENTICATED.into()], ..Self::default() }
    }

    /// Whether nobody knows who this is: nobody was authenticated, and whoever hands the request on says so as well.
    pub fn is_anonymous(&self) -> bool {
        self.name == USER_ANONYMOUS || self.in_group(GROUP_UNAUTHENTICATED) && !self.in_group(GROUP_AUTHENTICATED)
    }

    /// Adds the user to `system:authenticated`, as upstream's AuthenticatedGroupAdder does. The anonymous user is never added, even
    /// if an authenticator names that user.
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

/// The product's own data about a caller, beside the [`User`]. Opaque to the library, which carries it from authentication to rules,
/// admission and authorizers. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Principal(Opaque);

impl Eq for Principal {}

impl Principal {
    /// A principal that is this value.
    pub fn new(value: impl Any + fmt::Debug + PartialEq + Hash + Send + Sync) -> Self {
        Self(Opaque::new(value))
    }

    /// The value, when it is of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.get()
    }
}

/// How many warnings one answer has. Each becomes a header, and common clients read no more than a hundred.
const MOST_WARNINGS: usize = 64;
/// Maximum length of a kept warning, in characters: one more than all of them together may have uncut.
const MOST_OF_WARNING: usize = 4097;

/// The context of a request, the first parameter of every call: caller, deadline, audit id.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The caller.
    pub user: Arc<User>,
    /// The product's own data about the caller.
    pub principal: Principal,
    /// When the answer is due.
    pub deadline: Instant,
    /// The request's id in logs and audit, sent back as `Audit-Id`.
    pub audit_id: Arc<str>,
    /// The same for all requests of one connection, and another one for most others.
    pub connection: u64,
    /// Texts for `Warning` headers.
    warnings: Arc<Mutex<Vec<String>>>,
    /// Annotations of the request's audit event; `None` when it is not audited.
    annotations: Option<Annotations>,
    /// Values that are dropped with the last copy of this context.
    kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl RequestContext {
    /// A context without warnings.
    pub fn new(user: Arc<User>, principal: Principal, deadline: Instant, audit_id: Arc<str>) -> Self {
        Self { user, principal, deadline, audit_id, connection: 0, warnings: Arc::default(), annotations: None, kept: None }
    }

    /// Sets the annotations that [`RequestContext::annotate`] writes to.
    #[must_use]
    pub fn with_annotations(mut self, annotations: Annotations) -> Self {
        self.annotations = Some(annotations);
        self
    }

    /// The request came by the connection that has this client's address and port.
    #[must_use]
    pub fn on_connection(mut self, client: SocketAddr) -> Self {
        let mut hasher = DefaultHasher::new();
        client.hash(&mut hasher);
        self.connection = hasher.finish();
        self
    }

    /// Replaces the caller, whose identity or rights have changed since the request came.
    #[must_use]
    pub fn with_identity(mut self, user: Arc<User>, principal: Principal) -> Self {
        (self.user, self.principal) = (user, principal);
        self
    }

    /// Keeps a value until the last copy of this context is dropped. A write that goes on without its client has a copy.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept = Some(Arc::new(kept));
        self
    }

    /// Says something in the audit event of this request: see [`Annotations::annotate`]. Where nothing is audited, nothing
    /// happens.
    pub fn annotate(&self, key: impl Into<String>, value: impl Into<String>) {
        if let Some(annotations) = &self.annotations {
            annotations.annotate(key, value);
        }
    }

    /// Tells the client something beside the answer; the same text only once, and of very many texts the first.
    pub fn warn(&self, text: impl Into<String>) {
        let mut text = text.into();
        if let Some((end, _)) = text.char_indices().nth(MOST_OF_WARNING) {
            text.truncate(end);
        }
        let mut warnings = self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if warnings.len() < MOST_WARNINGS && !warnings.contains(&text) {
            let is_last = warnings.len() + 1 == MOST_WARNINGS;
            warnings.push(if is_last { format!("there are more warnings than the {} that are told", MOST_WARNINGS - 1) } else { text });
        }
    }

    /// The warnings so far, in order.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// Annotations of an audit event, from admission and authorization, by key. Clones share them.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> RequestContext {
        RequestContext::new(Arc::default(), Principal::default(), Instant::now(), "audit".into())
    }

    #[test]
    fn warnings_are_told_once_each() {
        let ctx = context();
        ["b", "a", "b"].into_iter().for_each(|text| ctx.warn(text));
        assert_eq!(ctx.warnings(), ["b", "a"]);
    }

    /// As many as a body has room for, each compared with those that are kept alone.
    #[test]
    fn very_many_or_long_warnings_are_not_kept() {
        let ctx = context();
        ctx.warn("é".repeat(1 << 20));
        (0..200_000).for_each(|index| ctx.warn(format!("warning {index}")));
        let warnings = ctx.warnings();
        assert_eq!((warnings.len(), warnings[0].chars().count()), (MOST_WARNINGS, MOST_OF_WARNING));
        assert_eq!(warnings[MOST_WARNINGS - 1], "there are more warnings than the 63 that are told");
    }
}
