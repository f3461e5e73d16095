//! `vci-apiserver certificate`: one look after a certificate in a Secret, for a Job.

use apiserver_host::{HostCluster, Source};
use apiserver_server::CertificateUsage;
use apiserver_server::certificate_secret::{CertificateOutcome, CertificateWish, keep};
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// The flags of `certificate`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Certificate {
    /// The kubeconfig of the cluster that has the Secret, or `in-cluster`.
    #[arg(long, env = "VCI_KUBECONFIG", value_name = "FILE", default_value = "in-cluster")]
    kubeconfig: Source,
    /// The Secret's namespace.
    #[arg(long, env = "VCI_NAMESPACE", value_name = "NAME")]
    namespace: String,
    /// The Secret, of type kubernetes.io/tls, with the authority's certificate and key in ca.crt and ca.key.
    #[arg(long, env = "VCI_SECRET", value_name = "NAME")]
    secret: String,
    /// DNS names and addresses of the certificate.
    #[arg(long, env = "VCI_NAMES", value_name = "NAME", value_delimiter = ',', required = true)]
    names: Vec<String>,
    /// What the certificate is for.
    #[arg(long, env = "VCI_USAGE", value_enum, value_name = "USAGE", default_value_t = Usage::Serving)]
    usage: Usage,
    /// The APIService that is to trust the certificate's authority.
    #[arg(long, env = "VCI_API_SERVICE", value_name = "NAME")]
    api_service: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Usage {
    /// To serve.
    Serving,
    /// To serve and to call, for members of etcd and those who call them.
    Peers,
}

impl Certificate {
    fn wish(&self) -> CertificateWish {
        let usage = match self.usage {
            Usage::Serving => CertificateUsage::Serving,
            Usage::Peers => CertificateUsage::Peers,
        };
        CertificateWish {
            namespace: self.namespace.clone(),
            secret: self.secret.clone(),
            names: self.names.iter().cloned().collect::<BTreeSet<_>>(),
            usage,
            api_service: self.api_service.clone(),
        }
    }
}

/// Makes the Secret hold a good certificate, and says what was done.
pub(crate) fn run(args: &Certificate) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return crate::refuse(&error.to_string()),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    let kept = runtime.block_on(async {
        let cluster = HostCluster::new(&args.kubeconfig).await.map_err(|error| error.to_string())?;
        keep(&cluster, &args.wish(), now).await.map_err(|error| error.to_string())
    });
    let done = match kept {
        Ok(CertificateOutcome::Made) => "made",
        Ok(CertificateOutcome::Renewed) => "renewed",
        Ok(CertificateOutcome::Kept) => "still good",
        Err(line) => return crate::refuse(&line),
    };
    crate::say(&format!("certificate in secret {}/{}: {done}\n", args.namespace, args.secret))
}
