//! The audit of one request, from its head to the end of its response.

use super::AuditLog;
use super::event::{Event, ObjectReference, ResponseStatus, Stage, UserInfo};
use super::policy::{Level, ManagedFields, RequestAuditConfig};
use super::sender::{self, Attempted};
use super::writer::{AuditMode, Written};
use super::{API_VERSION, objects};
use apiserver_auth::Identity;
use apiserver_endpoints::{AuditId, AuditSink, Panicked, RequestInfo};
use apiserver_meta::{Annotations, ApiError, Reason, Status, User};
use async_trait::async_trait;
use http::request::Parts;
use http::{Extensions, HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In the annotations of an event that has lost its objects because it was too long.
const TRUNCATED: &str = "audit.k8s.io/truncated";

/// The audit of one request: implements [`AuditSink`] for the handlers, and writes its events.
#[derive(Debug)]
pub(crate) struct RequestAudit {
    log: Arc<AuditLog>,
    received: Timestamp,
    uri: String,
    source_ips: Vec<IpAddr>,
    user_agent: String,
    attempted: Attempted,
    annotations: Annotations,
    builder: Mutex<EventBuilder>,
}

/// The parts of an event that become known while the request is served.
#[derive(Debug, Default)]
struct EventBuilder {
    /// The policy's configuration; `None` before the caller is known.
    config: Option<RequestAuditConfig>,
    audit_id: Option<Arc<str>>,
    verb: Cow<'static, str>,
    is_long_running: bool,
    user: Option<Arc<User>>,
    impersonated_user: Option<Arc<User>>,
    object: Option<ObjectReference>,
    secrecy: Secrecy,
    status: Option<ResponseStatus>,
    request_object: Option<Box<RawValue>>,
    response_object: Option<Box<RawValue>>,
}

/// Whether the objects of a request contain secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Secrecy {
    #[default]
    None,
    Confidential,
}

/// The stage that follows the head of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextStage {
    /// The request is not logged.
    Unlogged,
    /// This stage is logged, and is the last.
    Last(Stage),
    /// A watch, or what else goes on until somebody ends it: ResponseStarted is logged now, ResponseComplete at its end.
    LongRunning,
    /// ResponseComplete is logged when the body has ended.
    Body(Capture),
}

/// Whether the response's body is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    Nothing,
    Object(ManagedFields),
}

impl RequestAudit {
    pub(crate) fn new(log: &Arc<AuditLog>, head: &Parts) -> Self {
        Self {
            log: Arc::clone(log),
            received: Timestamp::now(),
            uri: sender::request_uri(&head.uri),
            source_ips: sender::source_ips(head),
            user_agent: sender::user_agent(&head.headers),
            attempted: Attempted::of(head),
            annotations: Annotations::default(),
            builder: Mutex::default(),
        }
    }

    pub(crate) fn log(&self) -> &Arc<AuditLog> {
        &self.log
    }

    /// Records the head of the response.
    pub(crate) fn answered(&self, code: StatusCode, found: &Extensions) -> NextStage {
        let found_status = found.get::<Status>().map(|status| ResponseStatus::new(status, code.as_u16()));
        let status = found_status.unwrap_or_else(|| ResponseStatus::of_code(code.as_u16()));
        if self.builder().config.is_none() {
            return self.answered_unknown(status, found);
        }
        let mut builder = self.builder();
        let builder = &mut *builder;
        let level = builder.level();
        if level == Level::None {
            return NextStage::Unlogged;
        }
        if let Some(Panicked(message)) = found.get::<Panicked>() {
            builder.set_status(panic_status(message));
            return NextStage::Last(Stage::Panic);
        }
        builder.set_status(status);
        if builder.is_long_running {
            return NextStage::LongRunning;
        }
        let is_logged = level >= Level::RequestResponse && builder.object.is_some();
        let managed_fields = builder.config.as_ref().map_or(ManagedFields::Kept, |config| config.managed_fields);
        NextStage::Body(if is_logged { Capture::Object(managed_fields) } else { Capture::Nothing })
    }

