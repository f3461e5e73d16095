//! TLS versions and cipher suites, by upstream's names.

use rustls::crypto::CryptoProvider;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use std::fmt;
use std::str::FromStr;

/// Versions and cipher suites that are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The oldest accepted version.
    pub min_version: TlsVersion,
    /// Accepted cipher suites of TLS 1.2; empty: all. As in Go, those of TLS 1.3 cannot be chosen.
    pub cipher_suites: Vec<CipherSuite>,
}

/// A version of TLS. Older ones are not supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A supported cipher suite.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CipherSuite(rustls::CipherSuite);

impl FromStr for TlsVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "VersionTLS12" => Ok(Self::Tls12),
            "VersionTLS13" => Ok(Self::Tls13),
            _ => Err("must be VersionTLS12 or VersionTLS13"),
        }
    }
}

impl FromStr for CipherSuite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = rustls::crypto::ring::ALL_CIPHER_SUITES;
        let found = all.iter().map(|suite| Self(suite.suite())).find(|suite| suite.to_string() == text);
        found.ok_or_else(|| {
            let names: Vec<String> = all.iter().map(|suite| Self(suite.suite()).to_string()).collect();
            format!("must be one of {}", names.join(", "))
        })
    }
}

/// Writes the name of IANA's registry, as Go does.
impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.as_str().unwrap_or_default().replacen("TLS13_", "TLS_", 1))
    }
}

impl fmt::Debug for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TlsOptions {
    /// Returns the provider with the accepted cipher suites.
    pub(super) fn provider(&self) -> CryptoProvider {
        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites.retain(|suite| self.allow(suite));
        provider
    }

    /// Returns the accepted versions, the newest first.
    pub(super) fn versions(&self, provider: &CryptoProvider) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions = vec![&rustls::version::TLS13];
        // A version that has no cipher suites left is none.
        if self.min_version == TlsVersion::Tls12 && provider.cipher_suites.iter().any(|suite| suite.tls13().is_none()) {
            versions.push(&rustls::version::TLS12);
        }
        versions
    }

    fn allow(&self, suite: &SupportedCipherSuite) -> bool {
        self.cipher_suites.is_empty() || suite.tls13().is_some() || self.cipher_suites.contains(&CipherSuite(suite.suite()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_spoken() {
        let one = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
        // oldest version, cipher suites; versions, and how many suites of TLS 1.2
        for (oldest, suites, versions, count) in [
            ("VersionTLS12", &[][..], 2, 6),
            ("VersionTLS13", &[], 1, 6),
            ("VersionTLS12", &[one], 2, 1),
            ("VersionTLS12", &["TLS_AES_128_GCM_SHA256"], 1, 0),
            ("VersionTLS12", &[one, "TLS_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"], 2, 2),
        ] {
            let options = TlsOptions {
                min_version: oldest.parse().unwrap(),
                cipher_suites: suites.iter().map(|name| name.parse().unwrap()).collect(),
            };
            let provider = options.provider();
            let of_tls12 = provider.cipher_suites.iter().filter(|suite| suite.tls13().is_none()).count();
            assert_eq!((options.versions(&provider).len(), of_tls12), (versions, count), "{options:?}");
            assert_eq!(provider.cipher_suites.len() - of_tls12, 3, "{options:?}");
        }
        assert!("VersionTLS11".parse::<TlsVersion>().is_err());
        assert!("TLS_RSA_WITH_AES_128_CBC_SHA".parse::<CipherSuite>().unwrap_err().contains(one));
    }
}
