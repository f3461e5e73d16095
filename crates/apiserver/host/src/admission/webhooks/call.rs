//! One call of one webhook.

use super::source::Webhook;
use crate::admission::review::{self, Verdict};
use apiserver_meta::{Object, RequestContext};
use apiserver_registry::AdmissionRequest;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use kube::Client;
use kube::client::Body;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

/// Bytes of an answer: a patch may write a whole object.
const ANSWER_LIMIT: usize = 4 << 20;
/// Time to connect to a webhook, or less where its own time is shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer that is none is repeated.
const SHOWN: usize = 256;

/// Where a webhook is, and how to know it.
#[derive(Clone)]
pub(super) struct Target {
    client: Client,
    /// As errors tell it.
    url: String,
    path: String,
}

impl Target {
    /// A service is found by its DNS name, which its certificate must bear as well.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub(super) fn new(config: &WebhookClientConfig) -> Result<Self, String> {
        let url = match (&config.url, &config.service) {
            (Some(url), _) => url.clone(),
            (None, Some(service)) => {
                let path = service.path.as_deref().unwrap_or("/");
                let slash = if path.starts_with('/') { "" } else { "/" };
                format!("https://{}.{}.svc:{}{slash}{path}", service.name, service.namespace, service.port.unwrap_or(443))
            }
            (None, None) => return Err("neither url nor service is given".into()),
        };
        let address: Uri = url.parse().map_err(|error| format!("url: {error}"))?;
        if address.scheme_str() != Some("https") {
            return Err("url: only https is called".into());
        }
        let (Some(authority), Some(path)) = (address.authority(), address.path_and_query()) else { return Err("url: no host".into()) };
        let host: Uri = format!("https://{authority}").parse().map_err(|error| format!("url: {error}"))?;
        let path = path.to_string();
        let mut settings = kube::Config::new(host);
        settings.connect_timeout = Some(CONNECT_TIMEOUT);
        settings.default_retry = false;
        settings.proxy_url = None;
        if let Some(bundle) = config.ca_bundle.as_ref().filter(|bundle| !bundle.0.is_empty()) {
            let certificates =
                CertificateDer::pem_slice_iter(&bundle.0).map(|certificate| Ok(certificate.map_err(|e| e.to_string())?.to_vec()));
            settings.root_cert = Some(certificates.collect::<Result<_, String>>().map_err(|why| format!("caBundle: {why}"))?);
        }
        let client = Client::try_from(settings).map_err(|error| error.to_string())?;
        Ok(Self { client, url, path })
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Asks a webhook about a request.
///
/// # Errors
/// Why it has failed, in the words of kube-apiserver.
pub(super) async fn call(
    hook: &Webhook,
    ctx: &RequestContext,
    request: AdmissionRequest<'_>,
    object: Option<&Object>,
    time: Duration,
) -> Result<Verdict, String> {
    let version = hook.version.clone()?;
    let target = hook.target.as_ref().map_err(|why| format!("failed to call webhook: {why}"))?;
    let uid = uuid::Uuid::new_v4().to_string();
    let question = review::question(ctx, request, object, &uid, version);
    let body = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
    let timeout = format!("{}timeout={}s", if target.path.contains('?') { '&' } else { '?' }, hook.timeout.as_secs());
    let failed = |why: String| format!("failed to call webhook: Post \"{}{timeout}\": {why}", target.url);
    let answer = match tokio::time::timeout(time, post(target, &timeout, body)).await {
        Ok(answer) => answer.map_err(failed)?,
        Err(_) => return Err(failed("context deadline exceeded".into())),
    };
    review::answer(&answer, &uid, version).map_err(|why| format!("received invalid webhook response: {why}"))
}

async fn post(target: &Target, timeout: &str, body: Vec<u8>) -> Result<Vec<u8>, String> {
    let uri = format!("{}{timeout}", target.path);
    let request =
        Request::builder().method(Method::POST).uri(uri).header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
    let request = request.body(Body::from(body)).map_err(|error| error.to_string())?;
    let response = target.client.send(request).await.map_err(|error| whole(&error))?;
    let status = response.status();
    let answer = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.map_err(|error| error.to_string())?.to_bytes();
    if status == StatusCode::OK {
        return Ok(answer.into());
    }
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(SHOWN)]).into_owned();
    Err(format!("the server answered {status}: {shown}"))
}

/// An error with its causes, which say what went wrong.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
