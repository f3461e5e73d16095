//! Users by a bearer token that the host cluster knows (`TokenReview`), such as those of its service accounts.
//!
//! Whoever is known by an access key was found before, and the secret of a key that is disabled or has expired is not shown to
//! the cluster either. Any other token is, a mistyped access key too: access keys have no form of their own, and the cluster
//! has a say in everything here anyway. Refused: audiences; a token made for somebody else's API is one that the cluster
//! refuses here as it does there.

use crate::HostCluster;
use crate::reviews::{ReviewStats, Reviewer};
use apiserver_auth::{Authentication, Authenticator, Credentials, IdentityMapper, bearer};
use apiserver_meta::User;
use async_trait::async_trait;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;

/// Knows callers by tokens of the host cluster.
pub struct TokenReviews {
    reviewer: Reviewer<TokenReview, Result<User, String>>,
    identities: Arc<dyn IdentityMapper>,
}

impl TokenReviews {
    /// Asks this cluster; users are mapped to identities by their names.
    pub fn new(cluster: &HostCluster, identities: Arc<dyn IdentityMapper>) -> Self {
        Self { reviewer: Reviewer::new(cluster), identities }
    }

    /// How the cluster answered so far.
    pub fn stats(&self) -> ReviewStats {
        self.reviewer.stats()
    }

    /// Who the cluster says it is, or that it does not know.
    ///
    /// # Errors
    /// The cluster does not answer.
    async fn user(&self, token: &str) -> Result<Result<User, String>, String> {
        let spec = TokenReviewSpec { token: token.to_owned(), audiences: None };
        let review = TokenReview { spec, ..TokenReview::default() };
        let question = Sha256::digest(token.as_bytes()).into();
        self.reviewer.ask(question, &review, |answer| Ok(user(answer.status.unwrap_or_default()))).await
    }
}

impl fmt::Debug for TokenReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReviews").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for TokenReviews {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Authentication {
        let token = token(credentials.headers).filter(|token| !self.identities.owns_token(token));
        let Some(token) = token else { return Authentication::NotRequested };
        match self.user(token).await {
            Ok(Ok(user)) => Authentication::Authenticated(self.identities.identity_of(user)),
            Ok(Err(why)) => Authentication::Failed(format!("token review: {why}")),
            Err(why) => Authentication::Undetermined(format!("token review: {why}")),
        }
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok().and_then(bearer)
}

/// Who the cluster says it is. Its own words about a bad token are for operators, and do not repeat the token.
fn user(status: TokenReviewStatus) -> Result<User, String> {
    let known = status.user.filter(|_| status.authenticated == Some(true));
    let known = known.and_then(|user| Some((user.username.clone().filter(|name| !name.is_empty())?, user)));
    let Some((name, known)) = known else { return Err(status.error.unwrap_or_else(|| "unknown token".into())) };
    let (uid, groups) = (known.uid.unwrap_or_default(), known.groups.unwrap_or_default());
    Ok(User { name, uid, groups, extra: known.extra.unwrap_or_default() }.authenticated())
}

#[cfg(test)]
mod tests;
