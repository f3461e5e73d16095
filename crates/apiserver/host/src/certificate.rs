//! A certificate kept in a Secret, and the APIService that trusts who signed it.

use crate::HostCluster;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use std::collections::BTreeMap;

/// The keys of a Secret of type `kubernetes.io/tls`, as cert-manager has them too, and the authority's own key.
const KEYS: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];

/// What the Secret of a certificate holds, PEM.
#[derive(Clone)]
pub struct CertificateData {
    /// The authority's certificate, and those of former ones.
    pub ca_certificate: String,
    /// The authority's private key.
    pub ca_key: String,
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Why a certificate is not kept. Texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The host cluster refuses, or does not answer.
    #[error("{what}: {source}")]
    Cluster {
        /// What was asked about.
        what: String,
        /// What it says.
        source: kube::Error,
    },
    /// The Secret holds something else, so it is left alone.
    #[error("secret {0} has no {1}: it is somebody else's")]
    Foreign(String, &'static str),
}

/// The Secret of a certificate.
#[derive(Debug)]
pub struct CertificateSecret {
    api: Api<Secret>,
    name: String,
}

impl CertificateSecret {
    /// The one of this name, whether it is there or not.
    pub fn new(cluster: &HostCluster, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(cluster.client().clone(), namespace), name: name.to_owned() }
    }

    /// What it holds, with the version to say to [`CertificateSecret::write`]. `None` when it is missing.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub async fn read(&self) -> Result<Option<(CertificateData, String)>, CertificateError> {
        let Some(secret) = self.api.get_opt(&self.name).await.map_err(|source| self.refused(source))? else { return Ok(None) };
        let data = secret.data.unwrap_or_default();
        let text = |key: &'static str| {
            let bytes = data.get(key).ok_or_else(|| CertificateError::Foreign(self.name.clone(), key))?;
            String::from_utf8(bytes.0.clone()).map_err(|_| CertificateError::Foreign(self.name.clone(), key))
        };
        let [ca_certificate, ca_key, certificate, key] = KEYS.map(text);
        let found = CertificateData { ca_certificate: ca_certificate?, ca_key: ca_key?, certificate: certificate?, key: key? };
        Ok(Some((found, secret.metadata.resource_version.unwrap_or_default())))
    }

    /// Makes it hold this: changes it if it still has this version, creates it without one.
    ///
    /// # Errors
    /// [`CertificateError::Cluster`], also when somebody else was faster.
    pub async fn write(&self, data: &CertificateData, version: Option<String>) -> Result<(), CertificateError> {
        let CertificateData { ca_certificate, ca_key, certificate, key } = data;
        let values = [ca_certificate, ca_key, certificate, key].map(|text| ByteString(text.clone().into_bytes()));
        let data: BTreeMap<_, _> = KEYS.map(str::to_owned).into_iter().zip(values).collect();
        let written = match version {
            // What others have put onto it stays.
            Some(version) => {
                let patch = json!({"metadata": {"resourceVersion": version}, "data": data});
                self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await
            }
            None => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                let secret = Secret { metadata, type_: Some("kubernetes.io/tls".into()), data: Some(data), ..Secret::default() };
                self.api.create(&PostParams::default(), &secret).await
            }
        };
        written.map(|_| ()).map_err(|source| self.refused(source))
    }

    fn refused(&self, source: kube::Error) -> CertificateError {
        CertificateError::Cluster { what: format!("secret {}", self.name), source }
    }
}

/// Makes an APIService trust these authorities (PEM) and no others. One that does so already is not written.
///
/// # Errors
/// [`CertificateError::Cluster`], also when it is missing.
pub async fn trust(cluster: &HostCluster, api_service: &str, authorities: &str) -> Result<(), CertificateError> {
    let refused = |source| CertificateError::Cluster { what: format!("APIService {api_service}"), source };
    let api: Api<APIService> = Api::all(cluster.client().clone());
    let bundle = ByteString(authorities.as_bytes().to_vec());
    let found = api.get(api_service).await.map_err(refused)?;
    if found.spec.is_some_and(|spec| spec.ca_bundle.as_ref() == Some(&bundle)) {
        return Ok(());
    }
    let patch = json!({"spec": {"caBundle": bundle}});
    api.patch(api_service, &PatchParams::default(), &Patch::Merge(patch)).await.map(|_| ()).map_err(refused)
}
