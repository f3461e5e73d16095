//! A request whose body comes in two parts, with time between them for something else to happen.

use crate::PATIENCE;
use crate::client::tls;
use crate::server::TestServer;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A request of which the server has let the head in, and waits for the rest of the body.
#[derive(Debug)]
pub struct HeldRequest {
    stream: TlsStream<TcpStream>,
    what: String,
    rest: Vec<u8>,
}

impl HeldRequest {
    /// Sends the head, and half of the body once the server has asked for it; it asks when it has let the request in. Panics
    /// when it answers something else.
    pub async fn begin(server: &TestServer, key: &str, method: &str, path: &str, media: &str, body: &str) -> Self {
        let address = server.base_url().trim_start_matches("https://").to_owned();
        let socket = TcpStream::connect(&address).await.expect("a connection");
        let name = "127.0.0.1".try_into().expect("a name");
        let config = Arc::new(tls(&server.ca_pem(), None));
        let stream = TlsConnector::from(config).connect(name, socket).await.expect("TLS");
        let (first, rest) = body.as_bytes().split_at(body.len() / 2);
        let mut held = Self { stream, what: format!("{method} {path}"), rest: rest.to_vec() };
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: {media}\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        held.send(head.as_bytes()).await;
        let said = held.read_until(|said| said.ends_with(b"\r\n\r\n")).await;
        assert!(said.starts_with("HTTP/1.1 100 "), "{}: {said}", held.what);
        held.send(first).await;
        held
    }

    /// Sends the rest of the body: the status of the answer and its whole text.
    pub async fn finish(mut self) -> (u16, String) {
        let rest = std::mem::take(&mut self.rest);
        self.send(&rest).await;
        let said = self.read_until(|_| false).await;
        let status = said.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{}: {said:?} is no answer", self.what)), said)
    }

    async fn send(&mut self, bytes: &[u8]) {
        // A server that has answered reads no further; what it said is read all the same.
        let _ = timeout(PATIENCE, async { self.stream.write_all(bytes).await.and(self.stream.flush().await) }).await;
    }

    /// What the server says, until there is enough or it says no more.
    async fn read_until(&mut self, enough: impl Fn(&[u8]) -> bool) -> String {
        let mut said = Vec::new();
        while !enough(&said) {
            let mut some = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut some)).await;
            match read.unwrap_or_else(|_| panic!("{}: no answer within {PATIENCE:?}", self.what)) {
                Ok(0) | Err(_) => break,
                Ok(count) => said.extend_from_slice(&some[..count]),
            }
        }
        String::from_utf8_lossy(&said).into_owned()
    }
}
