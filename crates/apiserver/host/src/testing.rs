//! A host cluster made of one function, without sockets.

use crate::HostCluster;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube::client::Body;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use tower::service_fn;

/// What is asked of it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Path and query.
    pub(crate) path: String,
    /// `null` when there is none.
    pub(crate) body: Value,
}

/// A cluster that answers so: a status code, and a body.
pub(crate) fn cluster<F>(answer: F) -> HostCluster
where
    F: Fn(Asked) -> (u16, Vec<u8>) + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let service = service_fn(move |request: Request<Body>| {
        let answer = Arc::clone(&answer);
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let (code, body) = answer(Asked { path, body });
            let mut response = Response::new(Full::from(body));
            *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
            Ok::<_, Infallible>(response)
        }
    });
    HostCluster::of_client(kube::Client::new(service, "default"))
}

/// The same, of JSON.
pub(crate) fn json_cluster<F>(answer: F) -> HostCluster
where
    F: Fn(Asked) -> (u16, Value) + Send + Sync + 'static,
{
    cluster(move |asked| {
        let (code, body) = answer(asked);
        (code, body.to_string().into_bytes())
    })
}
