//! Users by client certificate: the common name is the user's, the organizations are the groups.

use crate::authorities::Authorities;
use crate::directory::Directory;
use crate::{Authentication, Authenticator, Credentials};
use async_trait::async_trait;
use rustls_pki_types::UnixTime;
use std::sync::Arc;
use vci_meta::User;

/// Knows callers by a certificate that an authority of clients vouches for (x509 client certificates in Kubernetes'
/// words). A certificate that nobody vouches for is a failed attempt, which other credentials may outweigh.
#[derive(Debug)]
pub struct ClientCertificates {
    authorities: Arc<Authorities>,
    directory: Arc<Directory>,
}

impl ClientCertificates {
    /// Trusts these authorities; who is known in the directory by the same name is that user.
    pub fn new(authorities: Arc<Authorities>, directory: Arc<Directory>) -> Self {
        Self { authorities, directory }
    }
}

#[async_trait]
impl Authenticator for ClientCertificates {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication {
        if credentials.certificates.is_empty() {
            return Authentication::NotRequested;
        }
        match self.authorities.subject(credentials.certificates, UnixTime::now()) {
            Ok(subject) if subject.common_name.is_empty() => Authentication::NotRequested,
            Ok(subject) => {
                let user = User { name: subject.common_name.clone(), groups: subject.organizations.clone(), ..User::default() };
                Authentication::Authenticated(self.directory.identity_of(user.authenticated()))
            }
            Err(why) => Authentication::Failed(format!("client certificate: {why}")),
        }
    }
}
