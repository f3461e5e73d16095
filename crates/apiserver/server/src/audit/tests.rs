#![allow(clippy::unwrap_used)]
//! The layer around a router that plays the parts of the real one.

use super::*;
use apiserver_auth::Identity;
use apiserver_endpoints::{AuditContext, AuditId, Panicked, RequestInfo};
use apiserver_meta::virtual_resource::{Audience, Place};
use apiserver_meta::{ApiError, User};
use apiserver_meta::{Scope, VirtualDescriptor};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures::stream;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt as _;

const POLICY: &str = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: None, users: [unseen]}, {level: RequestResponse}]}";
const OBJECTS: &str = "/apis/library.example.com/v1/namespaces/n/books";

struct Rig {
    log: Arc<AuditLog>,
    folder: TempDir,
}

impl Rig {
    fn new(mode: AuditMode, max_event_size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = AuditConfig {
            policy: folder.path().join("policy"),
            path: AuditPath::File(folder.path().join("log")),
            mode,
            rotation: Rotation { max_size: 0, max_backups: 0, max_age: Duration::ZERO, backups: Backups::Plain },
            max_event_size,
        };
        std::fs::write(&config.policy, POLICY).unwrap();
        let log = AuditLog::open(AuditPlan::read(&config).unwrap(), confidential()).unwrap();
        Self { log, folder }
    }

    /// Sends a request to a router that answers with this.
    async fn send<A, F>(&self, method: Method, path: &str, answer: A) -> Response
    where
        A: FnOnce(AuditContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let router = axum::Router::new().fallback(move |request: Request| play(request, answer.clone()));
        let user = if path.contains("unseen") { "unseen" } else { "ann" };
        let request = http::Request::builder().method(method).uri(path);
        let request = if path.contains("nobody") { request } else { request.header("user", user) };
        self.log.around(router).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn events(&self) -> Vec<Value> {
        self.log.flush().await;
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The router's part: the caller is told to the context, and what was found is left on the answer.
async fn play<F: Future<Output = Response>>(request: Request, answer: impl FnOnce(AuditContext) -> F) -> Response {
    let info = RequestInfo::parse(request.method(), request.uri(), "").unwrap();
    let id = AuditId("the-id".into());
    let mut response = Response::new(Body::empty());
    if let Some(name) = request.headers().get("user") {
        let context = request.extensions().get::<AuditContext>().unwrap().clone();
        let user = User { name: name.to_str().unwrap().to_owned(), ..User::default() };
        let identity = Identity::of_user(user);
        response = match context.0.caller(&identity, &info, &id).await {
            Ok(()) => answer(context).await,
            Err(error) => status(&error),
        };
    }
    response.extensions_mut().insert(Arc::new(info));
    response.extensions_mut().insert(id);
    response
}

fn status(error: &ApiError) -> Response {
    let mut response = Response::new(Body::from(serde_json::to_vec(&error.status()).unwrap()));
    *response.status_mut() = StatusCode::from_u16(error.code()).unwrap();
    response.extensions_mut().insert(error.status());
    response
}

fn json_body(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

fn stages(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["stage"].as_str().unwrap()).collect()
}

static TELLINGS: VirtualDescriptor = VirtualDescriptor {
    group: apiserver_meta::testing::GROUP,
    version: "v1",
    kind: "Telling",
    place: Place::Collection { plural: "tellings", singular: "telling", scope: Scope::Cluster },
    audience: Audience::Known,
};

fn confidential() -> Confidential {
    Confidential::new(&apiserver_meta::testing::resources(), vec![&TELLINGS])
}

#[tokio::test]
async fn an_answer_in_pieces_is_logged_whole_when_it_ends() {
    for mode in [AuditMode::Batch, AuditMode::Blocking] {
        let rig = Rig::new(mode, 10_000);
        let answer = async |_: AuditContext| {
            let pieces = ["{\"items\":[", "1,", "2]}\n"].map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece.as_bytes())));
            json_body(Body::from_stream(stream::iter(pieces)))
        };
        let response = rig.send(Method::GET, OBJECTS, answer).await;
        assert_eq!(stages(&rig.events().await), ["RequestReceived"], "the answer has not ended");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "{\"items\":[1,2]}\n");
        let events = rig.events().await;
        assert_eq!(stages(&events), ["RequestReceived", "ResponseComplete"]);
        assert_eq!(events[1]["responseObject"], json!({"items": [1, 2]}));
        assert_eq!(events[1]["responseStatus"], json!({"metadata": {}, "code": 200}));
        assert_eq!((events[1]["user"].clone(), events[1]["auditID"].clone()), (json!({"username": "ann"}), json!("the-id")));
        assert_eq!(rig.log.stats().events, 2);
        assert_eq!(rig.log.stats().levels, [("None", 0), ("Metadata", 0), ("Request", 0), ("RequestResponse", 1)]);
    }
}

