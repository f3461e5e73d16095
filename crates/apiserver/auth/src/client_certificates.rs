//! Users by client certificate: the common name is the user's name, the organizations are the groups.

use crate::authorities::Authorities;
use crate::{Authentication, Authenticator, Credentials, IdentityMapper};
use apiserver_meta::User;
use async_trait::async_trait;
use rustls_pki_types::UnixTime;
use std::sync::Arc;

/// Authenticates callers by a certificate that an authority of clients signed (X.509 client certificates in Kubernetes).
///
/// A certificate that no such authority signed is [`Authentication::Failed`]. The request is still served for a caller whom
/// other credentials authenticate.
#[derive(Debug)]
pub struct ClientCertificates {
    authorities: Arc<Authorities>,
    identities: Arc<dyn IdentityMapper>,
}

impl ClientCertificates {
    /// Trusts certificates that these authorities signed. Users are mapped to identities by their names.
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