    /// Records a response that was given before the caller was known. A path that is no request of the API is not logged.
    fn answered_unknown(&self, mut status: ResponseStatus, found: &Extensions) -> NextStage {
        let (Some(info), Some(id)) = (found.get::<Arc<RequestInfo>>(), found.get::<AuditId>()) else { return NextStage::Unlogged };
        self.decide(None, info, id);
        let mut builder = self.builder();
        if builder.level() == Level::None {
            return NextStage::Unlogged;
        }
        if status.code == StatusCode::UNAUTHORIZED.as_u16() {
            status.message = self.attempted.failure();
        }
        builder.set_status(status);
        NextStage::Last(Stage::ResponseStarted)
    }

    /// Records the body of the response. `None`: it was too long.
    pub(crate) fn body(&self, head: &HeaderMap, bytes: Option<&[u8]>, managed_fields: ManagedFields) {
        let answer = bytes.map_or(objects::Answer::TooLong, |bytes| objects::answer(head, bytes, self.log.max_event_size, managed_fields));
        match answer {
            objects::Answer::Object(object) => self.builder().response_object = Some(object),
            objects::Answer::TooLong => self.annotations.annotate(TRUNCATED, "true"),
            objects::Answer::None => {}
        }
    }

    /// Records that the client has gone before the response, in upstream's words.
    pub(crate) fn abandoned(&self) -> NextStage {
        let mut builder = self.builder();
        if builder.level() == Level::None {
            return NextStage::Unlogged;
        }
        let mut status = ResponseStatus::of_code(StatusCode::OK.as_u16());
        status.status = "Success".into();
        status.message = "Connection closed early".into();
        builder.status.get_or_insert(status);
        NextStage::Last(Stage::ResponseComplete)
    }

    /// Logs a stage.
    pub(crate) async fn reach(&self, stage: Stage) -> Written {
        let Some(line) = self.line(stage) else { return Written::Yes };
        self.log.counters.event();
        self.log.queue.write(line).await
    }

    fn decide(&self, identity: Option<&Identity>, info: &RequestInfo, id: &AuditId) {
        let user = identity.map(|identity| &identity.user);
        let mut config = self.log.policy.config_for(user.map(|user| &**user), info);
        let mut builder = self.builder();
        if info.resource.as_ref().is_some_and(|resource| self.log.confidential.covers(resource)) {
            builder.secrecy = Secrecy::Confidential;
            config.level = config.level.min(Level::Metadata);
        }
        if info.proxied.is_some() {
            // Bodies are another API's, whose secrets are not known here.
            config.level = config.level.min(Level::Metadata);
        }
        self.log.counters.level(config.level);
        builder.config = Some(config);
        builder.audit_id = Some(Arc::clone(&id.0));
        builder.verb = info.verb.clone();
        builder.is_long_running = info.is_long_running();
        builder.user = user.cloned();
        builder.object = info.resource.as_ref().map(ObjectReference::from);
    }

    /// Returns the line for a stage, if it is logged.
    fn line(&self, stage: Stage) -> Option<Vec<u8>> {
        let builder = self.builder();
        let config = builder.config.as_ref().filter(|config| config.level > Level::None && !config.omit_stages.contains(&stage))?;
        let mut event = Event {
            kind: "Event",
            api_version: API_VERSION,
            level: config.level,
            audit_id: builder.audit_id.as_deref().unwrap_or_default(),
            stage,
            request_uri: &self.uri,
            verb: &builder.verb,
            user: builder.user.as_deref().map(UserInfo::from).unwrap_or_default(),
            impersonated_user: builder.impersonated_user.as_deref().map(UserInfo::from),
            source_ips: &self.source_ips,
            user_agent: &self.user_agent,
            object_ref: builder.object.as_ref(),
            response_status: builder.status.as_ref(),
            request_object: builder.request_object.as_deref(),
            response_object: builder.response_object.as_deref(),
            request_received_timestamp: self.received,
            stage_timestamp: if stage == Stage::RequestReceived { self.received } else { Timestamp::now() },
            annotations: self.annotations.all(),
        };
        let mut line = serde_json::to_vec(&event).ok()?;
        // What is left has the bound of a request's head. Refused: to lose it for its length, as upstream does, because
        // clients could then choose not to be logged.
        if line.len() > self.log.max_event_size && (event.request_object.is_some() || event.response_object.is_some()) {
            event.request_object = None;
            event.response_object = None;
            event.annotations.insert(TRUNCATED.into(), "true".into());
            line = serde_json::to_vec(&event).ok()?;
        }
        line.push(b'\n');
        Some(line)
    }

