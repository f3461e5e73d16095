//! Access keys as bearer tokens (RFC 6750, section 2.1).

use crate::clock::unix_seconds;
use crate::directory::Directory;
use apiserver_auth::{Authentication, Authenticator, Credentials, bearer};
use async_trait::async_trait;
use http::header::AUTHORIZATION;
use std::sync::Arc;

/// Knows callers by `Authorization: Bearer KEY`. Whatever else stands in that header is a failed attempt, so that nobody
/// who offered credentials is taken for anonymous.
#[derive(Debug)]
pub struct AccessKeys {
    directory: Arc<Directory>,
}

impl AccessKeys {
    /// Looks keys up in this directory.
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory }
    }
}

#[async_trait]
impl Authenticator for AccessKeys {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication {
        let mut values = credentials.headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Authentication::NotRequested };
        if values.next().is_some() {
            return Authentication::Failed("more than one Authorization header".into());
        }
        let Some(secret) = value.to_str().ok().and_then(bearer) else {
            return Authentication::Failed("Authorization header is not a bearer token".into());
        };
        match self.directory.authenticate(secret, unix_seconds()) {
            Some(identity) => Authentication::Authenticated(identity),
            None => Authentication::Failed("access key is unknown, disabled or expired, or its holder is".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::directory::{Holder, HolderIdentity, KeyRecord, Lifetime, UserRecord};
    use http::{HeaderMap, HeaderValue};
    use sha2::{Digest as _, Sha256};

    fn directory() -> Arc<Directory> {
        let directory = Directory::default();
        directory.put_user(UserRecord { name: "ann".into(), ..UserRecord::default() });
        let digest = Sha256::digest(b"s3cret").into();
        let holder = Holder::User("ann".into());
        let lifetime = Lifetime::Endless;
        directory.put_key(KeyRecord {
            name: "k".into(),
            digest,
            holder,
            holder_identity: HolderIdentity::CreatedBy(0),
            disabled: false,
            lifetime,
            last_activity: 0,
            scope: None,
        });
        Arc::new(directory)
    }

    #[derive(Debug, PartialEq)]
    enum Want {
        NotRequested,
        Ann,
        Failed,
    }

    #[tokio::test]
    async fn only_one_well_formed_bearer_header_with_a_good_key_is_somebody() {
        let cases: &[(&[&[u8]], Want)] = &[
            (&[], Want::NotRequested),
            (&[b"Bearer s3cret"], Want::Ann),
            (&[b"bearer s3cret"], Want::Ann),
            (&[b"BEARER s3cret"], Want::Ann),
            (&[b" Bearer   s3cret "], Want::Ann),
            (&[b"Bearer wrong"], Want::Failed),
            (&[b"Bearer S3CRET"], Want::Failed),
            (&[b"Bearer s3cret s3cret"], Want::Failed),
            (&[b"Bearer s3cret,"], Want::Failed),
            (&[b"Bearer "], Want::Failed),
            (&[b"Bearer"], Want::Failed),
            (&[b""], Want::Failed),
            (&[b"s3cret"], Want::Failed),
            (&[b"Bearers3cret"], Want::Failed),
            (&[b"Basic YTpi"], Want::Failed),
            (&[b"Bearer \xff\xfe"], Want::Failed),
            (&[b"Bearer s3cret", b"Bearer s3cret"], Want::Failed),
            (&[b"Bearer s3cret", b"Basic YTpi"], Want::Failed),
        ];
        let keys = AccessKeys::new(directory());
        for (values, want) in cases {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
            }
            let got = match keys.authenticate(Credentials { headers: &headers, certificates: &[] }).await {
                Authentication::NotRequested => Want::NotRequested,
                Authentication::Authenticated(identity) if identity.user.name == "ann" => Want::Ann,
                Authentication::Authenticated(identity) => panic!("{identity:?}"),
                Authentication::Failed(why) | Authentication::Undetermined(why) => {
                    assert!(!why.contains("s3cret"), "the secret is repeated: {why}");
                    Want::Failed
                }
            };
            assert_eq!(got, *want, "{values:?}");
        }
    }
}
