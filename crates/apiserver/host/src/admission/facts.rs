//! What is known of a request beside the request itself: its namespace, and the variables of CEL expressions about it.

use super::authorizer::ClusterAuthorizer;
use super::matching::Subject;
use super::request::{request_attributes, typed};
use apiserver_cel::{AccessCheck, Activation};
use apiserver_meta::{ApiError, Object, RequestContext};
use apiserver_registry::AdmissionRequest;
use async_trait::async_trait;
use kube::Client;
use serde_json::Value;
use std::sync::Arc;

/// Where namespaces are known from.
#[async_trait]
pub(super) trait Namespaces: std::fmt::Debug + Send + Sync + 'static {
    /// A namespace's object.
    ///
    /// # Errors
    /// Why there is none.
    async fn namespace(&self, name: &str) -> Result<Arc<Value>, ApiError>;
}

/// What is known about a request beside the request itself.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) client: Client,
    pub(super) namespaces: Arc<dyn Namespaces>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts").field("namespaces", &self.namespaces).finish_non_exhaustive()
    }
}

impl Facts {
    pub(super) async fn namespace_of(&self, request: AdmissionRequest<'_>) -> Result<Option<Arc<Value>>, ApiError> {
        if request.key.namespace.is_empty() {
            return Ok(None);
        }
        self.namespaces.namespace(&request.key.namespace).await.map(Some)
    }

    /// The values of the variables, of which the parameters are not known yet.
    pub(super) fn activation(&self, ctx: &RequestContext, subject: Subject<'_>, namespace: Option<Arc<Value>>) -> Activation {
        let AdmissionRequest { descriptor, subresource, key, old, .. } = subject.request;
        let value = |object: Option<&Object>| object.map_or(Value::Null, |it| typed(it, subject.request));
        let request_resource = AccessCheck {
            group: descriptor.group.into(),
            resource: descriptor.plural.into(),
            subresource: subresource.as_str().into(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            ..AccessCheck::default()
        };
        let authorizer = Arc::new(ClusterAuthorizer::new(self.client.clone(), Arc::clone(&ctx.user), ctx.deadline));
        Activation::default()
            .bind("object", value(subject.object))
            .bind("oldObject", value(old))
            .bind("request", request_attributes(ctx, subject.request))
            .bind("params", Value::Null)
            .bind("namespaceObject", namespace.map_or(Value::Null, |it| namespace_object(&it)))
            .bind_authorizer(authorizer, request_resource)
    }
}

/// The namespace of a request: none where it has none, or why it is not known.
pub(super) struct KnownNamespace(pub(super) Result<Option<Value>, String>);

impl KnownNamespace {
    pub(super) fn new(namespace: &Result<Option<Arc<Value>>, ApiError>) -> Self {
        Self(namespace.as_ref().map(|it| it.as_deref().cloned()).map_err(ToString::to_string))
    }
}

/// A namespace as expressions see it: without what only servers care for.
fn namespace_object(namespace: &Value) -> Value {
    let mut shown = namespace.clone();
    if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !matches!(field.as_str(), "managedFields" | "ownerReferences" | "selfLink"));
    }
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|field, _| matches!(field.as_str(), "metadata" | "spec" | "status"));
    }
    shown
}
