//! The proxy: what of a path, an instance and a caller makes a request to a virtual cluster.

use crate::activity::{Activity, OpenStream, unix_seconds};
use crate::foreign::{ReviewedUser, Reviews, may_be_foreign};
use crate::held_stream::HeldStream;
use crate::impersonation::{Authorized, Impersonation};
use crate::instance::{ForeignTokens, Instance};
use crate::sleep::{self, SleepState};
use crate::upstream::{SendError, UpgradeResponse, Upstream};
use crate::{errors, path};
use apiserver_endpoints::{
    BearerToken, Held, Proxy, ProxyCaller, ProxyPath, ProxyRequest, ProxyResponse, ProxyTarget, UpgradedStream, observed,
};
use apiserver_meta::{ApiError, Descriptor, ObjectKey, Resource as _, User};
use apiserver_registry::{Item, Registry};
use async_trait::async_trait;
use http::header::USER_AGENT;
use http::{HeaderMap, Request};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use vci_management::access::{Caller, ObjectAccess};
use vci_management::virtualclusterinstance::VirtualClusterInstances;
use vci_management::virtualclusterinstance::roles::{Relation, cluster_roles, groups_inside, user_inside};
use vci_virtualcluster::{Address, Connector};

/// How long a request waits for a virtual cluster to wake up.
const WAKE_TIME: Duration = Duration::from_secs(45);
/// How often it is looked whether it has.
const WAKE_LOOK: Duration = Duration::from_millis(200);
/// Seconds after which to come back to a virtual cluster that is waking up.
const WAKING: u32 = 10;
/// A request with this header, `true`, is no use of the virtual cluster.
const IGNORE: &str = "x-sleep-mode-ignore";
/// What users of virtual clusters are called here: they are nobody here, and mistaken for nobody.
const FOREIGN_PREFIX: &str = "loft:vcluster-user:";

/// Leads to virtual clusters.
#[derive(Debug)]
pub(crate) struct VirtualClusterProxy {
    pub(crate) instances: Arc<Registry>,
    pub(crate) namespace_prefix: String,
    pub(crate) activity: Arc<Activity>,
    /// `None`: this server knows no host cluster.
    pub(crate) host: Option<Host>,
}

/// What reaches the virtual clusters of the host cluster.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) upstream: Upstream,
    pub(crate) reviews: Reviews,
}

impl Host {
    pub(crate) fn new(connector: &Connector) -> Self {
        Self { upstream: Upstream::new(connector), reviews: Reviews::new(connector.clone()) }
    }
}

/// As whom a request is carried on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    Impersonated {
        user: String,
        groups: Vec<String>,
    },
    /// Whose token it is, the virtual cluster says for each request.
    Reviewed,
    WithToken,
}

