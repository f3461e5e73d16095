//! Serves `example.com/v1`: by itself, or as a part of the cluster that `--kubeconfig` names.

use apiserver::server::{ApiServer, AuditConfig, Config, LocalAdministrator, Signals, Source, StartError, Stopped};
use apiserver::server::{ServingCertificate, embedded_store, logging, run_process};
use clap::Parser;
use std::{net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc};

/// An API server for widgets and factories.
#[derive(Parser)]
struct Flags {
    /// The folder of the store, and of certificates that the server makes.
    #[arg(long, default_value = "./widget-data")]
    data_dir: PathBuf,
    #[arg(long, default_value = "127.0.0.1")]
    bind_address: IpAddr,
    #[arg(long, default_value_t = 8443)]
    secure_port: u16,
    /// The cluster to join: a kubeconfig, or `in-cluster`. It says who callers are and what they may do.
    #[arg(long)]
    kubeconfig: Option<Source>,
    #[arg(long, requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    #[arg(long, requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    #[arg(long, requires = "audit_log_path")]
    audit_policy_file: Option<PathBuf>,
    #[arg(long, requires = "audit_policy_file")]
    audit_log_path: Option<PathBuf>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    logging::init(logging::Format::Text, logging::LevelFilter::INFO, &["widget"]);
    run_process(logging::Format::Text, serve(flags))
}

async fn serve(flags: Flags) -> Result<Stopped, StartError> {
    let signals = Signals::of_process()?;
    let stands_alone = flags.kubeconfig.is_none();
    let mut config = Config::standard(&flags.data_dir, env!("CARGO_PKG_VERSION"));
    (config.bind_address, config.secure_port, config.host_cluster) = (flags.bind_address, flags.secure_port, flags.kubeconfig);
    config.audit = flags.audit_policy_file.zip(flags.audit_log_path).map(|(policy, path)| AuditConfig::standard(policy, path));
    if let Some((certificate, key)) = flags.tls_cert_file.zip(flags.tls_private_key_file) {
        config.serving_certificate = ServingCertificate::Files { certificate, key };
    }
    let mut server = ApiServer::builder(config).resources(widget::resources());
    if stands_alone {
        server = server.extension(Arc::new(LocalAdministrator::new()?));
    }
    let prepared = server.prepare().await?;
    prepared.run(embedded_store(flags.data_dir), signals, |ready| println!("serving on {}", ready.url)).await
}
