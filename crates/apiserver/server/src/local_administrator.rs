//! Access to a server that stands alone and has no users of its own yet: one administrator, by a token that ends with the process.
//! Refused: to keep the token beyond that, or to know anybody else.

use crate::extension::{Extension, Started};
use crate::{StartError, private_file};
use apiserver_auth::{Authenticator, StaticToken};
use apiserver_meta::User;
use apiserver_meta::context::GROUP_MASTERS;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use std::fmt;
use std::sync::Arc;

/// The user's name.
const USER: &str = "local-administrator";
/// The kubeconfig in the data directory.
const FILE: &str = "admin.kubeconfig";

/// Writes `admin.kubeconfig` into the data directory: the server's URL, its authority, and a new token of a user in the group
/// `system:masters`. Whoever can read that file may do everything, so it has mode 0600. Not for a server that joins a cluster,
/// whose users are the cluster's.
pub struct LocalAdministrator {
    token: String,
}

impl LocalAdministrator {
    /// Makes the token, of 256 random bits.
    ///
    /// # Errors
    /// [`StartError::Internal`]: the system has no randomness.
    pub fn new() -> Result<Self, StartError> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|error| StartError::Internal(format!("random numbers: {error}")))?;
        Ok(Self { token: URL_SAFE_NO_PAD.encode(bits) })
    }

    fn kubeconfig(&self, url: &str, ca_certificate: &str) -> String {
        let mut cluster = json!({"server": url});
        if !ca_certificate.is_empty() {
            cluster["certificate-authority-data"] = STANDARD.encode(ca_certificate).into();
        }
        // JSON is YAML, too.
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "local",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": USER, "user": {"token": self.token}}],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": USER}}],
        });
        format!("{kubeconfig:#}\n")
    }
}

impl fmt::Debug for LocalAdministrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalAdministrator").finish_non_exhaustive()
    }
}

#[async_trait]
impl Extension for LocalAdministrator {
    fn name(&self) -> &'static str {
        "local-administrator"
    }

    fn authenticators(&self) -> Vec<Arc<dyn Authenticator>> {
        let user = User { name: USER.into(), groups: vec![GROUP_MASTERS.into()], ..User::default() };
        vec![Arc::new(StaticToken::new(&self.token, user))]
    }

    async fn post_start(&self, started: &Started<'_>) -> Result<(), StartError> {
        let text = self.kubeconfig(started.url, started.ca_certificate);
        private_file::write(&started.data_dir.join(FILE), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_start_has_a_token_of_its_own_which_only_the_kubeconfig_tells() {
        let [first, second] = [(); 2].map(|()| LocalAdministrator::new().unwrap());
        assert_ne!(first.token, second.token);
        assert_eq!(URL_SAFE_NO_PAD.decode(&first.token).unwrap().len(), 32);
        assert!(!format!("{first:?} {:?}", first.authenticators()).contains(&first.token));
        let kubeconfig: serde_json::Value = serde_json::from_str(&first.kubeconfig("https://127.0.0.1:1", "PEM")).unwrap();
        assert_eq!(kubeconfig["users"][0]["user"]["token"], *first.token);
        assert_eq!(kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"], "UEVN");
        assert!(!first.kubeconfig("https://127.0.0.1:1", "").contains("certificate-authority"), "the system's authorities");
    }
}
