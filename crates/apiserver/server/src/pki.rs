//! The server's own certificate authority and serving certificate, for those who bring none.
//!
//! Made at the first start and kept in the data directory, so that a kubeconfig stays good over restarts. The serving
//! certificate is made anew when it is about to expire or no longer has the right names.

use crate::{StartError, private_file};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

const DAY: i64 = 24 * 60 * 60;
const CA_DAYS: i64 = 3650;
const SERVING_DAYS: i64 = 365;
/// A certificate with less than this left is made anew.
const RENEW_DAYS: i64 = 30;

/// A serving certificate and who signed it, PEM.
#[derive(Clone, Debug)]
pub(crate) struct SelfMade {
    /// The certificate authority's certificate, which clients are to trust.
    pub(crate) ca_certificate: String,
    /// The serving certificate.
    pub(crate) certificate: String,
    /// Its private key.
    pub(crate) key: String,
}

/// The certificate in `dir` for these names, made or renewed where needed. `now` is Unix seconds.
///
/// # Errors
/// Files that cannot be read or written, or do not hold what they should.
pub(crate) fn self_made(dir: &Path, names: &BTreeSet<String>, now: i64) -> Result<SelfMade, StartError> {
    private_file::make_dir(dir)?;
    let ca = ca(dir, now)?;
    if let (Some(certificate), Some(key)) = (private_file::read(&dir.join("serving.crt"))?, private_file::read(&dir.join("serving.key"))?)
        && is_good(&certificate, &ca.certificate, names, now)
        && KeyPair::from_pem(&key).is_ok()
    {
        return Ok(SelfMade { ca_certificate: ca.certificate, certificate, key });
    }
    let path = dir.join("serving.crt");
    let (certificate, key) = issue(&ca, names, CertificateUsage::Serving, now).map_err(|error| unusable(&path, &error))?;
    private_file::write(&dir.join("serving.key"), key.as_bytes())?;
    private_file::write(&path, certificate.as_bytes())?;
    Ok(SelfMade { ca_certificate: ca.certificate, certificate, key })
}

/// The usage of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateUsage {
    /// To serve.
    Serving,
    /// To serve and to call: each of a group shows it to the others, as members of etcd do.
    Peers,
}

/// An authority and what it has signed, PEM. The authority's certificate is the first; certificates of former ones may follow.
#[derive(Clone)]
pub(crate) struct WithAuthority {
    pub(crate) ca_certificate: String,
    pub(crate) ca_key: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Renews a certificate and its authority, if they need it. A certificate is renewed that is about to expire or has other names. An
/// authority is renewed that expires before its next certificate would. Both authorities are then in the bundle.
///
/// # Errors
/// The existing files are not usable. They are not overwritten.
pub(crate) fn renewed(
    existing: Option<&WithAuthority>,
    names: &BTreeSet<String>,
    usage: CertificateUsage,
    now: i64,
) -> Result<Option<WithAuthority>, String> {
    let former = existing.map(|existing| read_ca(&existing.ca_certificate, &existing.ca_key)).transpose()?;
    let (ca, ca_certificate) = match former {
        Some(ca) if lasts(&ca.certificate, SERVING_DAYS, now) => {
            let good = |existing: &WithAuthority| {
                is_good(&existing.certificate, &ca.certificate, names, now) && KeyPair::from_pem(&existing.key).is_ok()
            };
            if existing.is_some_and(good) {
                return Ok(None);
            }
            let certificate = ca.certificate.clone();
            (ca, certificate)
        }
        former => {
            let ca = new_ca(now).map_err(|error| error.to_string())?;
            let both = ca.certificate.clone() + &former.map(|former| former.certificate).unwrap_or_default();
            (ca, both)
        }
    };
    let (certificate, key) = issue(&ca, names, usage, now).map_err(|error| error.to_string())?;
    Ok(Some(WithAuthority { ca_certificate, ca_key: ca.key.serialize_pem(), certificate, key }))
}

/// The names by which clients may reach a server that listens on this address.
pub(crate) fn serving_names(bind_address: IpAddr) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    if !bind_address.is_unspecified() {
        names.insert(bind_address.to_string());
    }
    names.extend(host_name());
    names
}

