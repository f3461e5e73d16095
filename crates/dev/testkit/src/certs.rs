//! Certificates for tests: one authority and what it issues.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A certificate authority with a folder of its own; the folder goes when it is dropped.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its private key, as PEM and as files in the authority's folder.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate in PEM.
    pub cert_pem: String,
    /// Its private key in PEM.
    pub key_pem: String,
    /// The file with the certificate.
    pub cert_file: PathBuf,
    /// The file with the private key.
    pub key_file: PathBuf,
}

impl Authority {
    /// A fresh authority whose subject is `CN=name`.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a self-signed authority");
        let folder = TempDir::with_prefix("vci-certs-").expect("a temporary folder");
        std::fs::write(folder.path().join("ca.crt"), issuer.pem()).expect("ca.crt");
        Self { issuer, folder }
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate for a server at these names and addresses. It is good for a client too, as etcd wants it of its members.
    pub fn server(&self, names: &[&str]) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let common_name = names.first().expect("a server has a name").clone();
        let mut params = CertificateParams::new(names).expect("names for a certificate");
        params.distinguished_name = subject(&common_name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&format!("server-{common_name}"), params)
    }

    /// A certificate for a client: `name` becomes the common name (a user's name), `groups` the organizations.
    pub fn client(&self, name: &str, groups: &[&str]) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name, groups);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&format!("client-{}", name.replace([':', '/'], "_")), params)
    }

    /// A certificate with parameters of the caller's choice (expired, without usages and the like).
    pub fn issue(&self, file: &str, mut params: CertificateParams) -> Issued {
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let cert_pem = params.signed_by(&key, &self.issuer).expect("a signed certificate").pem();
        let issued = Issued {
            cert_pem,
            key_pem: key.serialize_pem(),
            cert_file: self.folder.path().join(format!("{file}.crt")),
            key_file: self.folder.path().join(format!("{file}.key")),
        };
        std::fs::write(&issued.cert_file, &issued.cert_pem).expect("a certificate file");
        std::fs::write(&issued.key_file, &issued.key_pem).expect("a key file");
        issued
    }
}

fn subject(name: &str, groups: &[&str]) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    for group in groups {
        subject.push(DnType::OrganizationName, *group);
    }
    subject.push(DnType::CommonName, name);
    subject
}
