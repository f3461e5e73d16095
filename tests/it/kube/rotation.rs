//! Certificates and authorities change under load, and nobody notices.

use super::stand::{self, Place, Stand};
use crate::common::{MERGE, instance};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use vci_testkit::client::{Client, Protocol};
use vci_testkit::wait_for;

const WORKERS: usize = 4;

/// Requests through kube-apiserver without a pause, and what became of them.
struct Load {
    stop: Arc<AtomicBool>,
    workers: JoinSet<(usize, Vec<String>)>,
}

impl Load {
    async fn start(stand: &Stand, place: &Place) -> Self {
        let (stop, mut workers) = (Arc::<AtomicBool>::default(), JoinSet::new());
        for worker in 0..WORKERS {
            let (client, name, stop) = (stand.admin(), format!("load-{worker}"), Arc::clone(&stop));
            client.post(&place.path(""), &instance(&name)).await.expect(201);
            let path = place.path(&name);
            workers.spawn(async move {
                let (mut done, mut lost) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    lost.extend(one(&client, &path, done).await.err());
                    done += 1;
                }
                (done, lost)
            });
        }
        Self { stop, workers }
    }

    /// Stops; each worker may have lost the one request that it had on a connection of old.
    async fn end(self, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        for (done, lost) in self.workers.join_all().await {
            assert!(done > 10, "{what}: hardly any load: {done}");
            assert!(lost.len() <= 1, "{what}: {} of {done} requests are lost: {lost:#?}", lost.len());
        }
    }
}

async fn one(client: &Client, path: &str, count: usize) -> Result<(), String> {
    let answer = match count % 3 {
        0 => {
            let patch = json!({"metadata": {"labels": {"count": count.to_string()}}}).to_string();
            client.try_request(http::Method::PATCH, path, Some(MERGE), patch).await?
        }
        _ => client.try_request(http::Method::GET, path, None, "").await?,
    };
    if answer.status == 200 { Ok(()) } else { Err(format!("{}: {}", answer.status, answer.text())) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_serving_certificate_loses_nothing() {
    let Some(stand) = stand::alone().await else { return };
    let place = stand.project("serving", &[]).await;
    let load = Load::start(&stand, &place).await;
    let old = shown(&stand).await;
    stand.renew_certificate("renewed.vci-system.svc").await;
    wait_for("the new certificate to be shown", async || shown(&stand).await != old).await;
    let later = Instant::now();
    wait_for("some more load", async || later.elapsed().as_millis() > 500).await;
    load.end("serving certificate").await;
    // On a connection of its own, which shows the new one.
    stand.direct("admin").get("/livez").await.expect(200);
}

/// What the server shows to a new connection.
async fn shown(stand: &Stand) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(stand.server.ca_pem().as_bytes()) {
        roots.add(root.expect("an authority in PEM")).expect("a usable authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS versions");
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let address = stand.server.base_url().trim_start_matches("https://").to_owned();
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("vci-apiserver.vci-system.svc").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
    stream.get_ref().1.peer_certificates().and_then(<[_]>::first).expect("a certificate").as_ref().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_of_the_front_proxy_loses_nothing() {
    let Some(stand) = stand::alone().await else { return };
    let place = stand.project("front-proxy", &[]).await;
    let load = Load::start(&stand, &place).await;
    let next = stand.cluster.trust_front_proxies_of_another();
    let certificate = next.client("front-proxy-client-next", &[]);
    let proxy = Client::with_certificate(stand.server.base_url(), &stand.server.ca_pem(), Protocol::Http2, &certificate);
    let proxy = proxy.header(http::HeaderName::from_static("x-remote-user"), "system:kube-aggregator");
    let proxy = proxy.header(http::HeaderName::from_static("x-remote-group"), "system:masters");
    wait_for("the server to trust the new authority", async || proxy.get(&place.path("")).await.status == 200).await;

    let shown = || stand.cluster.log().matches("Loaded a new cert/key pair").count();
    let before = shown();
    stand.cluster.show_front_proxy_certificate_of(&next);
    wait_for("kube-apiserver to show the new certificate", async || shown() > before).await;
    let later = Instant::now();
    wait_for("some more load", async || later.elapsed().as_millis() > 500).await;
    load.end("front proxy's authority").await;
    stand.available().await;
}
