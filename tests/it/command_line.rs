//! What an operator types, and what comes of it.

use crate::common::{BINARY, COLLECTION, instance, path};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use vci_testkit::client::Protocol;
use vci_testkit::server::{ServerOptions, TestServer, run};

#[test]
fn bad_configuration_ends_with_one_line_and_status_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "not a certificate").expect("written");
    let garbage = garbage.to_str().expect("UTF-8");
    let table: &[&[&str]] = &[
        &["--no-such-flag"],
        &["--secure-port", "many"],
        &["--bind-address", "nowhere at all"],
        &["--tls-cert-file", "/does/not/exist", "--tls-private-key-file", "/does/not/exist"],
        &["--tls-cert-file", garbage, "--tls-private-key-file", garbage],
        &["--tls-cert-file", garbage],
        &["--bootstrap", "/does/not/exist"],
        &["--bootstrap", garbage],
        &["--etcd-servers", "not a url"],
        &["--etcd-servers", "https://127.0.0.1:1", "--etcd-cafile", "/does/not/exist"],
    ];
    for flags in table {
        let arguments = [&["serve", "--data-dir", data, "--secure-port", "0"], *flags].concat();
        let (status, _, stderr) = run(Path::new(BINARY), &arguments);
        assert_eq!(status.code(), Some(2), "{flags:?}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{flags:?}: {stderr}");
        assert!(!Path::new(data).exists(), "{flags:?} touched the data folder");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reuses_everything() {
    let mut server = TestServer::start(ServerOptions::new(BINARY)).await;
    let (token, ca) = (server.admin_token(), server.ca_pem());
    let mode = std::fs::metadata(server.kubeconfig_path()).expect("a kubeconfig").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let created = server.admin(Protocol::Http1).post(COLLECTION, &instance("kept")).await.expect(201).json();
    assert!(server.stop().await.success(), "SIGTERM is an orderly end");
    server.restart().await;
    assert_eq!((server.admin_token(), server.ca_pem()), (token, ca));
    let kept = server.admin(Protocol::Http1).get(&path("kept")).await.expect(200).json();
    assert_eq!(kept, created);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_have_environment_variables() {
    let mut options = ServerOptions::new(BINARY);
    options.env = vec![("VCI_PROJECT_NAMESPACE_PREFIX".into(), "team-".into())];
    let server = TestServer::start(options).await;
    let admin = server.admin(Protocol::Http1);
    let collection = COLLECTION.replace("loft-p-", "team-");
    admin.post(&collection, &instance("a")).await.expect(201);
    admin.post(COLLECTION, &instance("a")).await.expect(404);
}
