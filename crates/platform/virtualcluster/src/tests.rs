//! A host that keeps a Secret, and a TLS server in the place of a virtual cluster.
#![allow(clippy::unwrap_used)]

use super::*;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use vci_testkit::certs::Authority;

fn address() -> Address {
    Address::new("loft-blue-v-my-vc", "my-vc").unwrap()
}

/// The host's answers about the Secret: the one that it has, and how often it was asked.
#[derive(Debug, Default)]
struct Host {
    secret: Mutex<Option<Value>>,
    asked: AtomicUsize,
}

impl Host {
    fn keep(&self, authority: &Authority, version: u32) {
        let issued = authority.client("kubernetes-super-admin", &["system:masters"]);
        self.put(
            &[("certificate-authority", &authority.pem()), ("client-certificate", &issued.cert_pem), ("client-key", &issued.key_pem)],
            version,
        );
    }

    fn put(&self, data: &[(&str, &str)], version: u32) {
        let data: Value =
            data.iter().map(|(key, text)| ((*key).to_owned(), STANDARD.encode(text).into())).collect::<serde_json::Map<_, _>>().into();
        *self.secret.lock().unwrap() =
            Some(json!({"metadata": {"name": "vc-my-vc", "uid": "u", "resourceVersion": version.to_string()}, "data": data}));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn client(self: &Arc<Self>) -> kube::Client {
        let host = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let host = Arc::clone(&host);
            async move {
                assert_eq!(request.uri().path(), "/api/v1/namespaces/loft-blue-v-my-vc/secrets/vc-my-vc");
                host.asked.fetch_add(1, Ordering::SeqCst);
                // Others get to ask meanwhile.
                tokio::task::yield_now().await;
                let secret = host.secret.lock().unwrap().clone();
                let code = if secret.is_some() { 200 } else { 404 };
                let body = secret
                    .unwrap_or_else(|| json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "no"}));
                Ok::<_, Infallible>(Response::builder().status(code).body(Full::new(Bytes::from(body.to_string()))).unwrap())
            }
        });
        kube::Client::new(service, "default")
    }
}

#[derive(Debug)]
struct To(SocketAddr);

#[async_trait]
impl Dial for To {
    async fn dial(&self, _: &Address) -> Result<Stream, ConnectError> {
        Ok(Stream::new(TcpStream::connect(self.0).await.map_err(ConnectError::NotReachable)?))
    }
}

/// A server that says `ok` to those with a certificate of this authority, under these names.
async fn virtual_cluster(authority: &Authority, names: &[&str], alpn: &[&str]) -> Arc<dyn Dial> {
    let issued = authority.server(names);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
    let mut config = config.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = To(listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let ok = service_fn(|request: Request<hyper::body::Incoming>| async move {
                    let text = format!("{} over {:?}", request.uri().path(), request.version());
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
                });
                let server = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), ok).await;
            });
        }
    });
    Arc::new(to)
}

