//! Which certificate is shown to a client: by the name that it asks for (RFC 6066, server name indication).

use super::Serving;
use crate::StartError;
use crate::config::SniCertificate;
use rustls::client::verify_server_name;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName;
use std::sync::Arc;

/// Certificates for names, beside the one for everybody else.
#[derive(Debug)]
pub(crate) struct ByName {
    pub(crate) others: Arc<Serving>,
    pub(crate) named: Vec<Named>,
}

/// A certificate for some names.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) serving: Arc<Serving>,
    /// In lower case; `*.` stands for one more label. None: the names that the certificate itself is for.
    pub(crate) patterns: Vec<String>,
}

impl Named {
    /// Reads the files.
    ///
    /// # Errors
    /// As [`Serving::from_files`].
    pub(crate) fn read(wish: &SniCertificate) -> Result<Self, StartError> {
        Ok(Self { serving: Serving::from_files(&wish.certificate, &wish.key)?, patterns: wish.patterns.clone() })
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(&name.to_ascii_lowercase()));
        Some(named.unwrap_or(&self.others).shown())
    }
}

impl ByName {
    /// As upstream: what an operator has written comes before what certificates say, a name before a pattern.
    fn find(&self, name: &str) -> Option<&Arc<Serving>> {
        let with = |fits: &dyn Fn(&Named) -> bool| self.named.iter().find(|named| fits(named)).map(|named| &named.serving);
        with(&|named| named.patterns.iter().any(|pattern| pattern == name))
            .or_else(|| with(&|named| named.patterns.iter().any(|pattern| covers(pattern, name))))
            .or_else(|| with(&|named| named.patterns.is_empty() && is_for(&named.serving.shown(), name)))
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    let parent = pattern.strip_prefix("*.");
    parent.is_some() && name.split_once('.').map(|(_, parent)| parent) == parent
}

fn is_for(key: &CertifiedKey, name: &str) -> bool {
    let (Some(leaf), Ok(name)) = (key.cert.first(), ServerName::try_from(name)) else { return false };
    ParsedCertificate::try_from(leaf).is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn serving(names: &[&str]) -> Arc<Serving> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        Serving::new(params.self_signed(&key).unwrap().pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn the_closest_certificate_is_shown() {
        let named = |names: &[&str], patterns: &[&str]| Named {
            serving: serving(names),
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        };
        let by_name = ByName {
            others: serving(&["localhost"]),
            named: vec![
                named(&["own.example", "*.own.example"], &[]),
                named(&["x"], &["*.wild.example", "exact.other.example"]),
                named(&["own.example"], &["exact.wild.example", "special.own.example"]),
            ],
        };
        for (name, want) in [
            ("own.example", Some(0)),
            ("a.own.example", Some(0)),
            ("special.own.example", Some(2)),
            ("a.wild.example", Some(1)),
            ("exact.wild.example", Some(2)),
            ("a.b.wild.example", None),
            ("wild.example", None),
            ("exact.other.example", Some(1)),
            ("x", None),
            ("elsewhere", None),
        ] {
            let found = by_name.find(name);
            let found = by_name.named.iter().position(|named| found.is_some_and(|found| Arc::ptr_eq(found, &named.serving)));
            assert_eq!(found, want, "{name}");
        }
    }
}
