//! One error type for every crate, and its one mapping to a `Status` object.
//!
//! The text for clients (`message`, `details`) and the cause for operators (`source`) are separate fields. The source is logged by
//! a layer, and never serialised. Refused: HTTP types. A status code is a plain number.

use crate::excerpt::{excerpt, shorten};
use crate::field::{self, FieldError, MOST_ERRORS, quoted};
use serde::{Deserialize, Serialize};

/// The longest message, in bytes. What it would say beyond that, the causes say.
const MOST_MESSAGE: usize = 16 * 1024;
/// The longest text of a detail or a cause, in bytes: room for the longest error of a field.
const MOST_TEXT: usize = 8 * 1024;

/// How much of an object's name is told, in bytes. A good name is told whole.
const MOST_NAME: usize = 512;

/// A name as messages have it.
fn shown(name: &str) -> String {
    quoted(&excerpt(name, MOST_NAME))
}

/// Why a request failed, in the words of `metav1.StatusReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the API's own and say what they mean")]
pub enum Reason {
    AlreadyExists,
    BadRequest,
    Conflict,
    Expired,
    Forbidden,
    InternalError,
    Invalid,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    RequestEntityTooLarge,
    ServerTimeout,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
    Unauthorized,
    /// Not one of the others: 500, shown without a reason, as upstream does for errors that are no API errors.
    Unknown,
    UnsupportedMediaType,
    /// None of these, with a code that somebody else has chosen, such as an admission webhook; shown without a reason.
    #[serde(skip)]
    Other(u16),
}

impl Reason {
    /// The HTTP status code that goes with the reason: the only such table.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError | Self::ServerTimeout | Self::Unknown => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
            Self::Other(code) => code,
        }
    }

    /// Returns the reason for a code and reason of another server. The reason counts only when it belongs to the code.
    pub fn of(code: u16, reason: &str) -> Self {
        let known = serde_json::from_value::<Self>(reason.into()).ok();
        known.filter(|known| known.code() == code && *known != Self::Unknown).unwrap_or(Self::Other(code))
    }
}

/// One cause in `Status.details.causes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// A machine-readable word, for example `FieldValueInvalid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What a person reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The path of the field, for example `spec.templateRef.name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// `Status.details`: which object, and which causes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// The object's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The plural resource, or for [`Reason::Invalid`] the kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's UID, where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The causes, in the order they were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// After how many seconds a client may try again; also sent as `Retry-After`. Set only where nothing was written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Details {
    fn bounded(&self) -> Self {
        let text = |text: &String| excerpt(text, MOST_TEXT);
        let cause = |cause: &Cause| Cause { reason: text(&cause.reason), message: text(&cause.message), field: text(&cause.field) };
        Self {
            name: text(&self.name),
            group: text(&self.group),
            kind: text(&self.kind),
            uid: text(&self.uid),
            causes: self.causes.iter().take(MOST_ERRORS).map(cause).collect(),
            retry_after_seconds: self.retry_after_seconds,
        }
    }
}

/// A failure of a request, free of any transport.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Why; decides the HTTP code.
    pub reason: Reason,
    /// The text for the client.
    pub message: String,
    /// Which object and fields.
    pub details: Option<Box<Details>>,
    /// A continue token to go on with ([`Reason::Expired`] on lists).
    pub continue_token: Option<String>,
    /// The cause, which only operators may see.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The resource that an error speaks of: group and plural, as in `books.library.example.com`.
#[derive(Clone, Copy, Debug)]
pub struct GroupResource<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural name.
    pub resource: &'a str,
}

impl std::fmt::Display for GroupResource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.group.is_empty() { f.write_str(self.resource) } else { write!(f, "{}.{}", self.resource, self.group) }
    }
}

