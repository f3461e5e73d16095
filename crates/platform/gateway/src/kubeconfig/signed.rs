//! A client certificate from a virtual cluster's own signer: asked for, approved, waited for.

use super::ADMIN_BINDING;
use super::csr::{self, Subject};
use apiserver_meta::ApiError;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject as RbacSubject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use rcgen::KeyPair;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use vci_management::virtualclusterinstance::roles::{CLUSTER_ADMIN, ROLE_GROUP_PREFIX};
use vci_virtualcluster::{Address, ConnectError, Connector};

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// How long the signer may take, and how often it is looked whether it has.
const SIGNING: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(250);
/// Time for all of it.
const TIME: Duration = Duration::from_secs(25);

/// A certificate with its key, and whom to trust. PEM.
pub(super) struct Signed {
    pub(super) authority: Vec<u8>,
    pub(super) certificate: String,
    pub(super) key: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the virtual cluster refuses")]
    Refused(#[from] kube::Error),
    #[error("the request was denied")]
    Denied,
    #[error("nobody has signed the request in time")]
    Unsigned,
    #[error("no key can be made")]
    Key(#[from] rcgen::Error),
}

impl SignError {
    pub(super) fn told(self, instance: &str) -> ApiError {
        let text = format!("virtual cluster {instance:?} gives no certificate: {self}");
        match self {
            Self::Unsigned => ApiError::timeout(text),
            error => ApiError::unavailable(text, 2).with_source(error),
        }
    }
}

/// A certificate of this subject, valid for so many seconds; `None`: for as long as the signer sees fit.
pub(super) async fn certificate(
    connector: &Connector,
    address: &Address,
    subject: &Subject,
    ttl: Option<i32>,
    is_admin: bool,
) -> Result<Signed, SignError> {
    let credentials = connector.credentials(address).await?;
    let client = connector.client(address).await?;
    let key = KeyPair::generate()?;
    let request = csr::pem(subject, &key)?;
    let signing = async {
        if is_admin {
            bind_admins(&client).await?;
        }
        sign(&client, request, ttl).await
    };
    let certificate = timeout(TIME, signing).await.unwrap_or(Err(SignError::Unsigned))?;
    Ok(Signed { authority: credentials.authority().to_vec(), certificate, key: key.serialize_pem() })
}

async fn sign(client: &kube::Client, request: String, ttl: Option<i32>) -> Result<String, SignError> {
    let requests: Api<CertificateSigningRequest> = Api::all(client.clone());
    let spec = CertificateSigningRequestSpec {
        request: ByteString(request.into_bytes()),
        signer_name: SIGNER.into(),
        expiration_seconds: ttl,
        usages: Some(vec!["client auth".into()]),
        ..CertificateSigningRequestSpec::default()
    };
    let metadata = ObjectMeta { generate_name: Some("vci-kubeconfig-".into()), ..ObjectMeta::default() };
    let made = requests.create(&PostParams::default(), &CertificateSigningRequest { metadata, spec, status: None }).await?;
    let name = made.metadata.name.unwrap_or_default();
    let signed = approved(&requests, &name).await;
    // What is left behind is cleaned up by the virtual cluster, too.
    if let Err(error) = requests.delete(&name, &DeleteParams::default()).await {
        tracing::debug!(name, %error, "a certificate signing request is left behind");
    }
    signed
}

async fn approved(requests: &Api<CertificateSigningRequest>, name: &str) -> Result<String, SignError> {
    let condition = json!({"type": "Approved", "status": "True", "reason": "KubeConfig", "message": "asked for by somebody who may use the virtual cluster"});
    requests.patch_approval(name, &PatchParams::default(), &Patch::Merge(json!({"status": {"conditions": [condition]}}))).await?;
    let until = Instant::now() + SIGNING;
    while Instant::now() < until {
        let status = requests.get(name).await?.status.unwrap_or_default();
        if let Some(certificate) = status.certificate.filter(|certificate| !certificate.0.is_empty()) {
            return Ok(String::from_utf8_lossy(&certificate.0).into_owned());
        }
        if status.conditions.iter().flatten().any(|condition| matches!(condition.type_.as_str(), "Denied" | "Failed")) {
            return Err(SignError::Denied);
        }
        sleep(LOOK).await;
    }
    Err(SignError::Unsigned)
}

/// Gives the group of administrators' certificates the role, if it does not have it.
async fn bind_admins(client: &kube::Client) -> Result<(), SignError> {
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    if bindings.get_opt(ADMIN_BINDING).await?.is_some() {
        return Ok(());
    }
    let group = RbacSubject {
        kind: "Group".into(),
        api_group: Some(RBAC_GROUP.into()),
        name: format!("{ROLE_GROUP_PREFIX}{CLUSTER_ADMIN}"),
        namespace: None,
    };
    let role_ref = RoleRef { api_group: Some(RBAC_GROUP.into()), kind: "ClusterRole".into(), name: CLUSTER_ADMIN.into() };
    let metadata = ObjectMeta { name: Some(ADMIN_BINDING.into()), ..ObjectMeta::default() };
    match bindings.create(&PostParams::default(), &ClusterRoleBinding { metadata, role_ref, subjects: Some(vec![group]) }).await {
        // Somebody else was faster.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        made => made.map(drop).map_err(SignError::from),
    }
}
