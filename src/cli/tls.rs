//! The flags of TLS. They are upstream's.

use apiserver_server::{CipherSuite, Config, ServingCertificate, SniCertificate, TlsOptions, TlsVersion};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub(super) struct Tls {
    /// The serving certificate with its chain, PEM; without it the server makes its own.
    #[arg(long, env = "VCI_TLS_CERT_FILE", value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "VCI_TLS_PRIVATE_KEY_FILE", value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// A certificate for clients that ask for certain names: CERT,KEY or CERT,KEY:NAME,*.NAME; may be repeated. In the environment
    /// variable they are separated by semicolons.
    #[arg(long, env = "VCI_TLS_SNI_CERT_KEY", value_name = "CERT,KEY[:NAMES]", value_delimiter = ';', value_parser = sni_certificate)]
    tls_sni_cert_key: Vec<SniCertificate>,
    /// The oldest version of TLS: VersionTLS12 or VersionTLS13.
    #[arg(long, env = "VCI_TLS_MIN_VERSION", value_name = "VERSION", default_value = "VersionTLS12")]
    tls_min_version: TlsVersion,
    /// Of the cipher suites of TLS 1.2 only these; those of TLS 1.3 are not to choose.
    #[arg(long, env = "VCI_TLS_CIPHER_SUITES", value_name = "NAME", value_delimiter = ',')]
    tls_cipher_suites: Vec<CipherSuite>,
}

impl Tls {
    /// The same configuration with what the flags say.
    pub(super) fn apply(&self, mut config: Config) -> Config {
        if let (Some(certificate), Some(key)) = (self.tls_cert_file.clone(), self.tls_private_key_file.clone()) {
            config.serving_certificate = ServingCertificate::Files { certificate, key };
        }
        config.sni_certificates = self.tls_sni_cert_key.clone();
        config.tls = TlsOptions { min_version: self.tls_min_version, cipher_suites: self.tls_cipher_suites.clone() };
        config
    }
}

fn sni_certificate(text: &str) -> Result<SniCertificate, &'static str> {
    const FORM: &str = "must be CERT,KEY or CERT,KEY:NAME,*.NAME";
    let (files, names) = text.split_once(':').map_or((text, None), |(files, names)| (files, Some(names)));
    let (certificate, key) = files.split_once(',').filter(|(certificate, key)| !certificate.is_empty() && !key.is_empty()).ok_or(FORM)?;
    let patterns: Vec<String> = names.into_iter().flat_map(|names| names.split(',')).map(str::to_ascii_lowercase).collect();
    let is_sane = |pattern: &String| {
        let name = pattern.strip_prefix("*.").unwrap_or(pattern);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    };
    if key.contains(',') || !patterns.iter().all(is_sane) {
        return Err(FORM);
    }
    Ok(SniCertificate { certificate: certificate.into(), key: key.into(), patterns })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::tests::parse_serve;

    #[test]
    fn flags_reach_the_configuration() {
        let args = "--tls-sni-cert-key a.crt,a.key --tls-sni-cert-key b.crt,b.key:B.example,*.b.example \
            --tls-min-version VersionTLS13 --tls-cipher-suites TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256";
        let config = parse_serve(&args.split_whitespace().collect::<Vec<_>>()).unwrap().config();
        let certificate = |name: &str, patterns: &[&str]| SniCertificate {
            certificate: format!("{name}.crt").into(),
            key: format!("{name}.key").into(),
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        };
        assert_eq!(config.sni_certificates, [certificate("a", &[]), certificate("b", &["b.example", "*.b.example"])]);
        assert_eq!((config.tls.min_version, config.tls.cipher_suites.len()), (TlsVersion::Tls13, 2));
    }

    #[test]
    fn what_names_no_certificate_is_refused() {
        for text in ["", "a", "a,", ",b", "a,b,c", "a,b:", "a,b:*", "a,b:x,,y", "a,b:*.*.x"] {
            assert!(sni_certificate(text).is_err(), "{text}");
        }
    }
}
