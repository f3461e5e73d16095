//! Watches over WebSocket, as browsers open them.

use crate::common::{COLLECTION, MERGE, embedded, instance, path};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use vci_testkit::client::Protocol;
use vci_testkit::server::TestServer;

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Opens a watch with these subprotocols; the headers of the answer, or its code.
async fn open(server: &TestServer, path: &str, protocols: &str, token: Option<&str>) -> Result<(Socket, HeaderMap), u16> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(server.ca_pem().as_bytes()) {
        roots.add(certificate.expect("a certificate")).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let address = server.base_url().trim_start_matches("https://").to_owned();
    let stream = TcpStream::connect(&address).await.expect("a connection");
    let stream = TlsConnector::from(config).connect("127.0.0.1".try_into().expect("a name"), stream).await.expect("TLS");

    let mut request = format!("wss://{address}{path}").into_client_request().expect("a request");
    if !protocols.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().expect("protocols"));
    }
    if let Some(token) = token {
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a token"));
    }
    match client_async(request, stream).await {
        Ok((socket, answer)) => Ok((socket, answer.headers().clone())),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        match tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("a message in time") {
            Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).expect("JSON")),
            Some(Ok(Message::Pong(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(other)) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_told_in_messages() {
    let server = embedded().await;
    let client = server.admin(Protocol::Http1);
    let token = server.admin_token();
    client.post(COLLECTION, &instance("w")).await.expect(201);
    let query = format!("{COLLECTION}?watch=1&timeoutSeconds=30&allowWatchBookmarks=true");
    let bearer = format!("base64url.bearer.authorization.k8s.io.{}", URL_SAFE_NO_PAD.encode(&token));
    let (mut socket, headers) = open(&server, &query, &format!("{bearer}, json.v1"), None).await.expect("a WebSocket");
    assert_eq!(headers["sec-websocket-protocol"], "json.v1", "the token is not echoed");
    assert_eq!(next(&mut socket).await.expect("an event")["type"], "ADDED");
    assert_eq!(next(&mut socket).await.expect("an event")["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    socket.send(Message::text("nobody listens")).await.expect("sent");
    socket.send(Message::Ping("x".into())).await.expect("sent");
    client.patch(&path("w"), MERGE, &json!({"spec": {"displayName": "new"}})).await.expect(200);
    let event = next(&mut socket).await.expect("an event");
    assert_eq!((&event["type"], &event["object"]["spec"]["displayName"]), (&json!("MODIFIED"), &json!("new")));

    let (_, headers) = open(&server, &query, &format!("{bearer}, json.v1"), Some(&token)).await.expect("a WebSocket");
    assert_eq!(headers["sec-websocket-protocol"], "json.v1", "nor is one that nobody needs");
    let (_, headers) = open(&server, &query, &format!("json.v1, {bearer}"), Some(&token)).await.expect("a WebSocket");
    assert_eq!(headers["sec-websocket-protocol"], "json.v1");

    let short = format!(
        "{COLLECTION}?watch=1&timeoutSeconds=1&resourceVersion={}",
        event["object"]["metadata"]["resourceVersion"].as_str().unwrap_or("")
    );
    let (mut ends, _) = open(&server, &short, "", Some(&token)).await.expect("a WebSocket");
    assert_eq!(next(&mut ends).await, None, "it ends when its time is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_watch_or_not_allowed_is_no_websocket() {
    let server = embedded().await;
    let token = server.admin_token();
    let watch = format!("{COLLECTION}?watch=1&timeoutSeconds=1");
    let wrong = format!("base64url.bearer.authorization.k8s.io.{}, json.v1", URL_SAFE_NO_PAD.encode("wrong"));
    for (what, path, protocols, token, code) in [
        ("a list", COLLECTION, "", Some(&*token), 200),
        ("no token", &*watch, "", None, 401),
        ("a wrong token", &*watch, &*wrong, None, 401),
        ("a bad selector", &*format!("{watch}&fieldSelector=x"), "", Some(&*token), 400),
    ] {
        assert_eq!(open(&server, path, protocols, token).await.err(), Some(code), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_takes_its_leave() {
    let mut server = embedded().await;
    let token = server.admin_token();
    let (mut socket, _) = open(&server, &format!("{COLLECTION}?watch=1"), "", Some(&token)).await.expect("a socket");
    server.terminate();
    loop {
        match tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("a message in time") {
            Some(Ok(Message::Close(_))) => break,
            Some(Ok(_)) => {}
            end => panic!("{end:?}"),
        }
    }
    drop(socket);
    assert!(server.ended().await.success());
}
