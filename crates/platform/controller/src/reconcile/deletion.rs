//! The end of a virtual cluster: nothing stays behind, and nobody waits for a cluster that is gone.

use super::Outcome;
use super::charts::uninstall_in_host_namespace;
use super::namespace::is_owned;
use super::pass::{Pass, Stop};
use super::release::failed;
use super::sleeping::MANAGED_BY;
use crate::conditions::Aspect;
use crate::halt::{Api as Whose, Halt};
use crate::helm::{Release, releases};
use crate::names::{CREATED_BY, FINALIZER, SKIP_DEPLOY, ownership};
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use std::time::Duration;

/// Whoever sets it keeps the namespace.
const PRESERVE_NAMESPACE: &str = "loft.sh/preserve-namespace-on-deletion";
/// How soon a namespace that is going away is looked at again.
const WHILE_TERMINATING: Duration = Duration::from_secs(1);
/// How long deletion is tried against a host cluster that does not do it, in seconds. Then the instance is let go.
const LONGEST_SECONDS: i64 = 900;
/// How long pods are waited for before their namespace is deleted all the same.
const LONGEST_POD_SECONDS: i64 = 90;
/// How long pods of a virtual cluster that is gone are given to end.
const POD_GRACE_SECONDS: u32 = 5;

/// Takes everything away that was made, and then lets the instance go.
pub(super) async fn run(pass: &mut Pass<'_>) -> Result<Outcome, Stop> {
    let is_ours = pass.instance.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
    if !is_ours {
        return Ok(Outcome::Done);
    }
    match clean_up(pass).await {
        Ok(Left::Nothing) => {}
        Ok(Left::Pods | Left::TerminatingNamespace) if !is_overdue(pass) => return Ok(Outcome::Again(WHILE_TERMINATING)),
        Err(halt) if !is_overdue(pass) => return Err(halt.into()),
        left => {
            let why = match left {
                Err(halt) => halt.cause.message,
                Ok(_) => "the namespace does not go away".into(),
            };
            let note = format!("let go after {LONGEST_SECONDS} seconds; look at what is left in the host cluster: {why}");
            pass.context.events.warning(&pass.instance, "CleanupAbandoned", &note).await;
        }
    }
    pass.remove_finalizer().await?;
    // With the last finalizer the instance is gone, and has no status any more.
    Err(Stop::Gone)
}

/// What is left of a virtual cluster.
enum Left {
    Nothing,
    Pods,
    TerminatingNamespace,
}

async fn clean_up(pass: &Pass<'_>) -> Result<Left, Halt> {
    let place = &pass.instance.spec.cluster_ref;
    if pass.instance.spec.external || place.namespace.is_empty() || place.virtual_cluster.is_empty() {
        return Ok(Left::Nothing);
    }
    let namespaces: Api<Namespace> = Api::all(pass.context.clients.host.clone());
    let asked = |error: kube::Error| halt(&format!("reading namespace {}", place.namespace), &error);
    let Some(namespace) = namespaces.get_opt(&place.namespace).await.map_err(asked)? else { return Ok(Left::Nothing) };
    if !is_owned(&namespace, &ownership(&pass.project, pass.instance.namespace(), pass.instance.name())) {
        return Ok(Left::Nothing);
    }
    if namespace.metadata.deletion_timestamp.is_some() {
        return Ok(Left::TerminatingNamespace);
    }
    uninstall(pass).await?;
    uninstall_in_host_namespace(pass).await?;
    if delete_pods(pass).await? && !is_older_than(pass, LONGEST_POD_SECONDS) {
        return Ok(Left::Pods);
    }
    delete_claims(pass).await?;
    let is_made = namespace.metadata.annotations.iter().flatten().any(|(key, _)| key == CREATED_BY);
    if !is_made || is_preserved(pass) {
        return Ok(Left::Nothing);
    }
    let gone = namespaces.delete(&place.namespace, &DeleteParams::background()).await;
    match gone {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Left::Nothing),
        done => done.map(|_| Left::TerminatingNamespace).map_err(|error| halt(&format!("deleting namespace {}", place.namespace), &error)),
    }
}

/// The release goes first, because it brought things that are in no namespace.
async fn uninstall(pass: &Pass<'_>) -> Result<(), Halt> {
    if pass.instance.annotation(SKIP_DEPLOY) == Some("true") && pass.status.deploy_hash.is_empty() {
        return Ok(());
    }
    let address = pass.address()?;
    let (client, aspect) = (&pass.context.clients.host, Aspect::ExternalResourcesCleanedUp);
    let last = releases::last(client, address.namespace(), address.release()).await.map_err(|error| failed(aspect, &error))?;
    if last.is_none() {
        return Ok(());
    }
    let kubeconfig = pass.context.host_kubeconfig.clone();
    let release = Release { name: address.release().into(), namespace: address.namespace().into(), kubeconfig };
    pass.context.helm.uninstall(&release).await.map_err(|error| failed(aspect, &error))
}

/// The pods that the virtual cluster had on the host, which nobody looks after any more. Whether any are left. While some are, the
/// namespace controller would try in vain, and then wait longer and longer.
async fn delete_pods(pass: &Pass<'_>) -> Result<bool, Halt> {
    let address = pass.address()?;
    let asked = |error: kube::Error| halt("deleting the pods of the virtual cluster", &error);
    let pods: Api<Pod> = Api::namespaced(pass.context.clients.host.clone(), address.namespace());
    let found = pods.list_metadata(&ListParams::default()).await.map_err(asked)?;
    let synced = format!("{MANAGED_BY}={}", address.release());
    let params = DeleteParams { grace_period_seconds: Some(POD_GRACE_SECONDS), ..DeleteParams::default() };
    if found.items.iter().any(|pod| pod.metadata.deletion_timestamp.is_none()) {
        pods.delete_collection(&params, &ListParams::default().labels(&synced)).await.map_err(asked)?;
    }
    Ok(!found.items.is_empty())
}

/// Volumes outlive what used them.
async fn delete_claims(pass: &Pass<'_>) -> Result<(), Halt> {
    let address = pass.address()?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(pass.context.clients.host.clone(), address.namespace());
    let of_release = ListParams::default().labels(&format!("app=vcluster,release={}", address.release()));
    let deleted = claims.delete_collection(&DeleteParams::default(), &of_release).await;
    deleted.map(drop).map_err(|error| halt("deleting the volume claims of the virtual cluster", &error))
}

fn is_preserved(pass: &Pass<'_>) -> bool {
    let of_template = pass.definition().metadata.annotations;
    pass.instance.annotation(PRESERVE_NAMESPACE).is_some() || of_template.contains_key(PRESERVE_NAMESPACE)
}

fn is_overdue(pass: &Pass<'_>) -> bool {
    is_older_than(pass, LONGEST_SECONDS)
}

/// Whether the deletion was asked for longer ago than this.
fn is_older_than(pass: &Pass<'_>, seconds: i64) -> bool {
    let since = pass.instance.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    since.is_some_and(|since| (pass.context.clock)().duration_since(since).as_secs() > seconds)
}

fn halt(doing: &str, error: &kube::Error) -> Halt {
    Halt::of_api(Aspect::ExternalResourcesCleanedUp, Whose::Host, doing, error)
}
