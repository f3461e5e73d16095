//! The connections to each virtual cluster, of one way to be known there.

use super::connection::{self, Connection, Sent};
use super::{SendError, UpgradeResponse};
use crate::impersonation::{Authorized, Identification};
use axum::body::Body;
use http::Response;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use vci_virtualcluster::{Address, Connector, Credentials};

/// Shared connections to one virtual cluster. With [`connection::MOST_REQUESTS`] on each, this many requests are under way at a time.
const MOST_CONNECTIONS: usize = 16;
/// Connections to one virtual cluster that are not shared.
const MOST_OWN_CONNECTIONS: usize = 512;
/// Virtual clusters that are remembered without being connected to.
const MOST_CLUSTERS: usize = 1024;
/// How often a request is tried again that has found its connection gone before it was sent.
const TRIES: usize = 3;

/// The connections of one way to be known.
pub(super) struct Pool<I> {
    connector: Connector,
    clusters: Mutex<HashMap<Address, Arc<Cluster<I>>>>,
}

/// The connections to one virtual cluster.
pub(super) struct Cluster<I> {
    address: Address,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// One connects at a time; who waited for it finds a connection.
    connecting: tokio::sync::Mutex<()>,
    own: Arc<Semaphore>,
    next_id: AtomicU64,
    identified: PhantomData<fn() -> I>,
}

impl<I: Identification> fmt::Debug for Pool<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("clusters", &self.clusters().len()).finish_non_exhaustive()
    }
}

impl<I: Identification> Pool<I> {
    pub(super) fn new(connector: Connector) -> Arc<Self> {
        Arc::new(Self { connector, clusters: Mutex::default() })
    }

    /// Sends a request on a shared connection, or where there can be none on one of its own.
    pub(super) async fn send(&self, address: &Address, mut request: Authorized<I>) -> Result<Response<Body>, SendError> {
        let cluster = self.cluster(address);
        for _ in 1..TRIES {
            let Some(place) = cluster.shared(&self.connector).await? else { return self.send_alone(&cluster, request).await };
            match place.send(request.into_request()).await {
                Sent::Answer(response) => return Ok(response),
                Sent::Broken(error) => return Err(SendError::Broken(error)),
                Sent::Not(returned) => request = Authorized::returned(*returned),
            }
        }
        self.send_alone(&cluster, request).await
    }

    /// Sends a request on a connection of its own, which can be upgraded.
    pub(super) async fn upgrade(&self, address: &Address, request: Authorized<I>) -> Result<UpgradeResponse, SendError> {
        let cluster = self.cluster(address);
        let place = Arc::clone(&cluster.own).try_acquire_owned().map_err(|_| SendError::Busy)?;
        let (stream, _) = self.connector.tls_with(address, I::CERTIFICATE, &[connection::HTTP1]).await?;
        connection::alone(stream, &cluster.address, request.into_request(), place).await
    }

    /// Leaves the connections to a virtual cluster to those who use them, and the credentials too.
    pub(super) fn forget(&self, address: &Address) {
        let Some(cluster) = self.clusters().remove(address) else { return };
        for connection in cluster.connections().drain(..) {
            self.connector.refused(address, connection.credentials());
            connection.close();
        }
    }

    async fn send_alone(&self, cluster: &Cluster<I>, request: Authorized<I>) -> Result<Response<Body>, SendError> {
        let place = Arc::clone(&cluster.own).try_acquire_owned().map_err(|_| SendError::Busy)?;
        let (stream, _) = self.connector.tls_with(&cluster.address, I::CERTIFICATE, &[connection::HTTP1]).await?;
        match connection::alone(stream, &cluster.address, request.into_request(), place).await? {
            UpgradeResponse::Answer(response) => Ok(response),
            // Nobody asked for one.
            UpgradeResponse::Upgraded(head, _) => Ok(Response::from_parts(head, Body::empty())),
        }
    }

    fn cluster(&self, address: &Address) -> Arc<Cluster<I>> {
        let mut clusters = self.clusters();
        if !clusters.contains_key(address) && clusters.len() >= MOST_CLUSTERS {
            clusters.retain(|_, cluster| Arc::strong_count(cluster) > 1 || !cluster.connections().is_empty());
        }
        let cluster = clusters.entry(address.clone()).or_insert_with(|| Cluster::new(address.clone()));
        Arc::clone(cluster)
    }

    fn clusters(&self) -> MutexGuard<'_, HashMap<Address, Arc<Cluster<I>>>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Identification> Cluster<I> {
    fn new(address: Address) -> Arc<Self> {
        Arc::new(Self {
            address,
            connections: Mutex::default(),
            connecting: tokio::sync::Mutex::new(()),
            own: Arc::new(Semaphore::new(MOST_OWN_CONNECTIONS)),
            next_id: AtomicU64::new(0),
            identified: PhantomData,
        })
    }

    /// A place on a shared connection; `None`: this virtual cluster does not speak HTTP/2.
    async fn shared(self: &Arc<Self>, connector: &Connector) -> Result<Option<connection::Place>, SendError> {
        if let Some(place) = self.place() {
            return Ok(Some(place));
        }
        let _connecting = self.connecting.lock().await;
        if let Some(place) = self.place() {
            return Ok(Some(place));
        }
        if self.connections().len() >= MOST_CONNECTIONS {
            return Err(SendError::Busy);
        }
        let (stream, credentials) = connector.tls_with(&self.address, I::CERTIFICATE, &[connection::HTTP2, connection::HTTP1]).await?;
        if stream.get_ref().1.alpn_protocol() != Some(connection::HTTP2) {
            return Ok(None);
        }
        self.open(stream, credentials).await.map(Some)
    }

    async fn open(
        self: &Arc<Self>,
        stream: vci_virtualcluster::TlsStream,
        credentials: Arc<Credentials>,
    ) -> Result<connection::Place, SendError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let cluster = Arc::downgrade(self);
        let gone = move || {
            if let Some(cluster) = cluster.upgrade() {
                cluster.connections().retain(|connection| connection.id() != id);
            }
        };
        let connection = Connection::open(id, &self.address, stream, credentials, gone).await?;
        let place = connection.place();
        self.connections().push(connection);
        // A fresh connection has room.
        place.ok_or(SendError::Busy)
    }

    fn place(&self) -> Option<connection::Place> {
        self.connections().iter().find_map(Connection::place)
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