    fn builder(&self) -> MutexGuard<'_, EventBuilder> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an object is of a kind with secrets. Such an object is never logged, even if it was sent to the endpoint of
    /// another kind.
    fn is_secret(&self, object: &Map<String, Value>) -> bool {
        object.get("kind").and_then(Value::as_str).is_some_and(|kind| self.log.confidential.is_kind(kind))
    }
}

impl EventBuilder {
    fn level(&self) -> Level {
        self.config.as_ref().map_or(Level::None, |config| config.level)
    }

    /// Records the status. For objects with secrets the explanation of a refusal is left out: it may quote the request.
    fn set_status(&mut self, mut status: ResponseStatus) {
        if self.secrecy == Secrecy::Confidential && self.user.is_some() {
            status.message.clear();
            if let Some(details) = &mut status.details {
                details.causes.clear();
            }
        }
        self.status = Some(status);
    }
}

fn panic_status(message: &str) -> ResponseStatus {
    let mut status = ResponseStatus::of_code(StatusCode::INTERNAL_SERVER_ERROR.as_u16());
    status.status = "Failure".into();
    status.message = format!("APIServer panic'd: {message}");
    status.reason = Some(Reason::InternalError);
    status
}

#[async_trait]
impl AuditSink for RequestAudit {
    async fn caller(&self, identity: &Identity, info: &RequestInfo, id: &AuditId) -> Result<(), ApiError> {
        self.decide(Some(identity), info, id);
        let written = self.reach(Stage::RequestReceived).await;
        if written == Written::No && self.log.queue.mode() == AuditMode::BlockingStrict {
            self.log.counters.rejected();
            return Err(ApiError::internal("failed to store audit event"));
        }
        Ok(())
    }

    fn impersonated_user(&self, identity: &Identity) {
        self.builder().impersonated_user = Some(Arc::clone(&identity.user));
    }

    fn request_object(&self, object: &Map<String, Value>) {
        let mut builder = self.builder();
        let Some(config) = builder.config.as_ref().filter(|config| config.level >= Level::Metadata) else { return };
        let logged = (config.level >= Level::Request && !self.is_secret(object)).then(|| objects::object(object, config.managed_fields));
        builder.request_object = logged.flatten();
        if let (Some(reference), Some(metadata)) = (&mut builder.object, object.get("metadata").and_then(Value::as_object)) {
            let fields = [
                (&mut reference.namespace, "namespace"),
                (&mut reference.name, "name"),
                (&mut reference.uid, "uid"),
                (&mut reference.resource_version, "resourceVersion"),
            ];
            for (known, field) in fields {
                if known.is_empty() {
                    metadata.get(field).and_then(Value::as_str).unwrap_or_default().clone_into(known);
                }
            }
        }
    }

    fn request_patch(&self, patch: &[u8]) {
        if self.builder().level() < Level::Request {
            return;
        }
        let patch = objects::patch(patch).filter(|patch| patch.as_object().is_none_or(|object| !self.is_secret(object)));
        self.builder().request_object = patch.and_then(|patch| to_raw_value(&patch).ok());
    }

    fn annotations(&self) -> &Annotations {
        &self.annotations
    }
}
