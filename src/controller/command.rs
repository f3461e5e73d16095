//! `vci-apiserver controller`: the controller as a process of its own.

use super::{Flags, Host};
use crate::cli::LogFlags;
use apiserver_host::{HostCluster, Source};
use apiserver_server::{Signals, Stopped, logging, run_process};
use clap::Args;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use vci_controller::leader::Candidate;
use vci_controller::{Leads, probes};

/// The flags of `controller`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Controller {
    /// The kubeconfig of the host cluster, or `in-cluster`.
    #[arg(long, env = "VCI_KUBECONFIG", value_name = "FILE", default_value = "in-cluster")]
    kubeconfig: Source,
    /// The kubeconfig of the server of management.loft.sh, where that is not an API of the host cluster.
    #[arg(long, env = "VCI_MANAGEMENT_KUBECONFIG", value_name = "FILE")]
    management_kubeconfig: Option<Source>,
    /// Where /healthz, /readyz and /metrics are answered, without TLS.
    #[arg(long, env = "VCI_PROBE_BIND_ADDRESS", value_name = "IP:PORT", default_value = "127.0.0.1:8081")]
    probe_bind_address: SocketAddr,
    /// The namespace of project P is this followed by P.
    #[arg(long, env = "VCI_PROJECT_NAMESPACE_PREFIX", value_name = "PREFIX", default_value = "loft-p-", value_parser = crate::cli::namespace_prefix)]
    project_namespace_prefix: String,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    log: LogFlags,
}

/// Works until SIGTERM.
pub(crate) fn run(args: &Controller) -> ExitCode {
    logging::init(args.log.format(), args.log.log_level, &["vci_"]);
    run_process(args.log.format(), work(args))
}

async fn work(args: &Controller) -> Result<Stopped, String> {
    let mut signals = Signals::of_process().map_err(|error| error.to_string())?;
    let host = Host::new(&args.kubeconfig, &args.flags, &args.project_namespace_prefix).await?;
    let client = host.cluster.client().clone();
    let management = match &args.management_kubeconfig {
        Some(source) => HostCluster::new(source).await.map_err(|error| error.to_string())?.client().clone(),
        None => client.clone(),
    };
    let stop = CancellationToken::new();
    let served = probes::serve(args.probe_bind_address, Arc::clone(&host.metrics), stop.clone()).await;
    served.map_err(|error| format!("{}: {error}", args.probe_bind_address))?;
    let working = controller(host, management, args.flags.leader_elect_namespace.as_deref(), stop.clone());
    tokio::pin!(working);
    tokio::select! {
        // Without its lease, and as soon as it can: another one leads.
        () = &mut working => return Err("the lease is lost".into()),
        () = signals.next() => {}
    }
    stop.cancel();
    tokio::select! {
        () = working => Ok(Stopped::Drained),
        () = signals.next() => Ok(Stopped::AtOnce),
    }
}

/// Works until `stop`, or until the lease is lost.
pub(super) async fn controller(host: Host, management: kube::Client, lease_namespace: Option<&str>, stop: CancellationToken) {
    let Some(namespace) = lease_namespace else {
        return vci_controller::run(host.parts(management), stop).await;
    };
    let metrics = Arc::clone(&host.metrics);
    metrics.leads(Leads::No);
    let parts = host.parts(management);
    let mut candidate = Candidate::new(parts.clients.host.clone(), namespace, parts.identity.clone());
    tokio::select! {
        () = candidate.lead() => {}
        () = stop.cancelled() => return,
    }
    tracing::info!(identity = parts.identity, "leads");
    metrics.leads(Leads::Yes);
    let done = CancellationToken::new();
    let held = candidate.hold(done.clone());
    tokio::pin!(held);
    // What works ends with the lease, at once, for another one may begin; and the lease is given up when nothing works any more.
    tokio::select! {
        () = &mut held => {}
        () = vci_controller::run(parts, stop) => {
            done.cancel();
            held.await;
        }
    }
    metrics.leads(Leads::No);
}