impl ApiError {
    /// An error with a reason and a message, and nothing else.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        shorten(&mut message, MOST_MESSAGE);
        Self { reason, message, details: None, continue_token: None, source: None }
    }

    fn on(mut self, what: GroupResource<'_>, name: &str) -> Self {
        self.details = Some(Box::new(Details {
            name: excerpt(name, MOST_NAME),
            group: what.group.into(),
            kind: what.resource.into(),
            ..Details::default()
        }));
        self
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// 401: who is calling is not known.
    pub fn unauthorized() -> Self {
        Self::new(Reason::Unauthorized, "Unauthorized")
    }

    /// 403: the object is there or not, the caller may not touch it.
    pub fn forbidden(what: GroupResource<'_>, name: &str, why: impl std::fmt::Display) -> Self {
        let message =
            if name.is_empty() { format!("{what} is forbidden: {why}") } else { format!("{what} {} is forbidden: {why}", shown(name)) };
        Self::new(Reason::Forbidden, message).on(what, name)
    }

    /// 403 for what is to be created in a namespace that is about to go. Controllers look for the cause and stop trying.
    pub fn namespace_terminating(what: GroupResource<'_>, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = Cause {
            reason: "NamespaceTerminating".into(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".into(),
        };
        Self::forbidden(what, name, why).with_causes(vec![cause])
    }

    /// 404: no such object.
    pub fn not_found(what: GroupResource<'_>, name: &str) -> Self {
        Self::new(Reason::NotFound, format!("{what} {} not found", shown(name))).on(what, name)
    }

    /// 404: no such path inside the API.
    pub fn no_such_path() -> Self {
        let mut error = Self::new(Reason::NotFound, "the server could not find the requested resource");
        error.details = Some(Box::default());
        error
    }

    /// 405: the resource is there, the verb is not served on it.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        let mut error = Self::new(Reason::MethodNotAllowed, message);
        error.details = Some(Box::default());
        error
    }

    /// 409: the name is taken.
    pub fn already_exists(what: GroupResource<'_>, name: &str) -> Self {
        Self::new(Reason::AlreadyExists, format!("{what} {} already exists", shown(name))).on(what, name)
    }

    /// 409: the write was based on something that has changed.
    pub fn conflict(what: GroupResource<'_>, name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(Reason::Conflict, format!("Operation cannot be fulfilled on {what} {}: {why}", shown(name))).on(what, name)
    }

    /// 409 with the text that every client library knows: a stale resourceVersion.
    pub fn modified(what: GroupResource<'_>, name: &str) -> Self {
        Self::conflict(what, name, "the object has been modified; please apply your changes to the latest version and try again")
    }

    /// 410: the resourceVersion or the continue token is older than the kept history.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// 413: a body over the limit (bytes).
    pub fn too_large(limit: usize) -> Self {
        Self::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {limit}"))
    }

    /// 422: understood, but some fields are wrong; of very many the first are told. `kind` is the object's kind, or an options kind such as `CreateOptions`.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let what = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut message = format!("{what} {} is invalid", shown(name));
        if !errors.is_empty() {
            message = format!("{message}: {}", field::aggregate(errors));
        }
        let mut error = Self::new(Reason::Invalid, message);
        error.details = Some(Box::new(Details {
            name: excerpt(name, MOST_NAME),
            group: group.into(),
            kind: kind.into(),
            causes: errors.iter().take(MOST_ERRORS).map(FieldError::cause).collect(),
            ..Details::default()
        }));
        error
    }

    /// 500: a fault of this server. The client reads the text, so nothing secret may be in it.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let mut error = Self::new(Reason::InternalError, format!("Internal error occurred: {message}"));
        error.details =
            Some(Box::new(Details { causes: vec![Cause { message: message.to_string(), ..Cause::default() }], ..Details::default() }));
        error
    }

    /// 500 `ServerTimeout`: the store is out of reach. `retry_after_seconds` 0 where a write may have been committed.
    pub fn server_timeout(what: GroupResource<'_>, operation: &str, retry_after_seconds: u32) -> Self {
        let message = format!("The {operation} operation against {what} could not be completed at this time, please try again.");
        let mut error = Self::new(Reason::ServerTimeout, message).on(what, operation);
        error.details.get_or_insert_default().retry_after_seconds = retry_after_seconds;
        error
    }

    /// 504: the deadline has passed; a write may still be committed.
    pub fn timeout(message: impl std::fmt::Display) -> Self {
        Self::new(Reason::Timeout, format!("Timeout: {message}"))
    }

    /// 504 with the cause that reflectors know: a resourceVersion that this server has not seen yet.
    pub fn resource_version_too_large(requested: u64, current: u64) -> Self {
        let mut error = Self::timeout(format!("Too large resource version: {requested}, current: {current}"));
        error.details = Some(Box::new(Details {
            causes: vec![Cause {
                reason: "ResourceVersionTooLarge".into(),
                message: "Too large resource version".into(),
                ..Cause::default()
            }],
            retry_after_seconds: 1,
            ..Details::default()
        }));
        error
    }

    /// 429: come back after `seconds`.
    pub fn too_many_requests(message: impl Into<String>, seconds: u32) -> Self {
        let mut error = Self::new(Reason::TooManyRequests, message);
        error.details = Some(Box::new(Details { retry_after_seconds: seconds, ..Details::default() }));
        error
    }

    /// 503: starting or shutting down.
    pub fn unavailable(message: impl Into<String>, seconds: u32) -> Self {
        let mut error = Self::new(Reason::ServiceUnavailable, message);
        error.details = Some(Box::new(Details { retry_after_seconds: seconds, ..Details::default() }));
        error
    }

    /// Sets the cause, which only operators may see.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the causes.
    #[must_use]
    pub fn with_causes(mut self, mut causes: Vec<Cause>) -> Self {
        causes.truncate(MOST_ERRORS);
        self.details.get_or_insert_default().causes = causes;
        self
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.reason.code()
    }

    /// The object that the client gets. It has a bound, whatever was put into the error: parts of it come from clients.
    pub fn status(&self) -> Status {
        let mut message = self.message.clone();
        shorten(&mut message, MOST_MESSAGE);
        Status {
            kind: "Status".into(),
            api_version: "v1".into(),
            metadata: StatusMetadata { r#continue: self.continue_token.clone().unwrap_or_default() },
            status: "Failure".into(),
            message,
            reason: (!matches!(self.reason, Reason::Unknown | Reason::Other(_))).then_some(self.reason),
            details: self.details.as_deref().map(Details::bounded),
            code: self.code(),
        }
    }
}

