//! `audit.k8s.io/v1` `Event`: one line of the log, with the fields of upstream in their order.

use super::policy::Level;
use apiserver_endpoints::ResourceInfo;
use apiserver_meta::{Details, Reason, Status, User};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The stage of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The caller is known, nothing else has happened.
    RequestReceived,
    /// The head of the answer is there. Logged for watches, and for requests whose caller was never known.
    ResponseStarted,
    /// The answer has left whole, or its reader has gone.
    ResponseComplete,
    /// The server has failed.
    Panic,
}

impl Stage {
    pub(crate) const ALL: [Self; 4] = [Self::RequestReceived, Self::ResponseStarted, Self::ResponseComplete, Self::Panic];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RequestReceived => "RequestReceived",
            Self::ResponseStarted => "ResponseStarted",
            Self::ResponseComplete => "ResponseComplete",
            Self::Panic => "Panic",
        }
    }
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event<'a> {
    pub(crate) kind: &'static str,
    pub(crate) api_version: &'static str,
    #[serde(serialize_with = "level")]
    pub(crate) level: Level,
    #[serde(rename = "auditID")]
    pub(crate) audit_id: &'a str,
    #[serde(serialize_with = "stage")]
    pub(crate) stage: Stage,
    #[serde(rename = "requestURI")]
    pub(crate) request_uri: &'a str,
    pub(crate) verb: &'a str,
    pub(crate) user: UserInfo<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) impersonated_user: Option<UserInfo<'a>>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) source_ips: &'a [IpAddr],
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object_ref: Option<&'a ObjectReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_status: Option<&'a ResponseStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_object: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_object: Option<&'a RawValue>,
    #[serde(serialize_with = "micros")]
    pub(crate) request_received_timestamp: Timestamp,
    #[serde(serialize_with = "micros")]
    pub(crate) stage_timestamp: Timestamp,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A user as `authentication.k8s.io` writes them; all empty for nobody.
#[derive(Debug, Default, Serialize)]
pub(crate) struct UserInfo<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<&'a BTreeMap<String, Vec<String>>>,
}

impl<'a> From<&'a User> for UserInfo<'a> {
    fn from(user: &'a User) -> Self {
        let extra = (!user.extra.is_empty()).then_some(&user.extra);
        Self { username: &user.name, uid: &user.uid, groups: &user.groups, extra }
    }
}

/// The object that a request is about, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectReference {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) api_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) resource_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) subresource: String,
}

impl From<&ResourceInfo> for ObjectReference {
    fn from(asked: &ResourceInfo) -> Self {
        Self {
            resource: asked.resource.clone(),
            namespace: asked.namespace.clone(),
            name: asked.name.clone(),
            api_group: asked.group.clone(),
            api_version: asked.version.clone(),
            subresource: asked.subresource.clone(),
            ..Self::default()
        }
    }
}

/// How a request has ended: the code, and of a `Status` all that says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ResponseStatus {
    metadata: NoMetadata,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<Details>,
    pub(crate) code: u16,
}

/// Always written, always empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct NoMetadata {}

impl ResponseStatus {
    /// An answer that says nothing but its code.
    pub(crate) fn of_code(code: u16) -> Self {
        Self { code, ..Self::default() }
    }

    /// An answer that is a `Status`.
    pub(crate) fn new(status: &Status, code: u16) -> Self {
        let Status { status, message, reason, details, .. } = status.clone();
        Self { metadata: NoMetadata {}, status, message, reason, details, code }
    }
}

fn level<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.as_str())
}

fn stage<S: Serializer>(stage: &Stage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stage.as_str())
}

