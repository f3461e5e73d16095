//! Configuration of etcd, validated before anything is connected.

use http::Uri;
use std::path::PathBuf;
use std::time::Duration;

/// Where etcd is and how to reach it.
#[derive(Clone, Debug)]
pub struct EtcdConfig {
    /// URLs of the members, `http://HOST[:PORT]` or all `https://HOST[:PORT]`; the port defaults to 2379.
    pub endpoints: Vec<String>,
    /// The prefix of every key, such as `/registry/library.example.com`. Servers with the same prefix share their objects.
    pub prefix: String,
    /// The files for TLS; needed exactly when the endpoints are `https`.
    pub tls: Option<TlsFiles>,
    /// How long to wait for etcd.
    pub timeouts: Timeouts,
}

/// Files in PEM. They are read anew for every connection, so that renewed certificates are taken up.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The authorities that may have issued etcd's certificate.
    pub ca: PathBuf,
    /// The client certificate of this server, which etcd requires with `--client-cert-auth`.
    pub client: Option<ClientFiles>,
}

/// A client certificate.
#[derive(Clone, Debug)]
pub struct ClientFiles {
    /// The certificate with its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How long to wait for etcd.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the answer to one request, with all attempts.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), request: Duration::from_secs(10) }
    }
}

/// An error of connecting. Each text is one line.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration is wrong; trying again does not help.
    #[error("etcd: {0}")]
    Config(String),
    /// No member answers; it may be still to come, so the caller may try again.
    #[error("waiting for etcd at {endpoints}: {cause}")]
    Unreachable {
        /// The configured endpoints.
        endpoints: String,
        /// The failure of the last one.
        cause: String,
    },
}

/// One member's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl EtcdConfig {
    /// The endpoints, which fit each other and the TLS files.
    pub(crate) fn parse_endpoints(&self) -> Result<Vec<Endpoint>, ConnectError> {
        let endpoints = self.endpoints.iter().map(|text| parse_endpoint(text)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = endpoints.first() else { return Err(ConnectError::Config("no endpoints are given".into())) };
        if let Some(other) = endpoints.iter().position(|endpoint| endpoint.scheme != first.scheme) {
            let (one, other) = (&self.endpoints[0], &self.endpoints[other]);
            return Err(ConnectError::Config(format!("endpoints {one} and {other} mix http and https")));
        }
        match (first.scheme, &self.tls) {
            (Scheme::Https, None) => Err(ConnectError::Config("https endpoints need a CA file".into())),
            (Scheme::Http, Some(_)) => Err(ConnectError::Config("TLS files are given, but the endpoints are http".into())),
            (Scheme::Http, None) | (Scheme::Https, Some(_)) => Ok(endpoints),
        }
    }
}

fn parse_endpoint(text: &str) -> Result<Endpoint, ConnectError> {
    let wrong = |why: &str| ConnectError::Config(format!("endpoint {text:?} {why}"));
    let uri: Uri = text.parse().map_err(|error| wrong(&format!("is no URL: {error}")))?;
    let scheme = match uri.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        Some(_) | None => return Err(wrong("must begin with http:// or https://")),
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('@') {
        return Err(wrong("must be nothing but http(s)://HOST:PORT"));
    }
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Endpoint { scheme, host, port: uri.port_u16().unwrap_or(2379) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoints: &[&str], tls: Option<TlsFiles>) -> EtcdConfig {
        let endpoints = endpoints.iter().map(|text| (*text).to_owned()).collect();
        EtcdConfig { endpoints, prefix: "/r".into(), tls, timeouts: Timeouts::default() }
    }

    fn files() -> Option<TlsFiles> {
        Some(TlsFiles { ca: "ca.crt".into(), client: None })
    }

    #[test]
    fn endpoints() {
        let http = |host: &str, port| Endpoint { scheme: Scheme::Http, host: host.into(), port };
        for (text, want) in [
            ("http://127.0.0.1:2379", http("127.0.0.1", 2379)),
            ("http://etcd", http("etcd", 2379)),
            ("http://etcd:1/", http("etcd", 1)),
            ("http://[::1]:4001", http("::1", 4001)),
        ] {
            assert_eq!(config(&[text], None).parse_endpoints().unwrap_or_default(), [want], "{text}");
        }
    }

    #[test]
    fn wrong_endpoints_are_told_in_one_line() {
        for (endpoints, tls, want) in [
            (&[][..], None, "etcd: no endpoints are given"),
            (&["etcd:2379"], None, r#"etcd: endpoint "etcd:2379" must begin with http:// or https://"#),
            (&["unix:///run/etcd"], None, r#"etcd: endpoint "unix:///run/etcd" is no URL: invalid format"#),
            (&["http://etcd/v3"], None, r#"etcd: endpoint "http://etcd/v3" must be nothing but http(s)://HOST:PORT"#),
            (&["http://a:b@etcd"], None, r#"etcd: endpoint "http://a:b@etcd" must be nothing but http(s)://HOST:PORT"#),
            (&["https://etcd"], None, "etcd: https endpoints need a CA file"),
            (&["http://etcd"], files(), "etcd: TLS files are given, but the endpoints are http"),
            (&["https://a", "http://b"], files(), "etcd: endpoints https://a and http://b mix http and https"),
        ] {
            let error = config(endpoints, tls).parse_endpoints().err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(want));
        }
    }
}
