//! One request that is carried on, from the filters to the end of its answer.

use super::authorization::Authorization;
use super::{ProxyCaller, ProxyRequest, ProxyResponse, headers, tunnel};
use crate::access::foreign::ForeignToken;
use crate::access::recheck::RetainedCredentials;
use crate::app::App;
use crate::context;
use crate::extensions::{AuditId, Upgrades};
use crate::observed_body::{BodyObserver, observed};
use crate::permits::Permit;
use crate::request_info::{ProxiedInfo, RequestInfo, ResourceInfo};
use apiserver_auth::Identity;
use apiserver_meta::options::{GetOptions, ResourceVersion};
use apiserver_meta::{ApiError, ObjectFilter, ObjectKey, Reason};
use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use futures::StreamExt as _;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

/// Bytes of an answer that are out of this server's hands as soon as it answers.
const SENT_AT_ONCE: u64 = 64 * 1024;
/// How much longer than a request's own time an answer is waited for, so that the API behind says itself that it takes too long.
const MARGIN: Duration = Duration::from_secs(5);

/// Answers a request that has passed every filter.
pub(crate) async fn serve(
    app: &Arc<App>,
    parts: &Parts,
    info: &Arc<RequestInfo>,
    proxied: &ProxiedInfo,
    resource: &ResourceInfo,
    body: Body,
) -> Result<Response, ApiError> {
    let proxy = app.requests.proxy(proxied).ok_or_else(ApiError::no_such_path)?;
    let registry = app.registry(&resource.group, &resource.version, &resource.resource).ok_or_else(ApiError::no_such_path)?;
    let filter = parts.extensions.get::<ObjectFilter>().ok_or_else(ApiError::unauthorized)?;
    let (ctx, key) = (context::of(parts)?, ObjectKey::new(resource.namespace.as_str(), resource.name.as_str()));
    let object = registry.get(&ctx, &key, &GetOptions { resource_version: ResourceVersion::Any }, filter).await?;
    let caller = caller(parts, filter)?;
    let authorization = Authorization {
        app: Arc::clone(app),
        proxy: Arc::clone(proxy),
        registry: Arc::clone(registry),
        info: Arc::clone(info),
        caller: caller.clone(),
        object: Arc::clone(&object),
        credentials: parts.extensions.get::<RetainedCredentials>().cloned(),
    };
    let mut lost: Lost = Box::pin(authorization.lost());
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    let request = ProxyRequest {
        ctx,
        caller,
        object,
        method: parts.method.clone(),
        path_and_query: path_and_query(proxied, parts),
        headers: forwarded(app, parts, proxied),
        body: while_open(body, ended),
        is_upgrade: proxied.is_upgrade,
        is_long_running: proxied.is_long_running,
    };
    let limit = (!proxied.is_long_running).then(|| app.config.limits.request_timeout + MARGIN);
    let answer = tokio::select! {
        answer = within(limit, proxy.serve(request)) => answer?,
        () = &mut lost => return Err(ApiError::new(Reason::Forbidden, "forbidden: access has changed")),
    };
    match answer {
        ProxyResponse::Answer(response) => Ok(answered(response, parts, proxied, lost, guard)),
        ProxyResponse::Upgraded(head, stream) => {
            let client = parts.extensions.get::<OnUpgrade>().cloned();
            let client = client.ok_or_else(|| ApiError::bad_request("this connection cannot be upgraded"))?;
            let upgrades = parts.extensions.get::<Upgrades>().cloned().unwrap_or_default();
            tunnel::open(&upgrades, client, stream, lost, (guard, parts.extensions.get::<Arc<Permit>>().cloned()));
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *response.headers_mut() = headers::of_response(&head.headers, true);
            Ok(response)
        }
    }
}

type Lost = Pin<Box<dyn Future<Output = ()> + Send>>;

fn caller(parts: &Parts, filter: &ObjectFilter) -> Result<ProxyCaller, ApiError> {
    let identity = parts.extensions.get::<Identity>().cloned().ok_or_else(ApiError::unauthorized)?;
    Ok(match parts.extensions.get::<ForeignToken>().cloned() {
        Some(ForeignToken(token)) => ProxyCaller::Foreign { user: identity.user, token },
        None => ProxyCaller::known(identity, filter),
    })
}

/// The path as it came, so that no escape is read twice.
fn path_and_query(proxied: &ProxiedInfo, parts: &Parts) -> String {
    match parts.uri.query() {
        Some(query) => format!("{}?{query}", proxied.path),
        None => proxied.path.clone(),
    }
}

fn forwarded(app: &App, parts: &Parts, proxied: &ProxiedInfo) -> http::HeaderMap {
    let mut headers = headers::of_request(&parts.headers, &app.config.authenticators, proxied.is_upgrade);
    // The logs of both servers speak of one request.
    if let Some(id) = parts.extensions.get::<AuditId>().and_then(|id| HeaderValue::from_str(&id.0).ok()) {
        headers.insert("audit-id", id);
    }
    headers
}

async fn within<T>(limit: Option<Duration>, answer: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    let Some(limit) = limit else { return answer.await };
    let late = || ApiError::timeout("the server behind did not answer within the allotted timeout");
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
}

/// The answer, which ends when its caller may no longer have it, and with which the request's body ends. One that goes on until somebody
/// ends it ends as by itself, so that its client asks again; any other breaks off, so that it is not taken for whole.
fn answered(response: Response, parts: &Parts, proxied: &ProxiedInfo, lost: Lost, guard: DropGuard) -> Response {
    let (head, body) = response.into_parts();
    let is_sent_at_once = body.is_end_stream() || body.size_hint().exact().is_some_and(|size| size <= SENT_AT_ONCE);
    let (body, lost) = match (is_sent_at_once, proxied.is_long_running) {
        (true, _) => (body, None),
        (false, true) => (Body::from_stream(body.into_data_stream().take_until(lost)), None),
        (false, false) => (body, Some(lost)),
    };
    let permit = parts.extensions.get::<Arc<Permit>>().cloned();
    // What else came with the answer, its version and extensions, is about another connection than this.
    let mut response = Response::new(observed(body, Answering { lost, _held: (guard, permit) }));
    *response.status_mut() = head.status;
    *response.headers_mut() = headers::of_response(&head.headers, false);
    response
}

/// An answer that is being sent.
struct Answering {
    lost: Option<Lost>,
    _held: (DropGuard, Option<Arc<Permit>>),
}

impl BodyObserver for Answering {
    fn poll_break(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        match &mut self.lost {
            Some(lost) => lost.as_mut().poll(cx).map(|()| "access has changed"),
            None => Poll::Pending,
        }
    }
}

/// The body of a request, which breaks off with the end of its answer: nobody is left to send it to.
fn while_open(body: Body, ended: CancellationToken) -> Body {
    if body.is_end_stream() { body } else { observed(body, Sending(Box::pin(ended.cancelled_owned()))) }
}

struct Sending(Pin<Box<WaitForCancellationFutureOwned>>);

impl BodyObserver for Sending {
    fn poll_break(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        self.0.as_mut().poll(cx).map(|()| "the answer has ended")
    }
}
