//! Questions to the host cluster: how often, how long and how many at a time.

use crate::HostCluster;
use crate::answer_cache::{AnswerCache, Question};
use kube::Api;
use kube::api::PostParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long an answer holds, as kube-apiserver's library has it for extension servers.
const HOLDS: Duration = Duration::from_secs(10);
/// How many answers are remembered.
const REMEMBERED: usize = 10_000;
/// Time for an answer, tries and pauses included.
const TIME: Duration = Duration::from_secs(10);
/// The tries, and the pauses between them: the first, each half as long again as the one before.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How many questions may be under way: those who offer made-up tokens must not flood the cluster.
const AT_A_TIME: usize = 64;

/// How the host cluster answered so far, by what became of each question. Questions answered from memory are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewStats {
    /// Answered.
    pub ok: u64,
    /// Not answered: the cluster is out of reach, refuses, or takes too long.
    pub failed: u64,
}

/// Asks reviews of one kind.
pub(crate) struct Reviewer<K, A> {
    api: Api<K>,
    memory: AnswerCache<A>,
    places: Semaphore,
    ok: AtomicU64,
    failed: AtomicU64,
}

impl<K, A> Reviewer<K, A>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    A: Clone,
{
    pub(crate) fn new(cluster: &HostCluster) -> Self {
        Self {
            api: Api::all(cluster.client().clone()),
            memory: AnswerCache::new(HOLDS, REMEMBERED),
            places: Semaphore::new(AT_A_TIME),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// The answer to a review, remembered or asked for; `read` finds it in what the cluster says.
    ///
    /// # Errors
    /// Why there is none, for operators.
    pub(crate) async fn ask(&self, question: Question, review: &K, read: impl Fn(K) -> Result<A, String>) -> Result<A, String> {
        self.memory.answer(question, || self.create(review, read)).await
    }

    pub(crate) fn stats(&self) -> ReviewStats {
        ReviewStats { ok: self.ok.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed) }
    }

    async fn create(&self, review: &K, read: impl Fn(K) -> Result<A, String>) -> Result<A, String> {
        let answer = match tokio::time::timeout(TIME, self.try_to_create(review)).await {
            Ok(Ok(answer)) => read(answer),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", TIME.as_secs())),
        };
        let count = if answer.is_ok() { &self.ok } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        answer
    }

    async fn try_to_create(&self, review: &K) -> Result<K, kube::Error> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.api.create(&PostParams::default(), review).await {
                Err(error) if may_pass(&error) => tracing::debug!(%error, "host cluster, asked again"),
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause = pause * 3 / 2;
        }
        self.api.create(&PostParams::default(), review).await
    }
}

/// Whether to ask again may help.
fn may_pass(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 429 || status.code >= 500,
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}

/// What a question is remembered by.
pub(crate) fn digest(question: &impl Serialize) -> Question {
    let bytes = serde_json::to_vec(question).unwrap_or_default();
    Sha256::digest(bytes).into()
}
