//! One request for something computed, from its path to its answer.

use super::question;
use super::{VirtualRequest, VirtualResource};
use crate::access::recheck::{Allowed, RetainedCredentials};
use crate::app::App;
use crate::audit_context::AuditContext;
use crate::negotiation::{self, Offer};
use crate::request_info::{PathForm, RequestInfo, ResourceInfo};
use crate::respond::{Wire, no_such_method, refuse};
use crate::{body, context, warning};
use apiserver_auth::Identity;
use apiserver_meta::options::{GetOptions, WriteKind, WriteOptions};
use apiserver_meta::virtual_resource::Place;
use apiserver_meta::{ApiError, ObjectFilter, ObjectKey, RequestContext, Scope, Verb, VirtualDescriptor};
use apiserver_registry::{Item, Registry, offload};
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Answers a request that has passed every layer.
pub(crate) async fn serve(
    app: &Arc<App>,
    computed: &dyn VirtualResource,
    parts: &Parts,
    info: &RequestInfo,
    resource: &ResourceInfo,
    body: Body,
) -> Result<Response, ApiError> {
    let kind = computed.descriptor();
    let parent = parent(app, kind, resource)?;
    if info.verb != kind.verb().as_str() {
        return Err(no_such_method());
    }
    let wire = Wire::new(negotiation::negotiate(&parts.headers, &info.query, Offer::Documents)?, &parts.headers);
    let ctx = context::of(parts)?;
    let call = Call { app, computed, parent, parts, info, resource, ctx: &ctx };
    let answer = tokio::time::timeout_at(ctx.deadline.into(), call.answer(body)).await;
    let answer = answer.unwrap_or_else(|_| Err(ApiError::timeout("request did not complete within the allotted timeout")));
    let status = if kind.verb() == Verb::Create { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = match answer {
        Ok(answer) => wire.send(status, serde_json::to_vec(&answer).unwrap_or_default()),
        Err(error) => refuse(&error, parts),
    };
    warning::append(response.headers_mut(), &ctx.warnings());
    Ok(response)
}

/// The registry of the object that a subresource belongs to; `None` for a collection.
fn parent<'a>(app: &'a App, kind: &VirtualDescriptor, resource: &ResourceInfo) -> Result<Option<&'a Arc<Registry>>, ApiError> {
    let fits = |scope| (scope == Scope::Namespaced) != resource.namespace.is_empty();
    match kind.place {
        Place::Collection { scope, .. } if resource.form == PathForm::Collection && fits(scope) => Ok(None),
        Place::Subresource { of, .. } if resource.form == PathForm::Object => {
            let registry = app.registry(kind.group, kind.version, of).filter(|registry| fits(registry.descriptor().scope));
            registry.map(Some).ok_or_else(ApiError::no_such_path)
        }
        Place::Collection { .. } | Place::Subresource { .. } => Err(ApiError::no_such_path()),
    }
}

/// One request for something computed.
struct Call<'a> {
    app: &'a Arc<App>,
    computed: &'a dyn VirtualResource,
    parent: Option<&'a Arc<Registry>>,
    parts: &'a Parts,
    info: &'a RequestInfo,
    resource: &'a ResourceInfo,
    ctx: &'a RequestContext,
}

impl Call<'_> {
    async fn answer(&self, body: Body) -> Result<Value, ApiError> {
        let kind = self.computed.descriptor();
        let key = ObjectKey::new(self.resource.namespace.as_str(), self.resource.name.as_str());
        let (question, _room) = match kind.verb() {
            Verb::Create => self.question(body).await?,
            _ => (Value::Null, None),
        };
        let Allowed { identity, filter } = self.caller().await?;
        let ctx = self.ctx.clone().with_identity(Arc::clone(&identity.user), identity.principal.clone());
        let parent = self.shown_parent(&ctx, &key, &filter).await?;
        let metadata = metadata(&key);
        let (registry, info) = (self.parent, self.info);
        let asked =
            VirtualRequest { ctx: &ctx, identity: &identity, key, parent, registry, info, kind, question, services: self.app.services() };
        let mut answer = self.computed.answer(asked).await?;
        if let Some(members) = answer.as_object_mut() {
            members.insert("kind".into(), kind.kind.into());
            members.insert("apiVersion".into(), kind.api_version().into());
            members.entry("metadata").or_insert(metadata);
        }
        Ok(answer)
    }

    /// The caller and their permission, now that the question was read.
    async fn caller(&self) -> Result<Allowed, ApiError> {
        let extensions = &self.parts.extensions;
        let identity = extensions.get::<Identity>().ok_or_else(ApiError::unauthorized)?;
        if let Some(credentials) = extensions.get::<RetainedCredentials>()
            && let Some(now) = credentials.second_look(self.app, self.info, identity).await?
        {
            return Ok(now);
        }
        let filter = extensions.get::<ObjectFilter>().ok_or_else(ApiError::unauthorized)?;
        Ok(Allowed { identity: identity.clone(), filter: filter.clone() })
    }

    /// The object that a subresource belongs to: it is there and the caller may see what is asked about it, or there is no
    /// answer.
    async fn shown_parent(&self, ctx: &RequestContext, key: &ObjectKey, filter: &ObjectFilter) -> Result<Option<Arc<Item>>, ApiError> {
        let Some(registry) = self.parent else { return Ok(None) };
        let options = GetOptions::from_query(self.info.query.pairs())?;
        registry.get(ctx, key, &options, filter).await.map(Some)
    }

    /// The question in the body, and its room in memory.
    async fn question(&self, body: Body) -> Result<(Value, offload::Room), ApiError> {
        // Nothing is stored, so that a dry run is no different; but what is no option of a create is refused.
        let options = WriteOptions::from_query(self.info.query.pairs(), WriteKind::Create, "")?;
        let bytes = body::read(&self.parts.headers, body, self.app.config.limits.body).await?;
        if let Some(observer) = &self.app.config.observer {
            observer.body(Verb::Create.as_str(), self.resource, bytes.len());
        }
        let room = offload::room(bytes.len()).await;
        let decode = || question::decode(self.computed, self.ctx, &self.parts.headers, &bytes, options.field_validation);
        let question = offload::compute(bytes.len(), decode).await?;
        if let (Some(trail), Some(question)) = (AuditContext::of(&self.parts.extensions), question.as_object()) {
            trail.request_object(question);
        }
        Ok((question, room))
    }
}

/// The metadata of an answer: the object that it is about.
fn metadata(key: &ObjectKey) -> Value {
    let named = [("name", &key.name), ("namespace", &key.namespace)];
    let named = named.into_iter().filter(|(_, text)| !text.is_empty());
    Value::Object(named.map(|(field, text)| (field.to_owned(), text.as_str().into())).collect::<Map<_, _>>())
}
