//! A collector of traces: what an OpenTelemetry collector does on its gRPC port, as far as spans are concerned.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Bytes before a message of gRPC: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// A span as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// The trace that it belongs to, in hexadecimal digits, as the other ids.
    pub trace: String,
    /// The span above it; empty when there is none.
    pub parent: String,
    /// The traces that it has links to.
    pub links: Vec<String>,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub begin: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// Whether it says that it has failed.
    pub failed: bool,
    /// `service.name` of who has sent it.
    pub service: String,
}

/// A collector; it ends when dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let spans = Arc::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&spans)));
        Self { address, spans, serving }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was sent so far, in order.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, spans: Arc<Mutex<Vec<Span>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let spans = Arc::clone(&spans);
        let service = service_fn(move |request| export(request, Arc::clone(&spans)));
        tokio::spawn(async move {
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn export(
    request: Request<Incoming>,
    spans: Arc<Mutex<Vec<Span>>>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    assert_eq!(request.uri().path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let body = request.into_body().collect().await.expect("a whole request").to_bytes();
    let message = ExportTraceServiceRequest::decode(&body[PREFIX..]).expect("a request to export spans");
    spans.lock().unwrap_or_else(PoisonError::into_inner).extend(read(message));
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    let length = u32::try_from(answer.len()).expect("a short answer").to_be_bytes();
    let framed = [&[0][..], &length, &answer].concat();
    let ok = std::future::ready(Some(Ok(HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from_static("0"))]))));
    let response = Response::builder().header("content-type", "application/grpc");
    Ok(response.body(Full::new(Bytes::from(framed)).with_trailers(ok)).expect("a response"))
}

fn read(message: ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    message.resource_spans.into_iter().flat_map(|from| {
        let service =
            texts(from.resource.map(|resource| resource.attributes).unwrap_or_default()).remove("service.name").unwrap_or_default();
        from.scope_spans.into_iter().flat_map(|scope| scope.spans).map(move |span| Span {
            name: span.name,
            trace: hex(&span.trace_id),
            parent: hex(&span.parent_span_id),
            links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
            attributes: texts(span.attributes),
            begin: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
            service: service.clone(),
        })
    })
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|attribute| (attribute.key, attribute.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