async fn readyz(client: &kube::Client) -> Result<String, kube::Error> {
    client.request_text(Request::get("/readyz").body(Vec::new()).unwrap()).await
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_read_of_the_secret() {
    let (host, authority) = (Arc::<Host>::default(), Authority::new("vc"));
    host.keep(&authority, 1);
    let connector = Connector::new(host.client(), Route::Service);
    let (a, b) = tokio::join!(async { connector.credentials(&address()).await }, async { connector.credentials(&address()).await });
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(Arc::ptr_eq(&a, &b));
    assert_eq!(host.asked(), 1);
    host.keep(&authority, 2);
    connector.refused(&address(), &a);
    let fresh = connector.credentials(&address()).await.unwrap();
    assert_ne!(fresh.version(), a.version());
    // What was refused is not what is known now.
    connector.refused(&address(), &a);
    assert!(Arc::ptr_eq(&connector.credentials(&address()).await.unwrap(), &fresh));
    assert_eq!(host.asked(), 2);
}

#[tokio::test]
async fn a_secret_that_comes_later_is_found() {
    let (host, authority) = (Arc::<Host>::default(), Authority::new("vc"));
    let connector = Connector::new(host.client(), Route::Service);
    let error = connector.credentials(&address()).await.unwrap_err();
    assert!(matches!(&error, ConnectError::NoSecret(name) if name == "vc-my-vc"), "{error}");
    host.keep(&authority, 1);
    connector.credentials(&address()).await.unwrap();
}

#[tokio::test]
async fn a_secret_of_something_else_names_the_key_and_shows_nothing() {
    let (authority, other) = (Authority::new("vc"), Authority::new("other"));
    let (issued, foreign) = (authority.client("admin", &[]), other.client("admin", &[]));
    let ca = authority.pem();
    let keys = ["certificate-authority", "client-certificate", "client-key"];
    for (values, bad) in [
        ([None, Some(&issued.cert_pem), Some(&issued.key_pem)], keys[0]),
        ([Some(&"s3cret".to_owned()), Some(&issued.cert_pem), Some(&issued.key_pem)], keys[0]),
        ([Some(&ca), None, Some(&issued.key_pem)], keys[1]),
        ([Some(&ca), Some(&String::new()), Some(&issued.key_pem)], keys[1]),
        ([Some(&ca), Some(&issued.cert_pem), Some(&"s3cret".to_owned())], keys[2]),
        ([Some(&ca), Some(&issued.cert_pem), Some(&foreign.key_pem)], keys[2]),
    ] {
        let host = Arc::<Host>::default();
        let data: Vec<_> = keys.iter().zip(values).filter_map(|(key, value)| Some((*key, value?.as_str()))).collect();
        host.put(&data, 1);
        let error = Connector::new(host.client(), Route::Service).credentials(&address()).await.unwrap_err();
        assert!(matches!(&error, ConnectError::BadSecret { key, .. } if *key == bad), "{bad}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
    let host = Arc::<Host>::default();
    host.keep(&authority, 1);
    let credentials = Connector::new(host.client(), Route::Service).credentials(&address()).await.unwrap();
    assert_eq!(format!("{credentials:?}"), r#"Credentials { version: "u/1", .. }"#);
}

#[tokio::test]
async fn only_the_server_that_the_secret_speaks_of_is_talked_to() {
    let (authority, other) = (Authority::new("vc"), Authority::new("vc"));
    for (serving, names, is_trusted) in [
        (&authority, ["my-vc.loft-blue-v-my-vc"], true),
        (&authority, ["your-vc.loft-blue-v-my-vc"], false),
        (&other, ["my-vc.loft-blue-v-my-vc"], false),
    ] {
        let host = Arc::<Host>::default();
        host.keep(&authority, 1);
        let connector = Connector::with_dial(host.client(), virtual_cluster(serving, &names, &["http/1.1"]).await);
        let result = connector.tls(&address(), &[b"http/1.1"]).await;
        assert_eq!(result.is_ok(), is_trusted, "{names:?}");
        assert!(is_trusted || matches!(result, Err(ConnectError::Tls(_))));
    }
}

#[tokio::test]
async fn a_cluster_that_was_made_anew_is_talked_to_with_its_new_credentials() {
    let (old, new) = (Authority::new("vc"), Authority::new("vc"));
    let host = Arc::<Host>::default();
    host.keep(&old, 1);
    let connector = Connector::with_dial(host.client(), virtual_cluster(&new, &["my-vc.loft-blue-v-my-vc"], &["http/1.1"]).await);
    connector.credentials(&address()).await.unwrap();
    host.keep(&new, 2);
    connector.tls(&address(), &[b"http/1.1"]).await.unwrap();
    assert_eq!(host.asked(), 2);
}

#[tokio::test]
async fn a_client_is_the_administrator_by_either_protocol() {
    let authority = Authority::new("vc");
    for (alpn, version) in [("h2", "HTTP/2.0"), ("http/1.1", "HTTP/1.1")] {
        let host = Arc::<Host>::default();
        host.keep(&authority, 1);
        let connector = Connector::with_dial(host.client(), virtual_cluster(&authority, &["my-vc.loft-blue-v-my-vc"], &[alpn]).await);
        let client = connector.client(&address()).await.unwrap();
        assert_eq!(readyz(&client).await.unwrap(), format!("/readyz over {version}"));
    }
}

#[tokio::test]
async fn a_kubeconfig_works_for_as_long_as_its_tunnel_lives() {
    let (authority, host) = (Authority::new("vc"), Arc::<Host>::default());
    host.keep(&authority, 1);
    let connector = Connector::with_dial(host.client(), virtual_cluster(&authority, &["my-vc.loft-blue-v-my-vc"], &["http/1.1"]).await);
    let (text, tunnel) = connector.kubeconfig(&address()).await.unwrap();
    let kubeconfig = Kubeconfig::from_yaml(&text).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default()).await.unwrap();
    assert_eq!(readyz(&kube::Client::try_from(config.clone()).unwrap()).await.unwrap(), "/readyz over HTTP/1.1");
    drop(tunnel);
    let refused = || async { readyz(&kube::Client::try_from(config.clone()).unwrap()).await.is_err() };
    vci_testkit::wait_for("the tunnel's end", refused).await;
}

#[tokio::test]
async fn in_the_host_cluster_a_kubeconfig_names_the_service() {
    let (authority, host) = (Authority::new("vc"), Arc::<Host>::default());
    host.keep(&authority, 1);
    let (text, _tunnel) = Connector::new(host.client(), Route::Service).kubeconfig(&address()).await.unwrap();
    let cluster = Kubeconfig::from_yaml(&text).unwrap().clusters.remove(0).cluster.unwrap();
    assert_eq!(cluster.server.as_deref(), Some("https://my-vc.loft-blue-v-my-vc.svc:443"));
    assert_eq!(cluster.tls_server_name.as_deref(), Some("my-vc.loft-blue-v-my-vc"));
}
