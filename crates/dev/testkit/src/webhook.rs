//! An admission webhook: a server over TLS that answers AdmissionReviews as a test wants.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::certs::Authority;

/// Makes the `response` of an AdmissionReview out of its `request`; the `uid` is put in.
type Answer = dyn Fn(&Value) -> Value + Send + Sync;

/// A webhook that serves until it is dropped.
#[derive(Debug)]
pub struct Webhook {
    url: String,
    authority: Authority,
    asked: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Webhook {
    /// One on a free port that answers so, such as `json!({"allowed": true})`.
    pub async fn serve(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        let authority = Authority::new("webhooks");
        let acceptor = acceptor(&authority);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}/", listener.local_addr().expect("an address"));
        let asked = Arc::<Mutex<Vec<Value>>>::default();
        let (answer, kept): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(acceptor.clone(), stream, Arc::clone(&answer), Arc::clone(&kept)));
            }
        });
        Self { url, authority, asked, task }
    }

    /// The `clientConfig` by which a configuration finds it.
    pub fn client_config(&self) -> Value {
        json!({"url": self.url, "caBundle": STANDARD.encode(self.authority.pem())})
    }

    /// The `request`s that it was asked about so far.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let issued = authority.server(&["127.0.0.1"]);
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes()).collect::<Result<_, _>>().expect("a certificate in PEM");
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("a key in PEM");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("TLS versions").with_no_client_auth();
    Arc::new(config.with_single_cert(chain, key).expect("a certificate with its key")).into()
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, answer: Arc<Answer>, asked: Arc<Mutex<Vec<Value>>>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| respond(request, Arc::clone(&answer), Arc::clone(&asked)));
    // A caller who goes away is no matter.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    request: Request<Incoming>,
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<Value>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).expect("an AdmissionReview in JSON");
    let asked_for = review["request"].clone();
    let mut response = answer(&asked_for);
    response["uid"] = asked_for["uid"].clone();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked_for);
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    let mut reply = Response::new(Full::new(Bytes::from(review.to_string())));
    reply.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Ok(reply)
}
