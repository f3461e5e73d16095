//! HTTP/2 frame by frame, for what no client library does: windows of nothing, requests that are taken back at once.

use crate::bad_input::connect_for;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use vci_testkit::PATIENCE;
use vci_testkit::server::TestServer;

pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

/// One connection.
pub(super) struct Frames {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
    next: u32,
    /// The types of the frames that came, by stream.
    pub(super) seen: BTreeMap<u32, Vec<u8>>,
}

impl Frames {
    /// A connection that allows so many bytes of each answer.
    pub(super) async fn connect(server: &TestServer, window: u32) -> Self {
        let mut connection = Self { stream: connect_for(server, &["h2"]).await, read: Vec::new(), next: 1, seen: BTreeMap::new() };
        let initial_window_size = [&[0, 4], &window.to_be_bytes()[..]].concat();
        let opening = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &initial_window_size)].concat();
        connection.write(&opening).await;
        connection
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server reads");
        self.stream.flush().await.expect("the server reads");
    }

    /// A GET on a stream of its own: its number, and the frame.
    pub(super) fn get(&mut self, path: &str, token: &str) -> (u32, Vec<u8>) {
        let id = self.next;
        self.next += 2;
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", path),
            ("authorization", &format!("Bearer {token}")),
        ];
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        const END_STREAM_AND_HEADERS: u8 = 5;
        (id, frame(HEADERS, END_STREAM_AND_HEADERS, id, &block))
    }

    /// Reads, and answers pings, until this holds of what came.
    pub(super) async fn until(&mut self, what: &str, holds: impl Fn(&BTreeMap<u32, Vec<u8>>) -> bool) {
        let reading = async {
            while !holds(&self.seen) {
                let count = self.stream.read_buf(&mut self.read).await.unwrap_or(0);
                assert_ne!(count, 0, "the connection ended before {what}: {:?}", self.seen);
                self.take_frames().await;
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
    }

    async fn take_frames(&mut self) {
        while let Some(head) = self.read.get(..9) {
            let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).expect("24 bits");
            let (kind, flags) = (head[3], head[4]);
            let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if self.read.len() < 9 + length {
                return;
            }
            let payload: Vec<u8> = self.read.drain(..9 + length).skip(9).collect();
            self.seen.entry(id).or_default().push(kind);
            const ACK: u8 = 1;
            if kind == PING && flags & ACK == 0 {
                self.write(&frame(PING, ACK, 0, &payload)).await;
            }
        }
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A reset with CANCEL.
pub(super) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// A header field as HPACK's literal without indexing, without compression.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("a short text");
        assert!(length < 127, "one byte of length is enough");
        [&[length], text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}
