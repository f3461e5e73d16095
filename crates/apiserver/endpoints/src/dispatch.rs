//! From a path to its verb: the one place that says what is served where.
//!
//! One handler for every path, because a Kubernetes server's answers to wrong paths and methods are `Status`
//! objects of their own, and because authorization must have the last word before a route is looked up.

use crate::access::recheck::RetainedCredentials;
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::call::Call;
use crate::permits::Permit;
use crate::proxy;
use crate::request_info::{PathForm, RequestInfo, ResourceInfo};
use crate::respond::{no_such_method, refuse};
use crate::verbs::{create, delete, deletecollection, get, list, patch, update, watch};
use crate::{context, health, respond, version, virtual_collection, virtual_resource, warning, websocket};
use apiserver_auth::Identity;
use apiserver_meta::{ApiError, ObjectFilter, Scope, Subresource, Verb};
use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use std::sync::Arc;

/// Answers a request that has passed every filter.
pub(crate) async fn serve(app: &Arc<App>, info: &Arc<RequestInfo>, parts: &Parts, body: Body) -> Response {
    let answer = match &info.resource {
        None => path(app, info, parts).await,
        Some(resource) => {
            if let Some(proxied) = &info.proxied {
                proxy::serve::serve(app, parts, info, proxied, resource, body).await
            } else if let Some(kind) = app.virtual_collection(resource) {
                virtual_collection::serve::serve(&**kind, parts, info, resource)
            } else if let Some(computed) = app.virtual_resource(resource) {
                virtual_resource::serve::serve(app, &**computed, parts, info, resource, body).await
            } else {
                stored(app, info, parts, resource, body).await
            }
        }
    };
    answer.unwrap_or_else(|error| refuse(&error, parts))
}

/// Paths outside of kinds.
async fn path(app: &App, info: &RequestInfo, parts: &Parts) -> Result<Response, ApiError> {
    let RequestInfo { path, verb, query, .. } = info;
    let (segments, headers) = (info.segments().collect::<Vec<_>>(), &parts.headers);
    let reads = matches!(&**verb, "get" | "head");
    if let Some((_, page)) = app.config.pages.iter().find(|(known, _)| known == path) {
        return if reads { Ok(page.serve(parts).await) } else { Err(no_such_method()) };
    }
    match segments.as_slice() {
        ["healthz" | "livez" | "readyz", ..] if reads => Ok(health::serve(&app.config, &segments, query).await),
        ["version"] if reads => version::serve(&app.config, headers, query),
        ["openapi", rest @ ..] if reads => Ok(app.openapi.serve(&app.config, rest, headers, query)),
        segments if reads => app.discovery.serve(segments, headers, query),
        ["healthz" | "livez" | "readyz" | "version" | "openapi", ..] => Err(no_such_method()),
        segments if app.discovery.knows(segments) => Err(no_such_method()),
        _ => Ok(respond::page_not_found()),
    }
}

/// Paths of kinds in a registry. Errors come with the warnings that were found on the way to them.
async fn stored(app: &Arc<App>, info: &Arc<RequestInfo>, parts: &Parts, resource: &ResourceInfo, body: Body) -> Result<Response, ApiError> {
    let registry = app.registry(&resource.group, &resource.version, &resource.resource).ok_or_else(ApiError::no_such_path)?;
    let (target, subresource) = target(registry.descriptor().scope, resource)?;
    let mut call = Call {
        app: Arc::clone(app),
        registry: Arc::clone(registry),
        ctx: context::of(parts)?,
        identity: parts.extensions.get::<Identity>().cloned().ok_or_else(ApiError::unauthorized)?,
        filter: parts.extensions.get::<ObjectFilter>().cloned().ok_or_else(ApiError::unauthorized)?,
        info: Arc::clone(info),
        resource: resource.clone(),
        subresource,
        headers: parts.headers.clone(),
        handshake: websocket::is_asked_for(&parts.headers).then(|| Box::new(parts.clone())),
        credentials: parts.extensions.get::<RetainedCredentials>().cloned(),
        permit: parts.extensions.get::<Arc<Permit>>().cloned(),
        audit: parts.extensions.get::<AuditContext>().cloned(),
    };
    let deadline = call.ctx.deadline;
    // Nothing is lost when this ends early: the registry carries a write that has begun to its end.
    let answer = tokio::time::timeout_at(deadline.into(), verb(&mut call, target, body)).await;
    let answer = answer.unwrap_or_else(|_| Err(ApiError::timeout("request did not complete within the allotted timeout")));
    let mut response = answer.unwrap_or_else(|error| refuse(&error, parts));
    warning::append(response.headers_mut(), &call.ctx.warnings());
    Ok(response)
}

/// The part of a kind that a path names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RequestTarget {
    /// The collection, in the namespace of a namespaced kind.
    Collection,
    /// The collections of all namespaces.
    AllNamespaces,
    /// One object or its subresource.
    Object,
}

fn target(scope: Scope, resource: &ResourceInfo) -> Result<(RequestTarget, Subresource), ApiError> {
    let in_namespace = !resource.namespace.is_empty();
    let target = match (resource.form, scope, in_namespace) {
        (PathForm::Other, ..) | (_, Scope::Cluster, true) => return Err(ApiError::no_such_path()),
        (PathForm::Collection | PathForm::WatchCollection, Scope::Namespaced, false) => RequestTarget::AllNamespaces,
        (PathForm::Collection | PathForm::WatchCollection, ..) => RequestTarget::Collection,
        (PathForm::Object | PathForm::WatchObject, Scope::Namespaced, false) => return Err(ApiError::no_such_path()),
        (PathForm::Object | PathForm::WatchObject, ..) => RequestTarget::Object,
    };
    match resource.subresource.as_str() {
        "" => Ok((target, Subresource::Main)),
        "status" => Ok((target, Subresource::Status)),
        _ => Err(ApiError::no_such_path()),
    }
}

async fn verb(call: &mut Call, target: RequestTarget, body: Body) -> Result<Response, ApiError> {
    let kind = call.descriptor();
    let serves = |verb: Verb| kind.verbs.contains(&verb);
    if call.subresource == Subresource::Status {
        if !kind.has_status() {
            return Err(ApiError::no_such_path());
        }
        return match &*call.info.verb {
            "get" => get::serve(call).await,
            "update" => update::serve(call, body).await,
            "patch" => patch::serve(call, body).await,
            _ => Err(no_such_method()),
        };
    }
    match (target, &*call.info.verb) {
        (RequestTarget::Collection | RequestTarget::AllNamespaces, "list") if serves(Verb::List) => list::serve(call).await,
        (_, "watch") if serves(Verb::Watch) => watch::serve(call).await,
        (RequestTarget::Collection, "create") if serves(Verb::Create) => create::serve(call, body).await,
        (RequestTarget::Collection, "deletecollection") if serves(Verb::DeleteCollection) => deletecollection::serve(call, body).await,
        (RequestTarget::Object, "get") if serves(Verb::Get) => get::serve(call).await,
        (RequestTarget::Object, "update") if serves(Verb::Update) => update::serve(call, body).await,
        (RequestTarget::Object, "patch") if serves(Verb::Patch) => patch::serve(call, body).await,
        (RequestTarget::Object, "delete") if serves(Verb::Delete) => delete::serve(call, body).await,
        _ => Err(no_such_method()),
    }
}
