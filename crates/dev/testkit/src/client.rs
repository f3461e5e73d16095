//! A small HTTP client that shows everything of an answer: no retries, no redirects, no decoding behind one's back.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::certs::Issued;

/// The version of HTTP to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, one request at a time on each connection.
    Http1,
    /// HTTP/2, all requests on one connection.
    Http2,
}

/// A client of one server. Clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    headers: HeaderMap,
}

impl Client {
    /// A client for the server at `base` (`https://host:port`, without a path) whose certificate this authority (PEM) has issued.
    pub fn new(base: &str, ca_pem: &str, protocol: Protocol) -> Self {
        Self::build(base, ca_pem, protocol, None)
    }

    /// A client that speaks HTTP/2 and gives bodies no room: of an answer it gets the head, and never a byte more.
    pub fn without_window(base: &str, ca_pem: &str) -> Self {
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(ca_pem, None)).https_or_http().enable_http2().build();
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .http2_only(true)
            .http2_initial_stream_window_size(0)
            .retry_canceled_requests(false)
            .timer(TokioTimer::new())
            .build(connector);
        Self { http, base: base.trim_end_matches('/').to_owned(), headers: HeaderMap::new() }
    }

    /// The same, showing a certificate of its own.
    pub fn with_certificate(base: &str, ca_pem: &str, protocol: Protocol, certificate: &Issued) -> Self {
        Self::build(base, ca_pem, protocol, Some(certificate))
    }

    fn build(base: &str, ca_pem: &str, protocol: Protocol, certificate: Option<&Issued>) -> Self {
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(ca_pem, certificate)).https_or_http();
        let connector = match protocol {
            Protocol::Http1 => connector.enable_http1().build(),
            Protocol::Http2 => connector.enable_http2().build(),
        };
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .http2_only(protocol == Protocol::Http2)
            .retry_canceled_requests(false)
            .timer(TokioTimer::new())
            .build(connector);
        Self { http, base: base.trim_end_matches('/').to_owned(), headers: HeaderMap::new() }
    }

    /// The same client with this bearer token.
    pub fn bearer(&self, token: &str) -> Self {
        self.header(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// The same client with one more header on every request; it replaces one of that name.
    pub fn header(&self, name: HeaderName, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        client
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path, None, Bytes::new()).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path, Some("application/json"), body.to_string()).await
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Response {
        self.request(Method::PUT, path, Some("application/json"), body.to_string()).await
    }

    /// PATCH with a patch type such as `application/merge-patch+json`.
    pub async fn patch(&self, path: &str, content_type: &str, body: &Value) -> Response {
        self.request(Method::PATCH, path, Some(content_type), body.to_string()).await
    }

    /// DELETE without a body.
    pub async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path, None, Bytes::new()).await
    }

    /// DELETE with `DeleteOptions`.
    pub async fn delete_with(&self, path: &str, options: &Value) -> Response {
        self.request(Method::DELETE, path, Some("application/json"), options.to_string()).await
    }

    /// Any request; panics when no answer comes.
    pub async fn request(&self, method: Method, path: &str, content_type: Option<&str>, body: impl Into<Bytes>) -> Response {
        let what = format!("{method} {path}");
        self.try_request(method, path, content_type, body).await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Any request, to a server that may be gone.
    ///
    /// # Errors
    /// Text that says why there is no complete answer.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Result<Response, String> {
        let complete = async {
            let (parts, body) = self.send(method, path, content_type, body.into()).await?.into_parts();
            let body = body.collect().await.map_err(|error| chain(&error))?.to_bytes();
            Ok(Response { status: parts.status, version: parts.version, headers: parts.headers, body })
        };
        timeout(PATIENCE, complete).await.unwrap_or_else(|_| Err(format!("no complete answer within {PATIENCE:?}")))
    }

    /// GET of an endless answer, such as a watch: one JSON document a line.
    pub async fn watch(&self, path: &str) -> Watch {
        let response = timeout(PATIENCE, self.send(Method::GET, path, None, Bytes::new())).await;
        let response = response.unwrap_or_else(|_| panic!("no answer to GET {path}")).unwrap_or_else(|error| panic!("GET {path}: {error}"));
        let (parts, body) = response.into_parts();
        Watch { status: parts.status, headers: parts.headers, body, pending: BytesMut::new() }
    }

    async fn send(&self, method: Method, path: &str, content_type: Option<&str>, body: Bytes) -> Result<http::Response<Incoming>, String> {
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(|error| format!("{path}: {error}"))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        if let Some(content_type) = content_type {
            let value = HeaderValue::from_str(content_type).map_err(|error| format!("{content_type}: {error}"))?;
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        self.http.request(request).await.map_err(|error| chain(&error))
    }
}

