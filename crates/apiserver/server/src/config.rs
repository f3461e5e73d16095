//! Configuration of a server: plain data. Refused: flags, which belong to the binary.

use crate::audit::AuditConfig;
use crate::tls::TlsOptions;
use apiserver_auth::RequestHeaderConfig;
use apiserver_endpoints::Limits;
use apiserver_host::Source;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the server's own files: certificates, the administrator's kubeconfig.
    pub data_dir: PathBuf,
    /// The address to listen on.
    pub bind_address: IpAddr,
    /// The port to listen on; 0: any free one.
    pub secure_port: u16,
    /// The server's certificate.
    pub serving_certificate: ServingCertificate,
    /// Certificates for clients that ask for certain server names (SNI).
    pub sni_certificates: Vec<SniCertificate>,
    /// Versions and cipher suites of TLS.
    pub tls: TlsOptions,
    /// Authorities of client certificates, and trusted front proxies.
    pub trust: Trust,
    /// The cluster whose API this server joins; `None`: the server stands alone.
    pub host_cluster: Option<Source>,
    /// The audit log; `None`: no audit.
    pub audit: Option<AuditConfig>,
    /// A file with a `TracingConfiguration` of `apiserver.config.k8s.io/v1`; `None`: no traces.
    pub tracing: Option<PathBuf>,
    /// Whether other servers use the store.
    pub store_use: StoreUse,
    /// A path prefix under which everything is served as well; empty: none.
    pub path_prefix: String,
    /// `major.minor.patch` of the program.
    pub version: String,
    /// The release of the product whose API is served, for `version` in `/version`: its clients compare it with their own.
    pub product_version: Option<&'static str>,
    /// Limits on requests.
    pub limits: Limits,
    /// Limits on connections.
    pub connections: Connections,
    /// Graceful shutdown.
    pub shutdown: Shutdown,
}

/// Graceful shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long requests are still served after `/readyz` fails (`--shutdown-delay-duration`). Longer than load balancers need to
    /// notice.
    pub delay: Duration,
    /// Treatment of new requests after the delay.
    pub drain_mode: DrainMode,
}

/// Treatment of new requests while the last ones are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainMode {
    /// The listener is closed: new connections are refused by the system.
    CloseListener,
    /// New requests get 429 with `Retry-After`, and their connections are closed (`--shutdown-send-retry-after`).
    SendRetryAfter,
}

/// The source of the serving certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServingCertificate {
    /// The server signs its certificate, with a certificate authority of its own in the data directory.
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

/// Trust in certificates of clients and front proxies. By default none is trusted. Files are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Authorities that sign the certificates of clients, PEM.
    pub clients: Option<PathBuf>,
    /// Front proxies that name the user in headers.
    pub front_proxy: Option<FrontProxyTrust>,
}

/// Trust in front proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontProxyTrust {
    /// Authorities that sign their certificates, PEM.
    pub authorities: PathBuf,
    /// Allowed names and headers.
    pub config: RequestHeaderConfig,
}

/// Whether other servers use the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreUse {
    /// Only this server uses the store, which compacts itself. The administrator's kubeconfig is kept valid: when it is missing, or its
    /// key is not, a new key is created. So read access to the data directory is administrator access.
    Alone,
    /// Several servers use the store, and compact it. Only the server that created the administrator has the administrator's key.
    Shared,
}

/// Limits on connections.
#[derive(Clone, Debug)]
pub struct Connections {
    /// Maximum number of open connections, half of them from one address. Beyond it a new connection replaces an idle one, or
    /// waits.
    pub max: usize,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Time for the head of a request. With HTTP/1 also how long a connection may be idle: hyper's timer runs from the end of the
    /// last request.
    pub header_timeout: Duration,
    /// How long a connection may be idle.
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
    /// Time for requests to end during shutdown.
    pub drain_timeout: Duration,
    /// Time over which watches are ended during shutdown, at an even rate; zero: all at once.
    pub watch_grace: Duration,
}

impl Connections {
    /// The default limits: those of kube-apiserver where it has some.
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
    /// The configuration of a server without any flags.
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
            shutdown: Shutdown { delay: Duration::ZERO, drain_mode: DrainMode::CloseListener },
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