#[tokio::test]
async fn what_is_too_long_is_left_out_and_the_event_says_so() {
    let rig = Rig::new(AuditMode::Blocking, 1_000);
    let long = format!("{{\"a\":\"{}\"}}", "b".repeat(2_000));
    let answer = {
        let long = long.clone();
        async move |context: AuditContext| {
            context.0.request_patch(b"{\"small\":1}");
            json_body(long.clone())
        }
    };
    rig.send(Method::PATCH, &format!("{OBJECTS}/a"), answer).await.into_body().collect().await.unwrap();
    let answer = async move |context: AuditContext| {
        context.0.request_patch(long.as_bytes());
        json_body("{\"small\":1}")
    };
    rig.send(Method::PATCH, &format!("{OBJECTS}/a"), answer).await.into_body().collect().await.unwrap();
    let events = rig.events().await;
    assert_eq!(events.len(), 4);
    assert_eq!(
        (&events[1]["requestObject"], &events[1]["responseObject"]),
        (&json!({"small": 1}), &Value::Null),
        "only the answer was too long"
    );
    assert_eq!((&events[3]["requestObject"], &events[3]["responseObject"]), (&Value::Null, &Value::Null), "all together were");
    for event in [&events[1], &events[3]] {
        assert_eq!(event["annotations"]["audit.k8s.io/truncated"], "true");
    }
}

#[tokio::test]
async fn a_watch_begins_and_ends_and_is_never_logged_itself() {
    let rig = Rig::new(AuditMode::Blocking, 10_000);
    let answer = async |_: AuditContext| json_body(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()));
    let response = rig.send(Method::GET, &format!("{OBJECTS}?watch=1"), answer).await;
    assert_eq!(stages(&rig.events().await), ["RequestReceived", "ResponseStarted"]);
    drop(response);
    let events = rig.events().await;
    assert_eq!(stages(&events), ["RequestReceived", "ResponseStarted", "ResponseComplete"]);
    assert!(events.iter().all(|event| event.get("responseObject").is_none()));
}