/// The host's name, where the system tells it and it is one that a certificate can carry.
fn host_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = text.ok().or_else(|| std::env::var("HOSTNAME").ok())?.trim().to_ascii_lowercase();
    let dns = !name.is_empty() && name.len() <= 253 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    dns.then_some(name)
}

struct Ca {
    certificate: String,
    key: KeyPair,
}

fn ca(dir: &Path, now: i64) -> Result<Ca, StartError> {
    let paths: [PathBuf; 2] = [dir.join("ca.crt"), dir.join("ca.key")];
    let [certificate, key] = [private_file::read(&paths[0])?, private_file::read(&paths[1])?];
    if let (Some(certificate), Some(key)) = (certificate, key) {
        let key = KeyPair::from_pem(&key).map_err(|error| unusable(&paths[1], &error))?;
        with_parsed(&certificate, |_| ()).ok_or_else(|| unusable(&paths[0], &"not a certificate"))?;
        return Ok(Ca { certificate, key });
    }
    let ca = new_ca(now).map_err(|error| unusable(&paths[0], &error))?;
    private_file::write(&paths[1], ca.key.serialize_pem().as_bytes())?;
    private_file::write(&paths[0], ca.certificate.as_bytes())?;
    Ok(ca)
}

fn new_ca(now: i64) -> Result<Ca, rcgen::Error> {
    let key = KeyPair::generate()?;
    Ok(Ca { certificate: ca_params(now).self_signed(&key)?.pem(), key })
}

fn read_ca(certificate: &str, key: &str) -> Result<Ca, String> {
    let key = KeyPair::from_pem(key).map_err(|error| format!("the authority's key: {error}"))?;
    with_parsed(certificate, |_| ()).ok_or("the authority's certificate is none")?;
    Ok(Ca { certificate: certificate.to_owned(), key })
}

fn ca_params(now: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "vci-apiserver-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    valid_for(&mut params, now, CA_DAYS);
    params
}

fn issue(ca: &Ca, names: &BTreeSet<String>, usage: CertificateUsage, now: i64) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, "vci-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match usage {
        CertificateUsage::Serving => vec![ExtendedKeyUsagePurpose::ServerAuth],
        CertificateUsage::Peers => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, now, SERVING_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &Issuer::new(ca_params(now), &ca.key))?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// From yesterday, because clocks differ.
fn valid_for(params: &mut CertificateParams, now: i64, days: i64) {
    let [from, to] = [now - DAY, now + days * DAY].map(|unix| {
        let date = jiff::Timestamp::from_second(unix).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC).date();
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    });
    params.not_before = from;
    params.not_after = to;
}

fn is_good(certificate: &str, ca: &str, names: &BTreeSet<String>, now: i64) -> bool {
    let signer = with_parsed(ca, |ca| key_identifiers(ca).0).flatten();
    let good = with_parsed(certificate, |certificate| {
        lasts_longer(certificate, 0, now) && key_identifiers(certificate).1 == signer && alternative_names(certificate) == *names
    });
    signer.is_some() && good == Some(true)
}

/// Whether it need not be made anew in that many days from now.
fn lasts(certificate: &str, days: i64, now: i64) -> bool {
    with_parsed(certificate, |certificate| lasts_longer(certificate, days, now)) == Some(true)
}

fn lasts_longer(certificate: &X509Certificate<'_>, days: i64, now: i64) -> bool {
    certificate.validity().not_after.timestamp() - now > (days + RENEW_DAYS) * DAY
}

/// The certificate's own key identifier and that of its signer.
fn key_identifiers(certificate: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let mut found = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => found.0 = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => found.1 = id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => {}
        }
    }
    found
}

fn alternative_names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    names.iter().filter_map(alternative_name).collect()
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

