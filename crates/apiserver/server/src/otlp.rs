//! Traces of requests, sent to a collector by OTLP over gRPC. Off unless a file says where to; then no layer is there.
//!
//! A request has one span, from its arrival to the end of its answer, named as kube-apiserver names it. The span is made
//! when the head of the answer is there: whether it is wanted depends on who has asked. Only `system:masters` make a
//! request be traced by their `traceparent`; of others it is noted, and the configured share is traced. Refused: spans inside of a
//! request. Reads are answered from memory, and writes have one call to the store, whose time the metrics tell.

mod configuration;
#[cfg(test)]
mod tests;

pub(crate) use configuration::TracingPlan;

use crate::StartError;
use crate::audit::request_uri;
use apiserver_auth::Identity;
use apiserver_endpoints::{AuditId, Held, RequestInfo, ResourceInfo, observed};
use apiserver_meta::context::GROUP_MASTERS;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Link, Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The service name in traces.
const SERVICE: &str = "vci-apiserver";
/// Time for the last spans to reach the collector when the server ends.
const FLUSH_TIME: Duration = Duration::from_secs(5);
const TRACEPARENT: &str = "traceparent";

/// The traces of a server.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Starts to send them. Must be called on the runtime. A collector that is not there is no fault of the server.
    ///
    /// # Errors
    /// [`StartError::Internal`].
    pub(crate) fn start(plan: &TracingPlan, version: &str) -> Result<Arc<Self>, StartError> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(format!("http://{}", plan.endpoint)).build();
        let exporter = exporter.map_err(|error| StartError::Internal(format!("traces: {error}")))?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(plan.share)));
        let instance = uuid::Uuid::new_v4().to_string();
        let resource = Resource::builder_empty()
            .with_service_name(SERVICE)
            .with_attributes([KeyValue::new("service.instance.id", instance), KeyValue::new("service.version", version.to_owned())]);
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler).with_resource(resource.build());
        let provider = provider.build();
        Ok(Arc::new(Self { tracer: provider.tracer(SERVICE), provider }))
    }

    /// The router, whose requests are traced.
    pub(crate) fn around(self: &Arc<Self>, router: axum::Router) -> axum::Router {
        router.layer(from_fn_with_state(Arc::clone(self), follow))
    }

    /// Sends what has not been sent. To be called when all requests have ended.
    pub(crate) async fn flush(&self) {
        let provider = self.provider.clone();
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIME)).await;
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces are lost"),
            Err(error) => tracing::warn!(%error, "the last traces are lost"),
        }
    }

    /// The span of a request that is traced.
    fn span(&self, head: Head, code: StatusCode, found: &Extensions) -> Option<Span> {
        let info = found.get::<Arc<RequestInfo>>();
        let builder = self.tracer.span_builder(span_name(&head.method, info.and_then(|info| info.resource.as_ref())));
        let mut builder = builder.with_kind(SpanKind::Server).with_start_time(head.received);
        let offered = head
            .parent
            .map_or_else(Context::new, |headers| TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(&headers)));
        let trusted = found.get::<Identity>().is_some_and(|identity| identity.user.in_group(GROUP_MASTERS));
        let parent = if trusted {
            offered
        } else {
            let theirs = offered.span().span_context().clone();
            if theirs.is_valid() {
                builder = builder.with_links(vec![Link::with_context(theirs)]);
            }
            Context::new()
        };
        let mut span = builder.start_with_context(&self.tracer, &parent);
        if !span.is_recording() {
            return None;
        }
        span.set_attribute(KeyValue::new("http.request.method", head.method.as_str().to_owned()));
        span.set_attribute(KeyValue::new("http.target", request_uri(&head.uri)));
        span.set_attribute(KeyValue::new("url.path", head.uri.path().to_owned()));
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(code.as_u16())));
        if let Some(AuditId(id)) = found.get::<AuditId>() {
            span.set_attribute(KeyValue::new("audit-id", Arc::clone(id)));
        }
        if code.is_server_error() {
            span.set_status(Status::error(""));
        }
        Some(span)
    }
}

/// The parts of a request's head that spans need.
struct Head {
    received: SystemTime,
    method: Method,
    uri: Uri,
    /// Where the caller says that this belongs to.
    parent: Option<HeaderMap>,
}

async fn follow(State(traces): State<Arc<Traces>>, request: Request, next: Next) -> Response {
    let parent = request.headers().contains_key(TRACEPARENT).then(|| {
        let named = request.headers().iter().filter(|(name, _)| *name == TRACEPARENT || *name == "tracestate");
        named.map(|(name, value)| (name.clone(), value.clone())).collect()
    });
    let head = Head { received: SystemTime::now(), method: request.method().clone(), uri: request.uri().clone(), parent };
    let response = next.run(request).await;
    match traces.span(head, response.status(), response.extensions()) {
        Some(span) => response.map(|body| observed(body, Held(span))),
        None => response,
    }
}

/// Method and path, with the names in it left out, so that requests of a sort have one name.
fn span_name(method: &Method, resource: Option<&ResourceInfo>) -> String {
    let Some(resource) = resource else { return method.to_string() };
    let mut name = match resource.group.as_str() {
        "" => format!("{method} /api/{}", resource.version),
        group => format!("{method} /apis/{group}/{}", resource.version),
    };
    if !resource.namespace.is_empty() {
        name.push_str("/namespaces/{:namespace}");
    }
    name.push('/');
    name.push_str(&resource.resource);
    if !resource.name.is_empty() {
        name.push_str("/{:name}");
    }
    if !resource.subresource.is_empty() {
        name.push('/');
        name.push_str(&resource.subresource);
    }
    name
}

/// Headers as the propagator reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