#[async_trait]
impl Proxy for VirtualClusterProxy {
    fn prefix(&self) -> &'static str {
        path::PREFIX
    }

    fn kind(&self) -> &'static Descriptor {
        VirtualClusterInstances.descriptor()
    }

    fn permission(&self) -> &'static str {
        "use"
    }

    fn split<'a>(&self, rest: &'a str) -> Option<ProxyPath<'a>> {
        let (project, instance, rest) = path::split(rest)?;
        Some(ProxyPath { namespace: format!("{}{project}", self.namespace_prefix), name: instance.to_owned(), rest })
    }

    fn route(&self, caller: &ProxyCaller, object: &Item) -> String {
        let found = Instance::of(object).and_then(|instance| Ok((instance.address()?, identity(caller, &instance, object)?)));
        match found {
            Ok(route) => format!("{route:?}"),
            // An instance that is not ready for the moment ends its streams itself.
            Err(error) => format!("{}", error.code()),
        }
    }

    async fn foreign_user(&self, target: &ProxyTarget<'_>, token: &BearerToken) -> Option<User> {
        if !may_be_foreign(token) {
            return None;
        }
        let item = self.instances.cache().cached_existing(&ObjectKey::new(target.namespace, target.name))?;
        let instance = Instance::of(&item).ok()?;
        let inside = match instance.foreign_tokens() {
            ForeignTokens::Refused => return None,
            ForeignTokens::Reviewed => self.host.as_ref()?.reviews.user(&instance.address().ok()?, token).await?.name,
            ForeignTokens::PassedOn => String::new(),
        };
        let name = format!("{FOREIGN_PREFIX}{}:{}:{inside}", target.namespace, target.name);
        Some(User { name: name.trim_end_matches(':').to_owned(), ..User::default() })
    }

    async fn serve(&self, request: ProxyRequest) -> Result<ProxyResponse, ApiError> {
        let Some(host) = &self.host else {
            return Err(ApiError::unavailable(
                "virtual clusters cannot be reached: this server runs without a host cluster (--kubeconfig)",
                0,
            ));
        };
        let instance = self.awake(&request.headers, &request.object).await?;
        let (address, identity) = (instance.address()?, identity(&request.caller, &instance, &request.object)?);
        let key = request.object.key();
        let keeps_awake = request.is_long_running && is_use(&request.headers, &instance) && sleep::streams_count(instance.annotations());
        let stream = keeps_awake.then(|| self.activity.stream(&key));
        let name = key.name;
        let sent = host.send(&address, identity, request).await;
        match sent.map_err(|error| error.told(&name, &instance))? {
            UpgradeResponse::Answer(response) => Ok(ProxyResponse::Answer(response.map(|body| observed(body, Held(stream))))),
            UpgradeResponse::Upgraded(head, io) => Ok(ProxyResponse::Upgraded(head, counted(io, stream))),
        }
    }
}

/// Why a request was not carried on.
enum NotSent {
    Send(SendError),
    Error(ApiError),
}

