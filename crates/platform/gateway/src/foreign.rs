//! Bearer tokens that virtual clusters have issued: whose they are, by a TokenReview inside.

use apiserver_endpoints::BearerToken;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::Api;
use kube::api::PostParams;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use vci_virtualcluster::{Address, Connector};

/// Whether a token can be one that a Kubernetes API or an identity provider has issued: a JWT. Access keys have another form. So one that
/// another replica has made a moment ago, and that is not known here yet, is not shown to a virtual cluster.
pub(crate) fn may_be_foreign(token: &BearerToken) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_'));
    let parts: Vec<&str> = token.secret().split('.').collect();
    parts.len() == 3 && parts.into_iter().all(is_part)
}

/// How long an answer holds, as kube-apiserver has it.
const HOLDS: Duration = Duration::from_secs(10);
const MOST: usize = 4096;
const TIME: Duration = Duration::from_secs(10);
/// Reviews under way: those who offer made-up tokens must not flood the virtual clusters.
const AT_A_TIME: usize = 32;

/// A user of a virtual cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReviewedUser {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

/// A token at a virtual cluster.
type Question = (Address, [u8; 32]);

/// Reviews, and what they came to a moment ago.
#[derive(Debug)]
pub(crate) struct Reviews {
    connector: Connector,
    places: Semaphore,
    answers: Mutex<HashMap<Question, (Instant, Option<ReviewedUser>)>>,
}

impl Reviews {
    pub(crate) fn new(connector: Connector) -> Self {
        Self { connector, places: Semaphore::new(AT_A_TIME), answers: Mutex::default() }
    }

    /// Whose token it is, as the virtual cluster says; `None` for nobody's, and when that cannot be found out.
    pub(crate) async fn user(&self, address: &Address, token: &BearerToken) -> Option<ReviewedUser> {
        let question = (address.clone(), Sha256::digest(token.secret().as_bytes()).into());
        if let Some(answer) = self.remembered(&question) {
            return answer;
        }
        let _place = self.places.try_acquire().ok()?;
        match timeout(TIME, self.ask(address, token)).await {
            Ok(Ok(answer)) => {
                self.remember(question, answer.clone());
                answer
            }
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "a virtual cluster does not review a token");
                None
            }
            Err(_) => None,
        }
    }

    async fn ask(&self, address: &Address, token: &BearerToken) -> Result<Option<ReviewedUser>, Box<dyn std::error::Error + Send + Sync>> {
        let client = self.connector.client(address).await?;
        let spec = TokenReviewSpec { token: token.secret().to_owned(), audiences: None };
        let review = TokenReview { spec, ..TokenReview::default() };
        let status = Api::all(client).create(&PostParams::default(), &review).await?.status.unwrap_or_default();
        let user = status.user.filter(|_| status.authenticated == Some(true));
        Ok(user.and_then(|user| {
            let name = user.username.filter(|name| !name.is_empty())?;
            Some(ReviewedUser { name, groups: user.groups.unwrap_or_default() })
        }))
    }

    fn remembered(&self, question: &Question) -> Option<Option<ReviewedUser>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(question).filter(|(since, _)| since.elapsed() < HOLDS).map(|(_, answer)| answer.clone())
    }

    fn remember(&self, question: Question, answer: Option<ReviewedUser>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            answers.retain(|_, (since, _)| since.elapsed() < HOLDS);
        }
        if answers.len() < MOST {
            answers.insert(question, (Instant::now(), answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_jwt_is_shown_to_others() {
        for (token, may_be) in [
            ("a.b.c", true),
            ("eyJh_-.eyJp.c2ln", true),
            ("abc", false),
            ("a.b", false),
            ("a..c", false),
            ("a.b.c.d", false),
            ("a.b.c=", false),
        ] {
            assert_eq!(may_be_foreign(&BearerToken::new(token)), may_be, "{token}");
        }
    }
}