/// `metav1.MicroTime`.
fn micros<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// The wanted lines are those that kube-apiserver 1.36 wrote for these requests, with other times and ids.
    #[test]
    fn lines_are_those_of_upstream() {
        let time: Timestamp = "2026-11-23T01:25:32.35606699Z".parse().unwrap();
        let admin = User {
            name: "admin".into(),
            uid: "admin-uid".into(),
            groups: vec!["system:masters".into(), "system:authenticated".into()],
            ..User::default()
        };
        let jane = User {
            name: "jane".into(),
            groups: vec!["devs".into(), "system:authenticated".into()],
            extra: [("scopes".to_owned(), vec!["view".to_owned()])].into(),
            ..User::default()
        };
        let object = ObjectReference {
            resource: "books".into(),
            namespace: "room-create".into(),
            name: "nope".into(),
            api_group: "library.example.com".into(),
            api_version: "v1".into(),
            ..ObjectReference::default()
        };
        let status: Status = serde_json::from_value(json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "\"nope\" not found", "reason": "NotFound", "code": 404,
            "details": {"name": "nope", "group": "library.example.com", "kind": "books"},
        }))
        .unwrap();
        let status = ResponseStatus::new(&status, 404);
        let body = RawValue::from_string(r#"{"kind":"Status"}"#.into()).unwrap();
        let event = Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: Level::RequestResponse,
            audit_id: "my-id-1",
            stage: Stage::ResponseComplete,
            request_uri: "/apis/library.example.com/v1/namespaces/room-create/books/nope",
            verb: "get",
            user: (&admin).into(),
            impersonated_user: Some((&jane).into()),
            source_ips: &["127.0.0.1".parse().unwrap()],
            user_agent: "curl/7.88.1",
            object_ref: Some(&object),
            response_status: Some(&status),
            request_object: None,
            response_object: Some(&body),
            request_received_timestamp: time,
            stage_timestamp: time,
            annotations: [("authorization.k8s.io/decision", "allow"), ("authorization.k8s.io/reason", "")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        };
        let want = concat!(
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"my-id-1","stage":"ResponseComplete","#,
            r#""requestURI":"/apis/library.example.com/v1/namespaces/room-create/books/nope","verb":"get","#,
            r#""user":{"username":"admin","uid":"admin-uid","groups":["system:masters","system:authenticated"]},"#,
            r#""impersonatedUser":{"username":"jane","groups":["devs","system:authenticated"],"extra":{"scopes":["view"]}},"#,
            r#""sourceIPs":["127.0.0.1"],"userAgent":"curl/7.88.1","#,
            r#""objectRef":{"resource":"books","namespace":"room-create","name":"nope","apiGroup":"library.example.com","apiVersion":"v1"},"#,
            r#""responseStatus":{"metadata":{},"status":"Failure","message":"\"nope\" not found","reason":"NotFound","#,
            r#""details":{"name":"nope","group":"library.example.com","kind":"books"},"code":404},"#,
            r#""responseObject":{"kind":"Status"},"#,
            r#""requestReceivedTimestamp":"2026-11-23T01:25:32.356066Z","stageTimestamp":"2026-11-23T01:25:32.356066Z","#,
            r#""annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}"#,
        );
        assert_eq!(serde_json::to_string(&event).unwrap(), want);
    }

    #[test]
    fn nobody_and_nothing_are_left_out() {
        let time: Timestamp = "2026-11-23T01:25:34Z".parse().unwrap();
        let event = Event {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: Level::Metadata,
            audit_id: "1",
            stage: Stage::ResponseStarted,
            request_uri: "/version",
            verb: "get",
            user: UserInfo::default(),
            impersonated_user: None,
            source_ips: &[],
            user_agent: "",
            object_ref: None,
            response_status: Some(&ResponseStatus::of_code(200)),
            request_object: None,
            response_object: None,
            request_received_timestamp: time,
            stage_timestamp: time,
            annotations: BTreeMap::new(),
        };
        let want = concat!(
            r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseStarted","#,
            r#""requestURI":"/version","verb":"get","user":{},"responseStatus":{"metadata":{},"code":200},"#,
            r#""requestReceivedTimestamp":"2026-11-23T01:25:34.000000Z","stageTimestamp":"2026-11-23T01:25:34.000000Z"}"#,
        );
        assert_eq!(serde_json::to_string(&event).unwrap(), want);
    }
}
