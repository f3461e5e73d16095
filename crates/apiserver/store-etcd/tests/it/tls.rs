//! TLS with client certificates.

use apiserver_store::{Expect, Key, Store};
use apiserver_store_etcd::{ClientFiles, ConnectError, EtcdConfig, EtcdStore, TlsFiles};
use std::time::Duration;
use vci_testkit::certs::{Authority, Issued};
use vci_testkit::etcd::{Etcd, EtcdOptions, EtcdTls, available};

fn config(etcd: &Etcd, ca: &Authority, client: Option<&Issued>) -> EtcdConfig {
    let client = client.map(|issued| ClientFiles { cert: issued.cert_file.clone(), key: issued.key_file.clone() });
    EtcdConfig { tls: Some(TlsFiles { ca: ca.file(), client }), ..crate::config(&[etcd.endpoint()]) }
}

async fn failure(config: &EtcdConfig) -> String {
    match EtcdStore::connect(config).await.unwrap_err() {
        ConnectError::Unreachable { cause, .. } => cause,
        error @ ConnectError::Config(_) => panic!("{error}"),
    }
}

#[tokio::test]
async fn client_certificates() {
    let ca = Authority::new("etcd-ca");
    let stranger = Authority::new("stranger");
    let client = ca.client("vci-apiserver", &[]);
    for (version, binary) in available() {
        let etcd = Etcd::spawn_with(&binary, &EtcdOptions { tls: Some(EtcdTls::new(&ca)), ..EtcdOptions::default() }).await;
        let store = EtcdStore::connect(&config(&etcd, &ca, Some(&client))).await.unwrap();
        let key = Key::new("pods/a");
        let revision = store.put(&key, "x".into(), Expect::Absent).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().unwrap().revision, revision, "{version}");

        let untrusted = failure(&config(&etcd, &stranger, Some(&client))).await;
        assert!(untrusted.contains("UnknownIssuer"), "{version}: {untrusted}");
        for refused in [None, Some(&stranger.client("vci-apiserver", &[]))] {
            // With TLS 1.3 a refused client learns it only from its first request.
            failure(&config(&etcd, &ca, refused)).await;
        }
    }
}

#[tokio::test]
async fn renewed_certificates_are_read_again() {
    let ca = Authority::new("etcd-ca");
    let client = ca.client("vci-apiserver", &[]);
    for (version, binary) in available() {
        let mut etcd = Etcd::spawn_with(&binary, &EtcdOptions { tls: Some(EtcdTls::new(&ca)), ..EtcdOptions::default() }).await;
        let store = EtcdStore::connect(&config(&etcd, &ca, Some(&client))).await.unwrap();
        let renewed = ca.client("vci-apiserver-2", &[]);
        std::fs::write(&client.cert_file, "being renewed").unwrap();
        etcd.stop().await;
        etcd.start().await;
        let error = store.revision().await.unwrap_err().to_string();
        assert!(error.contains("holds no certificate"), "{version}: {error}");
        std::fs::copy(&renewed.cert_file, &client.cert_file).unwrap();
        std::fs::copy(&renewed.key_file, &client.key_file).unwrap();
        tokio::time::timeout(Duration::from_secs(10), store.revision()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn wrong_files_are_told_before_anything_is_touched() {
    let ca = Authority::new("etcd-ca");
    let empty = ca.folder().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (file, want) in [(empty, "holds no certificate"), (ca.folder().join("missing.pem"), "No such file")] {
        let tls = Some(TlsFiles { ca: file.clone(), client: None });
        let error = EtcdStore::connect(&EtcdConfig { tls, ..crate::config(&["https://127.0.0.1:1"]) }).await.unwrap_err();
        assert!(matches!(error, ConnectError::Config(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(&file.display().to_string()) && text.contains(want), "{text}");
    }
}