/// `metav1.Status`: the answer to a request that has no object to answer with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Always `Status`.
    pub kind: String,
    /// Always `v1`.
    pub api_version: String,
    /// List metadata; empty but for a continue token.
    #[serde(default)]
    pub metadata: StatusMetadata,
    /// `Success` or `Failure`.
    pub status: String,
    /// What a person reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What a program reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Which object and fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The HTTP status code; absent on success.
    #[serde(default, skip_serializing_if = "is_no_code")]
    pub code: u16,
}

fn is_no_code(code: &u16) -> bool {
    *code == 0
}

/// `Status.metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusMetadata {
    /// A token to go on with after an expired one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub r#continue: String,
}

impl Status {
    /// The answer to a successful delete.
    pub fn success(details: Details) -> Self {
        Self {
            kind: "Status".into(),
            api_version: "v1".into(),
            metadata: StatusMetadata::default(),
            status: "Success".into(),
            message: String::new(),
            reason: None,
            details: Some(details),
            code: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FieldPath;
    use serde_json::json;

    const WHAT: GroupResource<'static> = GroupResource { group: "library.example.com", resource: "books" };

    #[test]
    fn messages_are_those_of_upstream() {
        for (error, code, want) in [
            (ApiError::not_found(WHAT, "a"), 404, r#"books.library.example.com "a" not found"#),
            (ApiError::not_found(WHAT, "a\"b"), 404, r#"books.library.example.com "a\"b" not found"#),
            (ApiError::already_exists(WHAT, "a"), 409, r#"books.library.example.com "a" already exists"#),
            (
                ApiError::modified(WHAT, "a"),
                409,
                r#"Operation cannot be fulfilled on books.library.example.com "a": the object has been modified; please apply your changes to the latest version and try again"#,
            ),
            (ApiError::forbidden(WHAT, "", "no"), 403, "books.library.example.com is forbidden: no"),
            (ApiError::resource_version_too_large(9, 3), 504, "Timeout: Too large resource version: 9, current: 3"),
            (
                ApiError::server_timeout(WHAT, "get", 2),
                500,
                "The get operation against books.library.example.com could not be completed at this time, please try again.",
            ),
        ] {
            assert_eq!((error.code(), error.message.as_str()), (code, want));
        }
    }

    /// The cases of k8s.io/apimachinery/pkg/api/errors.
    #[test]
    fn every_sort_of_field_error_has_its_reason() {
        let path = FieldPath::new("field").index(0).child("name");
        for (errors, reason, want) in [
            (vec![FieldError::duplicate(&path, "bar")], "FieldValueDuplicate", r#": field[0].name: Duplicate value: "bar""#),
            (vec![FieldError::invalid(&path, "bar", "detail")], "FieldValueInvalid", r#": field[0].name: Invalid value: "bar": detail"#),
            (vec![FieldError::not_supported(&path, "bar", &[])], "FieldValueNotSupported", r#": field[0].name: Unsupported value: "bar""#),
            (vec![FieldError::not_found(&path, "bar")], "FieldValueNotFound", r#": field[0].name: Not found: "bar""#),
            (vec![FieldError::required(&path, "")], "FieldValueRequired", ": field[0].name: Required value"),
            (vec![], "", ""),
        ] {
            let error = ApiError::invalid("", "Kind", "name", &errors);
            assert_eq!((error.code(), error.message), (422, format!("Kind \"name\" is invalid{want}")));
            let causes = error.details.map(|details| details.causes).unwrap_or_default();
            assert_eq!(causes.len(), errors.len());
            for cause in causes {
                assert_eq!((cause.reason.as_str(), cause.field.as_str()), (reason, "field[0].name"));
                assert_eq!(format!(": field[0].name: {}", cause.message), want);
            }
        }
    }

    #[test]
    fn an_invalid_object_is_told_field_by_field() {
        let error = FieldError::required(&FieldPath::new("metadata").child("name"), "name or generateName is required");
        let status = ApiError::invalid("library.example.com", "Book", "", &[error]).status();
        assert_eq!(
            serde_json::to_value(status).ok(),
            Some(json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Invalid", "code": 422,
                "message": "Book.library.example.com \"\" is invalid: metadata.name: Required value: name or generateName is required",
                "details": {
                    "group": "library.example.com", "kind": "Book",
                    "causes": [{"reason": "FieldValueRequired", "message": "Required value: name or generateName is required", "field": "metadata.name"}],
                },
            }))
        );
    }

    #[test]
    fn no_error_makes_a_long_answer() {
        let long = "x".repeat(1 << 20);
        let errors: Vec<_> =
            (0..200).map(|index| FieldError::invalid(&FieldPath::new("a").index(index), long.as_str(), long.as_str())).collect();
        let text = "x".repeat(64 * 1024);
        let many = vec![Cause { message: text.clone(), field: text, ..Cause::default() }; 300];
        let mut pushed = ApiError::bad_request("a");
        pushed.message.push_str(&long);
        for (error, most) in [
            (ApiError::invalid("g", "Kind", &long, &errors), 300 * 1024),
            (ApiError::bad_request(long.as_str()), 20 * 1024),
            (ApiError::not_found(WHAT, &long), 32 * 1024),
            (ApiError::conflict(WHAT, "a", &long).with_causes(many), 2 * 1024 * 1024),
            (pushed, 20 * 1024),
        ] {
            let status = error.status();
            let bytes = serde_json::to_vec(&status).map_or(usize::MAX, |bytes| bytes.len());
            assert!(bytes < most, "{bytes} bytes: {:.100}", status.message);
            assert!(status.details.unwrap_or_default().causes.len() <= 100);
        }
    }
}
