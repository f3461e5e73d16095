//! `authorizer` in expressions: the host cluster is asked, once for each question of a request.

use apiserver_cel::{AccessCheck, Authorizer, Decision, ServiceAccount};
use apiserver_meta::User;
use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, LabelSelectorAttributes, NonResourceAttributes, ResourceAttributes, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long an answer may take at most.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the host cluster from a thread that may block. For one request: it remembers what it was told.
pub(super) struct ClusterAuthorizer {
    client: Client,
    user: Arc<User>,
    runtime: Handle,
    /// When the request is due.
    deadline: Instant,
    known: Mutex<HashMap<AccessCheck, Result<Decision, String>>>,
}

impl ClusterAuthorizer {
    /// For a request of that user, which is due then. Called on the runtime, which the questions are asked on.
    pub(super) fn new(client: Client, user: Arc<User>, deadline: Instant) -> Self {
        Self { client, user, runtime: Handle::current(), deadline, known: Mutex::default() }
    }

    async fn ask(&self, access: &AccessCheck) -> Result<Decision, String> {
        let account = access.service_account.as_ref().map(service_account);
        let user = account.as_ref().unwrap_or(&self.user);
        let review = SubjectAccessReview { spec: spec(user, access), ..SubjectAccessReview::default() };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let left = self.deadline.saturating_duration_since(Instant::now()).min(TIMEOUT);
        let params = PostParams::default();
        let answer = tokio::time::timeout(left, api.create(&params, &review)).await;
        let answer = answer.map_err(|_| "the host cluster did not answer in time".to_owned())?.map_err(|error| error.to_string())?;
        let status = answer.status.unwrap_or_default();
        match status.evaluation_error.filter(|it| !it.is_empty()) {
            Some(error) if !status.allowed => Err(error),
            _ => Ok(Decision { allowed: status.allowed && status.denied != Some(true), reason: status.reason.unwrap_or_default() }),
        }
    }
}

impl fmt::Debug for ClusterAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterAuthorizer").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Authorizer for ClusterAuthorizer {
    fn check(&self, access: &AccessCheck) -> Result<Decision, String> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known().get(access) {
            return answer.clone();
        }
        let answer = self.runtime.block_on(self.ask(access));
        known().insert(access.clone(), answer.clone());
        answer
    }
}

fn service_account(account: &ServiceAccount) -> User {
    let ServiceAccount { namespace, name } = account;
    User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        groups: vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")],
        ..User::default()
    }
}

fn spec(user: &User, access: &AccessCheck) -> SubjectAccessReviewSpec {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let verb = some(&access.verb);
    let (resource_attributes, non_resource_attributes) = match &access.path {
        Some(path) => (None, Some(NonResourceAttributes { path: some(path), verb })),
        None => {
            let field_selector =
                some(&access.field_selector).map(|it| FieldSelectorAttributes { raw_selector: Some(it), ..Default::default() });
            let label_selector =
                some(&access.label_selector).map(|it| LabelSelectorAttributes { raw_selector: Some(it), ..Default::default() });
            let attributes = ResourceAttributes {
                group: some(&access.group),
                version: Some("*".into()),
                resource: some(&access.resource),
                subresource: some(&access.subresource),
                namespace: some(&access.namespace),
                name: some(&access.name),
                verb,
                field_selector,
                label_selector,
            };
            (Some(attributes), None)
        }
    };
    SubjectAccessReviewSpec {
        user: some(&user.name),
        uid: some(&user.uid),
        groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
        resource_attributes,
        non_resource_attributes,
    }
}
