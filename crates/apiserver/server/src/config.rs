//! What an operator decides. Plain data; reading flags is the binary's business.

use crate::audit::AuditConfig;
use crate::tls::TlsOptions;
use apiserver_auth::RequestHeaderConfig;
use apiserver_endpoints::Limits;
use apiserver_host::Source;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How a server is to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the server keeps what is its own: certificates, the administrator's kubeconfig.
    pub data_dir: PathBuf,
    /// The address to listen on.
    pub bind_address: IpAddr,
    /// The port to listen on; 0: any free one.
    pub secure_port: u16,
    /// What the server shows to prove who it is.
    pub serving_certificate: ServingCertificate,
    /// What is shown instead to clients that ask for certain names.
    pub sni_certificates: Vec<SniCertificate>,
    /// What connections have to come up to.
    pub tls: TlsOptions,
    /// Whose word about clients counts, beside that of access keys.
    pub trust: Trust,
    /// The cluster whose API this one joins; `None`: the server stands alone.
    pub host_cluster: Option<Source>,
    /// What is logged of requests, and where; `None`: nothing.
    pub audit: Option<AuditConfig>,
    /// A file that says where traces go: a `TracingConfiguration` of `apiserver.config.k8s.io/v1`; `None`: nowhere.
    pub tracing: Option<PathBuf>,
    /// Whose the store is.
    pub store_use: StoreUse,
    /// A path under which everything is served as well; empty: none.
    pub path_prefix: String,
    /// `major.minor.patch` of the program.
    pub version: String,
    /// The release of the product whose API is served, for `version` in `/version`: its clients compare it with their own.
    pub product_version: Option<&'static str>,
    /// Bounds on requests.
    pub limits: Limits,
    /// Bounds on connections.
    pub connections: Connections,
    /// How to stop.
    pub shutdown: Shutdown,
}

/// How to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long everything is still answered after readiness has been taken back, so that balancers can take note: longer than
    /// they need for it.
    pub delay: Duration,
    /// What becomes of those who come after that.
    pub arrivals: DrainMode,
}

/// What becomes of those who come to a server that waits for its last requests to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainMode {
    /// Nobody listens any more.
    Unheard,
    /// They are told to try again, and to connect anew for it.
    ToldToRetry,
}

/// Where the serving certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServingCertificate {
    /// Made and signed by the server itself, with a certificate authority of its own in the data directory.
    SelfMade,
    /// PEM files, read again when they change.
    Files {
        /// The chain, leaf first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// A certificate for some names, in PEM files that are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SniCertificate {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The names, in lower case; `*.` stands for one label in front. None: those that are in the certificate.
    pub patterns: Vec<String>,
}

/// Whose word about clients counts. Nobody's, unless files say so. They are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Authorities that sign the certificates of clients, PEM.
    pub clients: Option<PathBuf>,
    /// A front proxy that says who is calling.
    pub front_proxy: Option<FrontProxyTrust>,
}

/// How to tell a front proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontProxyTrust {
    /// Authorities that sign its certificate, PEM.
    pub authorities: PathBuf,
    /// Its names and headers.
    pub terms: RequestHeaderConfig,
}

/// Whose the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreUse {
    /// This server's alone. Whoever can read the data directory is the administrator: a kubeconfig that is missing, or
    /// whose key is no longer good, gets another key. The store forgets old history by itself.
    Alone,
    /// That of several servers. The one that made the administrator has the key, and the servers see to it that old
    /// history is forgotten.
    Shared,
}

/// Bounds on connections.
#[derive(Clone, Debug)]
pub struct Connections {
    /// How many may be open, half of them from one address; more take the place of idle ones, or wait.
    pub max: usize,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Time for the head of a request. With HTTP/1 also how long a connection may lie idle, for that timer of hyper
    /// runs from the end of the request before.
    pub header_timeout: Duration,
    /// How long a connection may lie idle.
    pub idle_timeout: Duration,
    /// Requests at a time on one HTTP/2 connection. kube-apiserver sends those of all its users over one.
    pub max_streams: u32,
    /// After this silence an HTTP/2 client is asked whether it is still there.
    pub ping_interval: Duration,
    /// Time for the answer to that.
    pub ping_timeout: Duration,
    /// Bytes of a request's head.
    pub max_header_bytes: u32,
    /// Time for a request and its response, read to the end; and how long a frame of a watch may wait for its client.
    pub request_timeout: Duration,
    /// Time for requests to end once the server is to stop.
    pub drain_timeout: Duration,
    /// Over this time watches are told to end once the server is to stop, at an even rate; zero: all at once.
    pub watch_grace: Duration,
}

impl Connections {
    /// What a server uses; where kube-apiserver has a figure, that one.
    pub fn standard() -> Self {
        Self {
            max: 16_384,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(32),
            idle_timeout: Duration::from_secs(90),
            max_streams: 1000,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
            max_header_bytes: 1024 * 1024,
            request_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(60),
            watch_grace: Duration::ZERO,
        }
    }
}

impl Config {
    /// What a server without any flags uses.
    pub fn standard(data_dir: impl Into<PathBuf>, version: impl Into<String>) -> Self {
        Self {
            data_dir: data_dir.into(),
            bind_address: Ipv4Addr::LOCALHOST.into(),
            secure_port: 8443,
            serving_certificate: ServingCertificate::SelfMade,
            sni_certificates: Vec::new(),
            tls: TlsOptions::default(),
            trust: Trust::default(),
            host_cluster: None,
            audit: None,
            tracing: None,
            store_use: StoreUse::Alone,
            path_prefix: String::new(),
            version: version.into(),
            product_version: None,
            limits: Limits::standard(),
            connections: Connections::standard(),
            shutdown: Shutdown { delay: Duration::ZERO, arrivals: DrainMode::Unheard },
        }
    }

    /// The URL by which clients on this machine reach a server that listens on `address`.
    pub fn local_url(address: SocketAddr) -> String {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("https://{}", SocketAddr::new(ip, address.port()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_url_is_one_that_a_client_here_can_use() {
        for (address, want) in [
            ("127.0.0.1:8443", "https://127.0.0.1:8443"),
            ("0.0.0.0:8443", "https://127.0.0.1:8443"),
            ("10.1.2.3:443", "https://10.1.2.3:443"),
            ("[::]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(Config::local_url(address.parse().unwrap()), want);
        }
    }
}
