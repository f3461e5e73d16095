#![allow(clippy::unwrap_used)]
use super::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::ResolvesClientCert;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, SupportedProtocolVersion};
use std::io::{Read as _, Write as _};

/// A certificate for `localhost` that nobody signed, and its key, PEM.
fn self_signed() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Shows the server whatever it is told to, fitting or not.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl Shows {
    fn certificate(leaf: CertificateDer<'static>, key: &str) -> Self {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let key = rustls::crypto::ring::default_provider().key_provider.load_private_key(key).unwrap();
        Self(Some(Arc::new(CertifiedKey::new(vec![leaf], key))))
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// A handshake in memory, and one byte of data after it: `Err` when either side refuses.
fn handshake(
    serving: &Arc<Serving>,
    root: &str,
    shows: Shows,
    version: &'static SupportedProtocolVersion,
) -> Result<ServerConnection, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(der(root)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_client_cert_resolver(Arc::new(shows));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(config_of(serving)).unwrap();
    client.writer().write_all(b"x").unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    let mut byte = [0; 1];
    server.reader().read_exact(&mut byte).unwrap();
    Ok(server)
}

#[test]
fn no_client_certificate_fails_a_handshake_and_only_proven_ones_are_passed_on() {
    let (certificate, key) = self_signed();
    let serving = Serving::new(certificate.as_bytes(), key.as_bytes()).unwrap();
    let (stranger, stranger_key) = self_signed();
    let (_, other_key) = self_signed();
    let garbage = || CertificateDer::from(b"\x30\x03garbage".to_vec());
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let none = handshake(&serving, &certificate, Shows(None), version).unwrap();
        assert_eq!(peer_certificates(&none).len(), 0);
        assert_eq!(none.alpn_protocol(), Some(b"h2".as_slice()));

        let untrusted = handshake(&serving, &certificate, Shows::certificate(der(&stranger), &stranger_key), version).unwrap();
        let chain = peer_certificates(&untrusted);
        assert_eq!(chain.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(), [der(&stranger).as_ref()]);

        let unreadable = handshake(&serving, &certificate, Shows::certificate(garbage(), &stranger_key), version).unwrap();
        assert_eq!(peer_certificates(&unreadable).len(), 0, "a certificate without a key proves nothing");

        let stolen = handshake(&serving, &certificate, Shows::certificate(der(&stranger), &other_key), version);
        assert!(stolen.is_err(), "whoever shows a certificate has to hold its key");
    }
}

#[test]
fn another_certificate_is_shown_once_it_is_replaced() {
    let ((first, first_key), (second, second_key)) = (self_signed(), self_signed());
    let serving = Serving::new(first.as_bytes(), first_key.as_bytes()).unwrap();
    let shown = |root: &str| handshake(&serving, root, Shows(None), &rustls::version::TLS13).is_ok();
    assert!(shown(&first) && !shown(&second));
    assert!(serving.replace(second.as_bytes(), first_key.as_bytes()).is_err(), "a key that does not fit");
    assert!(shown(&first), "the old one stays");
    serving.replace(second.as_bytes(), second_key.as_bytes()).unwrap();
    assert!(!shown(&first) && shown(&second));
}

/// As the kubelet does with a mounted Secret: files are links into a folder that is a link, which is exchanged.
fn exchange(dir: &Path, version: &str, certificate: &str, key: &str) {
    std::fs::create_dir(dir.join(version)).unwrap();
    std::fs::write(dir.join(version).join("tls.crt"), certificate).unwrap();
    std::fs::write(dir.join(version).join("tls.key"), key).unwrap();
    std::os::unix::fs::symlink(version, dir.join("..data_tmp")).unwrap();
    std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
}

#[tokio::test(start_paused = true)]
async fn files_are_read_again_both_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| dir.path().join(name));
    let pairs = [self_signed(), self_signed(), self_signed()];
    exchange(dir.path(), "one", &pairs[0].0, &pairs[0].1);
    for file in [&certificate, &key] {
        std::os::unix::fs::symlink(Path::new("..data").join(file.file_name().unwrap()), file).unwrap();
    }
    let serving = Serving::from_files(&certificate, &key).unwrap();
    let stop = CancellationToken::new();
    let following = tokio::spawn(follow_files(Arc::clone(&serving), certificate.clone(), key.clone(), stop.clone()));
    let shown = || pairs.iter().position(|(root, _)| handshake(&serving, root, Shows(None), &rustls::version::TLS13).is_ok());
    let look = async || tokio::time::sleep(RELOAD_PERIOD * 2).await;
    look().await;
    assert_eq!(shown(), Some(0));
    exchange(dir.path(), "two", &pairs[1].0, &pairs[1].1);
    look().await;
    assert_eq!(shown(), Some(1));
    // One file after the other, with as much time between them as it may be.
    std::fs::remove_file(&certificate).unwrap();
    look().await;
    std::fs::write(&certificate, &pairs[2].0).unwrap();
    look().await;
    assert_eq!(shown(), Some(1), "the key is still to come");
    std::fs::remove_file(&key).unwrap();
    std::fs::write(&key, &pairs[2].1).unwrap();
    look().await;
    assert_eq!(shown(), Some(2));
    stop.cancel();
    following.await.unwrap();
}

#[test]
fn files_of_no_use_are_named_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let [certificate, key, missing] = ["tls.crt", "tls.key", "none"].map(|name| dir.path().join(name));
    let (chain, secret) = self_signed();
    for (content, secret_content, file) in [("", secret.as_str(), "tls.crt"), (chain.as_str(), "", "tls.crt"), ("junk", "junk", "tls.crt")]
    {
        std::fs::write(&certificate, content).unwrap();
        std::fs::write(&key, secret_content).unwrap();
        let error = Serving::from_files(&certificate, &key).unwrap_err().to_string();
        assert!(error.contains(file) && !error.contains('\n'), "{error}");
    }
    let error = Serving::from_files(&missing, &key).unwrap_err().to_string();
    assert!(error.contains("none") && !error.contains('\n'), "{error}");
}
