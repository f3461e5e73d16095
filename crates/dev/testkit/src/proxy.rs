//! A TCP proxy that fails on command: what a network does to a client and a server that are both well.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does with connections and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Hands everything on.
    Up,
    /// Breaks what is connected and closes what connects.
    Down,
    /// Hands on what the client sends and loses what the server answers. Bytes that are lost do not come back with
    /// [`Network::Up`]: connections from before must be broken by [`Network::Down`] first.
    AnswersLost,
}

/// A proxy in front of one server; it ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    target: Target,
}

/// The network now, and how often it was down: a short outage must not be missed.
#[derive(Clone, Copy, Debug)]
struct State {
    network: Network,
    outages: usize,
}

/// Where new connections go.
type Target = Arc<Mutex<String>>;

impl Proxy {
    /// A proxy to the server at `authority` (`host:port`), up.
    pub async fn to(authority: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a local address");
        let (state, changes) = watch::channel(State { network: Network::Up, outages: 0 });
        let target = Arc::new(Mutex::new(authority.to_owned()));
        tokio::spawn(accept(listener, Arc::clone(&target), changes));
        Self { address, state, target }
    }

    /// Its `host:port`.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Changes what it does, with all connections.
    pub fn turn(&self, network: Network) {
        self.state.send_modify(|state| {
            state.network = network;
            state.outages += usize::from(network == Network::Down);
        });
    }

    /// Breaks all connections; new ones go to another server.
    pub fn lead_to(&self, authority: &str) {
        self.turn(Network::Down);
        authority.clone_into(&mut self.target.lock().unwrap_or_else(PoisonError::into_inner));
        self.turn(Network::Up);
    }
}

async fn accept(listener: TcpListener, target: Target, mut state: watch::Receiver<State>) {
    loop {
        let client = tokio::select! {
            Ok((client, _)) = listener.accept() => client,
            Err(_) = state.wait_for(|_| false) => return,
        };
        if state.borrow().network != Network::Down {
            let authority = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
            tokio::spawn(carry(client, authority, state.clone()));
        }
    }
}

/// Carries one connection until it ends at either side, the network goes down or the proxy is dropped.
async fn carry(client: TcpStream, authority: String, mut state: watch::Receiver<State>) {
    let Ok(server) = TcpStream::connect(&authority).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = state.clone();
    let outages = state.borrow().outages;
    tokio::select! {
        _ = pump(from_client, to_server, || true) => {}
        _ = pump(from_server, to_client, || answers.borrow().network != Network::AnswersLost) => {}
        _ = state.wait_for(|state| state.outages > outages) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, passes: impl Fn() -> bool) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if passes() {
            to.write_all(&buffer[..count]).await?;
        }
    }
}