impl From<SendError> for NotSent {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<ApiError> for NotSent {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl NotSent {
    /// That an instance is not ready says more than that it does not answer.
    fn told(self, name: &str, instance: &Instance) -> ApiError {
        match self {
            Self::Error(error) => error,
            Self::Send(SendError::Connect(error)) if !instance.is_ready() => {
                tracing::debug!(name, error = &error as &dyn std::error::Error, "an instance that is not ready is out of reach");
                instance.not_ready()
            }
            Self::Send(error) => errors::of_send(name, &error),
        }
    }
}

impl Host {
    async fn send(&self, address: &Address, identity: Identity, request: ProxyRequest) -> Result<UpgradeResponse, NotSent> {
        let ProxyRequest { caller, method, path_and_query, headers, body, is_upgrade, .. } = request;
        let uri = path_and_query.parse::<http::Uri>().map_err(|_| ApiError::bad_request("the path cannot be forwarded"))?;
        let mut outgoing = Request::new(body);
        (*outgoing.method_mut(), *outgoing.uri_mut(), *outgoing.headers_mut()) = (method, uri, headers);
        let impersonation = match (identity, &caller) {
            (Identity::Impersonated { user, groups }, _) => Impersonation::new(&user, &groups).map_err(unsayable)?,
            (Identity::Reviewed, ProxyCaller::Foreign { token, .. }) => {
                let ReviewedUser { name, groups } = self.reviews.user(address, token).await.ok_or_else(ApiError::unauthorized)?;
                Impersonation::new(&name, &groups).map_err(unsayable)?
            }
            (Identity::WithToken, ProxyCaller::Foreign { token, .. }) => {
                let outgoing = Authorized::with_token(token, outgoing).map_err(unsayable)?;
                return Ok(match is_upgrade {
                    true => self.upstream.upgrade_with_token(address, outgoing).await?,
                    false => UpgradeResponse::Answer(self.upstream.send_with_token(address, outgoing).await?),
                });
            }
            (Identity::Reviewed | Identity::WithToken, ProxyCaller::Known { .. }) => return Err(ApiError::unauthorized().into()),
        };
        let outgoing = Authorized::impersonating(&impersonation, outgoing);
        Ok(match is_upgrade {
            true => self.upstream.upgrade(address, outgoing).await?,
            false => UpgradeResponse::Answer(self.upstream.send(address, outgoing).await?),
        })
    }
}

fn unsayable(error: crate::impersonation::Unsayable) -> ApiError {
    ApiError::bad_request(error.to_string())
}

/// As whom a caller's requests are carried on.
fn identity(caller: &ProxyCaller, instance: &Instance, object: &Item) -> Result<Identity, ApiError> {
    match caller {
        ProxyCaller::Known { identity, by_role } => {
            let known = Caller::of(&identity.principal);
            let relation = match by_role {
                true => Relation::Administrator,
                false if ObjectAccess::of(&object.facts).owned_by(known) => Relation::Owner,
                false => Relation::User,
            };
            let (access, extra) = instance.access();
            let roles = cluster_roles(access, extra, known, relation);
            Ok(Identity::Impersonated { user: user_inside(&identity.user.name), groups: groups_inside(&identity.user.groups, &roles) })
        }
        ProxyCaller::Foreign { .. } => match instance.foreign_tokens() {
            ForeignTokens::Refused => Err(ApiError::unauthorized()),
            ForeignTokens::Reviewed => Ok(Identity::Reviewed),
            ForeignTokens::PassedOn => Ok(Identity::WithToken),
        },
    }
}

impl VirtualClusterProxy {
    /// The instance, awake. Notes that it is used.
    async fn awake(&self, headers: &HeaderMap, object: &Item) -> Result<Instance, ApiError> {
        let (instance, key) = (Instance::of(object)?, object.key());
        let is_use = is_use(headers, &instance);
        match instance.sleep() {
            SleepState::Awake => {
                if is_use {
                    self.activity.note(&key, instance.annotations());
                }
                Ok(instance)
            }
            SleepState::Asleep { since, wakes_from } => {
                let may_wake = is_use && wakes_from.is_some_and(|time| time <= unix_seconds());
                if !may_wake {
                    return Err(asleep(&key, wakes_from));
                }
                self.activity.wake(&key, since);
                self.woken(&key, &object.uid()).await
            }
        }
    }

    async fn woken(&self, key: &ObjectKey, uid: &str) -> Result<Instance, ApiError> {
        let until = Instant::now() + WAKE_TIME;
        while Instant::now() < until {
            tokio::time::sleep(WAKE_LOOK).await;
            let Some(item) = self.instances.cache().cached_existing(key).filter(|item| item.uid() == uid) else { break };
            let instance = Instance::of(&item)?;
            if instance.is_ready() {
                return Ok(instance);
            }
        }
        Err(ApiError::unavailable(format!("virtual cluster {:?} was asleep and is waking up, please try again", key.name), WAKING))
    }
}

fn is_use(headers: &HeaderMap, instance: &Instance) -> bool {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let is_ignored = headers.get(IGNORE).is_some_and(|value| value == "true");
    !is_ignored && sleep::counts(instance.annotations(), agent)
}

fn asleep(key: &ObjectKey, wakes_from: Option<i64>) -> ApiError {
    let name = &key.name;
    match wakes_from {
        None => ApiError::unavailable(format!("virtual cluster {name:?} is asleep until it is woken (vcluster platform wakeup)"), 0),
        Some(time) => {
            let left = u32::try_from(time.saturating_sub(unix_seconds()).max(1)).unwrap_or(u32::MAX);
            ApiError::unavailable(format!("virtual cluster {name:?} is asleep"), left)
        }
    }
}

/// The stream, which counts as a use of the virtual cluster while it is open.
fn counted(io: Box<dyn UpgradedStream>, stream: Option<OpenStream>) -> Box<dyn UpgradedStream> {
    Box::new(HeldStream::new(io, stream))
}