#[tokio::test]
async fn odd_ends_are_logged_as_what_they_are() {
    let rig = Rig::new(AuditMode::Blocking, 10_000);
    let panicked = async |_: AuditContext| {
        let mut response = status(&ApiError::internal("oops"));
        response.extensions_mut().insert(Panicked("index out of bounds".into()));
        response
    };
    rig.send(Method::GET, OBJECTS, panicked).await.into_body().collect().await.unwrap();
    // The client goes away: before there is an answer, and within it.
    let hanging = async |_: AuditContext| std::future::pending().await;
    assert!(tokio::time::timeout(Duration::from_millis(20), rig.send(Method::GET, OBJECTS, hanging)).await.is_err());
    let endless = async |_: AuditContext| json_body(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()));
    drop(rig.send(Method::GET, OBJECTS, endless).await);
    let nobody = async |_: AuditContext| Response::new(Body::empty());
    rig.send(Method::GET, "/apis?nobody", nobody).await;
    rig.send(Method::GET, "/apis?unseen", nobody).await;
    let events = rig.events().await;
    let ends: Vec<_> = events.iter().filter(|event| event["stage"] != "RequestReceived").collect();
    let told: Vec<_> =
        ends.iter().map(|event| (event["stage"].as_str().unwrap(), event["responseStatus"]["message"].as_str().unwrap_or(""))).collect();
    let want = [
        ("Panic", "APIServer panic'd: index out of bounds"),
        ("ResponseComplete", "Connection closed early"),
        ("ResponseComplete", ""),
        ("ResponseStarted", ""),
    ];
    assert_eq!(told, want);
    assert_eq!(ends[3]["user"], json!({}), "nobody knows who it was");
    assert_eq!(rig.log.stats().levels[0], ("None", 1), "the policy does not want the last one");
}

#[tokio::test]
async fn what_holds_secrets_is_logged_without_objects_and_messages() {
    let rig = Rig::new(AuditMode::Blocking, 10_000);
    let key = json!({"kind": "Reader", "metadata": {"name": "k"}, "spec": {"key": "s3cret"}});
    let answer = {
        let key = key.clone();
        async move |context: AuditContext| {
            context.0.request_object(key.as_object().unwrap());
            context.0.request_patch(key.to_string().as_bytes());
            json_body(key.to_string())
        }
    };
    rig.send(Method::POST, "/apis/library.example.com/v1/readers", answer.clone()).await.into_body().collect().await.unwrap();
    let refused = async |_: AuditContext| status(&ApiError::bad_request("cannot read s3cret"));
    rig.send(Method::POST, "/apis/library.example.com/v1/tellings", refused).await.into_body().collect().await.unwrap();
    // Sent where it does not belong, and refused.
    let misplaced = async move |context: AuditContext| {
        context.0.request_object(key.as_object().unwrap());
        context.0.request_patch(key.to_string().as_bytes());
        status(&ApiError::bad_request("no such kind"))
    };
    rig.send(Method::POST, "/apis/library.example.com/v1/shelves", misplaced).await.into_body().collect().await.unwrap();
    let events = rig.events().await;
    assert!(!std::fs::read_to_string(rig.folder.path().join("log")).unwrap().contains("s3cret"));
    let ends: Vec<_> = events.iter().filter(|event| event["stage"] == "ResponseComplete").collect();
    let levels: Vec<_> = ends.iter().map(|event| event["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["Metadata", "Metadata", "RequestResponse"]);
    assert_eq!(ends[0]["objectRef"]["name"], "k", "which one it was is no secret");
    assert_eq!(ends[1]["responseStatus"], json!({"metadata": {}, "status": "Failure", "reason": "BadRequest", "code": 400}));
}

#[tokio::test]
async fn a_log_that_must_be_written_refuses_requests() {
    for (mode, want, rejected) in [(AuditMode::BlockingStrict, 500, 1), (AuditMode::Blocking, 200, 0), (AuditMode::Batch, 200, 0)] {
        let mut rig = Rig::new(mode, 10_000);
        let config = AuditConfig {
            policy: rig.folder.path().join("policy"),
            path: AuditPath::File("/dev/full".into()),
            mode,
            rotation: Rotation { max_size: 0, max_backups: 0, max_age: Duration::ZERO, backups: Backups::Plain },
            max_event_size: 10_000,
        };
        rig.log = AuditLog::open(AuditPlan::read(&config).unwrap(), confidential()).unwrap();
        let response = rig.send(Method::GET, OBJECTS, async |_: AuditContext| json_body("{}")).await;
        assert_eq!(response.status().as_u16(), want, "{mode:?}");
        rig.log.flush().await;
        assert_eq!(rig.log.stats().rejected, rejected);
        assert!(rig.log.stats().errors > 0);
    }
}