fn with_parsed<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    X509Certificate::from_der(&der).ok().map(|(_, certificate)| look(&certificate))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> StartError {
    StartError::Certificate { path: path.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn certificates_last_over_restarts_and_are_renewed_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("pki");
        let home = names(&["localhost", "127.0.0.1", "::1"]);
        let first = self_made(&dir, &home, NOW).unwrap();

        let again = self_made(&dir, &home, NOW + 100 * DAY).unwrap();
        assert_eq!((&again.certificate, &again.key), (&first.certificate, &first.key));

        let renewed = self_made(&dir, &home, NOW + (SERVING_DAYS - RENEW_DAYS + 1) * DAY).unwrap();
        assert_ne!(renewed.certificate, first.certificate, "near expiry");
        assert_eq!(renewed.ca_certificate, first.ca_certificate, "the authority stays");

        let moved = names(&["localhost", "127.0.0.1", "::1", "10.0.0.7"]);
        let other = self_made(&dir, &moved, NOW + 100 * DAY).unwrap();
        assert_ne!(other.certificate, renewed.certificate, "other names");
        assert_eq!(with_parsed(&other.certificate, alternative_names), Some(moved.clone()));

        for file in ["ca.crt", "ca.key"] {
            std::fs::remove_file(dir.join(file)).unwrap();
        }
        let anew = self_made(&dir, &moved, NOW).unwrap();
        assert_ne!(anew.certificate, other.certificate, "another authority signs another certificate");
    }

    #[test]
    fn what_is_kept_elsewhere_is_made_once_and_renewed_in_time() {
        let wanted = names(&["a.b.svc"]);
        let renewed = |existing: Option<&WithAuthority>, names: &BTreeSet<String>, now| {
            renewed(existing, names, CertificateUsage::Peers, now).unwrap()
        };
        let first = renewed(None, &wanted, NOW).unwrap();
        assert!(renewed(Some(&first), &wanted, NOW + 100 * DAY).is_none());
        let usages = with_parsed(&first.certificate, |leaf| {
            leaf.extended_key_usage().unwrap().map(|usage| (usage.value.server_auth, usage.value.client_auth))
        });
        assert_eq!(usages, Some(Some((true, true))));

        let second = renewed(Some(&first), &wanted, NOW + (SERVING_DAYS - RENEW_DAYS) * DAY).unwrap();
        assert_eq!((&second.ca_certificate, &second.ca_key), (&first.ca_certificate, &first.ca_key), "near expiry");
        assert_ne!(second.certificate, first.certificate);
        let moved = renewed(Some(&first), &names(&["c.d.svc"]), NOW).unwrap();
        assert_eq!((moved.ca_certificate == first.ca_certificate, moved.certificate == first.certificate), (true, false), "other names");

        let late = NOW + (CA_DAYS - SERVING_DAYS - RENEW_DAYS) * DAY;
        let third = renewed(Some(&first), &wanted, late).unwrap();
        assert!(third.ca_certificate.ends_with(&first.ca_certificate) && third.ca_certificate != first.ca_certificate, "both are trusted");
        assert!(renewed(Some(&third), &wanted, late).is_none());

        let damaged = WithAuthority { ca_key: "nonsense".into(), ..first };
        assert!(super::renewed(Some(&damaged), &wanted, CertificateUsage::Peers, NOW).is_err_and(|why| why.contains("key")));
    }

    #[test]
    fn a_damaged_authority_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        self_made(dir.path(), &names(&["localhost"]), NOW).unwrap();
        std::fs::write(dir.path().join("ca.key"), "nonsense").unwrap();
        let error = self_made(dir.path(), &names(&["localhost"]), NOW).unwrap_err().to_string();
        assert!(error.contains("ca.key"), "{error}");
        assert_eq!(std::fs::read_to_string(dir.path().join("ca.key")).unwrap(), "nonsense");
    }

    #[test]
    fn the_names_are_those_of_this_machine() {
        let any = serving_names(IpAddr::from([0, 0, 0, 0]));
        assert!(any.contains("localhost") && any.contains("127.0.0.1") && !any.contains("0.0.0.0"));
        assert!(serving_names(IpAddr::from([10, 0, 0, 7])).contains("10.0.0.7"));
    }
}
