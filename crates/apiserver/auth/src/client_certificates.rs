//! Users by client certificate: the common name is the user's, the organizations are the groups.

use crate::authorities::Authorities;
use crate::{Authentication, Authenticator, Credentials, IdentityMapper};
use apiserver_meta::User;
use async_trait::async_trait;
use rustls_pki_types::UnixTime;
use std::sync::Arc;

/// Knows callers by a certificate that an authority of clients vouches for (x509 client certificates in Kubernetes'
/// words). A certificate that nobody vouches for is a failed attempt, which other credentials may outweigh.
#[derive(Debug)]
pub struct ClientCertificates {
    authorities: Arc<Authorities>,
    identities: Arc<dyn IdentityMapper>,
}

impl ClientCertificates {
    /// Trusts these authorities; users are mapped to identities by their names.
    pub fn new(authorities: Arc<Authorities>, identities: Arc<dyn IdentityMapper>) -> Self {
        Self { authorities, identities }
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
                Authentication::Authenticated(self.identities.identity_of(user.authenticated()))
            }
            Err(why) => Authentication::Failed(format!("client certificate: {why}")),
        }
    }
}
