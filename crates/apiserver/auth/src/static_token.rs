//! One bearer token that is known in advance.

use crate::{Authentication, Authenticator, Credentials, Identity, bearer};
use apiserver_meta::User;
use async_trait::async_trait;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Authenticates a user by `Authorization: Bearer TOKEN`. Any other token, and any other form of that header, is a failed attempt:
/// a caller who offers credentials is never taken for anonymous.
pub struct StaticToken {
    /// Comparing hashes takes a time that says nothing about the token.
    digest: [u8; 32],
    identity: Identity,
}

impl StaticToken {
    /// The token of this user. It must be too long to be guessed; 256 random bits are.
    pub fn new(token: &str, user: User) -> Self {
        Self { digest: Sha256::digest(token).into(), identity: Identity::of_user(user) }
    }
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticToken").field("identity", &self.identity).finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for StaticToken {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication {
        let mut values = credentials.headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Authentication::NotRequested };
        if values.next().is_some() {
            return Authentication::Failed("more than one Authorization header".into());
        }
        match value.to_str().ok().and_then(bearer) {
            Some(token) if <[u8; 32]>::from(Sha256::digest(token)) == self.digest => Authentication::Authenticated(self.identity.clone()),
            Some(_) => Authentication::Failed("the bearer token is unknown".into()),
            None => Authentication::Failed("the Authorization header is not a bearer token".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[tokio::test]
    async fn only_the_token_is_somebody_and_everything_else_a_failed_attempt() {
        let token = StaticToken::new("s3cret", User { name: "ann".into(), ..User::default() });
        let cases: &[(&[&str], Option<bool>)] = &[
            (&[], None),
            (&["Bearer s3cret"], Some(true)),
            (&["Bearer s3cre"], Some(false)),
            (&["Bearer"], Some(false)),
            (&["Basic s3cret"], Some(false)),
            (&["Bearer s3cret", "Bearer s3cret"], Some(false)),
        ];
        for (values, want) in cases {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            let found = match token.authenticate(Credentials { headers: &headers, certificates: &[] }).await {
                Authentication::NotRequested => None,
                Authentication::Authenticated(identity) => Some(identity.user.name == "ann"),
                Authentication::Failed(_) | Authentication::Undetermined(_) => Some(false),
            };
            assert_eq!(found, *want, "{values:?}");
        }
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