pub(crate) fn tls(ca_pem: &str, certificate: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(root.expect("an authority in PEM")).expect("a usable authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
    let config = config.with_root_certificates(roots);
    let Some(certificate) = certificate else { return config.with_no_client_auth() };
    let chain = CertificateDer::pem_slice_iter(certificate.cert_pem.as_bytes()).collect::<Result<_, _>>().expect("a certificate in PEM");
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).expect("a key in PEM");
    config.with_client_auth_cert(chain, key).expect("a certificate with its key")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// The version of HTTP it came by.
    pub version: http::Version,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as it came.
    pub body: Bytes,
}

impl Response {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("body is not JSON ({error}): {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Checks the status and hands the answer on; panics with the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}

/// An answer that goes on: lines of JSON. Dropping it closes the stream.
#[derive(Debug)]
pub struct Watch {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    pending: BytesMut,
}

impl Watch {
    /// The next line; `None` when the server has ended the stream; panics when neither comes.
    pub async fn next(&mut self) -> Option<Value> {
        let line = timeout(PATIENCE, self.line()).await.unwrap_or_else(|_| panic!("nothing on the watch within {PATIENCE:?}"));
        line.unwrap_or_else(|error| panic!("the watch broke: {error}"))
    }

    /// The next line if one comes within this time.
    pub async fn within(&mut self, time: Duration) -> Option<Value> {
        timeout(time, self.line()).await.ok()?.unwrap_or_else(|error| panic!("the watch broke: {error}"))
    }

    /// The next line of a stream that may break: `Ok(None)` is an orderly end.
    ///
    /// # Errors
    /// Text that says how the connection broke.
    ///
    /// Safe to cancel: what has been read stays for the next call.
    pub async fn line(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line = self.pending.split_to(end + 1);
                return serde_json::from_slice(&line).map(Some).map_err(|error| format!("{error} in {}", String::from_utf8_lossy(&line)));
            }
            match self.body.frame().await {
                None if self.pending.is_empty() => return Ok(None),
                None => return Err(format!("ended within a line: {}", String::from_utf8_lossy(&self.pending))),
                Some(Err(error)) => return Err(chain(&error)),
                Some(Ok(frame)) => self.pending.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers each connection with the next of these texts; gives its URL.
    async fn server(answers: &'static [&'static [&'static str]]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            for parts in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let _ = stream.read(&mut [0; 4096]).await.expect("a request");
                for part in *parts {
                    stream.write_all(part.as_bytes()).await.expect("a reader");
                    stream.flush().await.expect("a reader");
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn an_answer_is_shown_whole() {
        let url = server(&[&[
            "HTTP/1.1 409 Conflict\r\nAudit-Id: 7\r\nContent-Length: 17\r\nConnection: close\r\n\r\n",
            "{\"code\":",
            "409}     ",
        ]]);
        let response = Client::new(&url.await, "", Protocol::Http1).bearer("key").get("/x").await.expect(409);
        assert_eq!((response.json(), response.header("audit-id")), (json!({"code": 409}), "7"));
    }

    #[tokio::test]
    async fn watch_lines_are_put_together_and_breaks_are_told() {
        const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let url = server(&[
            &[HEAD, "7\r\n{\"n\":1}\r\n", "A\r\n\n{\"n\":2}\n{\r\n", "7\r\n\"n\":3}\n\r\n", "0\r\n\r\n"],
            &[HEAD, "8\r\n{\"n\":1}\n\r\n", "3\r\n{\"n\r\n"],
        ])
        .await;
        let client = Client::new(&url, "", Protocol::Http1);
        let mut whole = client.watch("/watch").await;
        for n in 1..=3 {
            assert_eq!(whole.next().await, Some(json!({"n": n})));
        }
        assert_eq!(whole.next().await, None);
        drop(whole);
        let mut broken = Client::new(&url, "", Protocol::Http1).watch("/watch").await;
        assert_eq!(broken.next().await, Some(json!({"n": 1})));
        assert!(broken.line().await.is_err());
        assert!(client.try_request(Method::GET, "/gone", None, "").await.is_err());
    }
}
