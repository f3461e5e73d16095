//! Opens the store that the command line asks for.

use crate::Refused;
use crate::cli::StoreConfig;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use vci_store::Store;
use vci_store::embedded::{EmbeddedConfig, EmbeddedStore};
use vci_store_etcd::{ClientFiles, ConnectError, EtcdConfig, EtcdStore, Timeouts, TlsFiles};

/// The store's file in the data directory.
const FILE: &str = "store.redb";
/// How long an etcd may be late: it is often started at the same time.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// Opens the store.
///
/// # Errors
/// [`Refused::Told`] when `told` was given the line already.
pub(crate) async fn open(config: &StoreConfig, told: impl Fn(&str)) -> Result<Arc<dyn Store>, Refused> {
    match config {
        StoreConfig::Embedded(dir) => embedded(dir).map_err(Refused::Line),
        StoreConfig::Etcd { servers, prefix, ca, identity } => {
            let client = identity.clone().map(|(cert, key)| ClientFiles { cert, key });
            let tls = ca.clone().map(|ca| TlsFiles { ca, client });
            let (endpoints, prefix) = (servers.clone(), prefix.clone());
            etcd(&EtcdConfig { endpoints, prefix, tls, timeouts: Timeouts::default() }, told).await
        }
    }
}

fn embedded(dir: &Path) -> Result<Arc<dyn Store>, String> {
    vci_server::make_data_dir(dir).map_err(|error| error.to_string())?;
    let path = dir.join(FILE);
    let store = EmbeddedStore::open(&path, &EmbeddedConfig::standard()).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Arc::new(store))
}

async fn etcd(config: &EtcdConfig, tell: impl Fn(&str)) -> Result<Arc<dyn Store>, Refused> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        let error = match EtcdStore::connect(config).await {
            Ok(store) => return Ok(Arc::new(store)),
            Err(error @ ConnectError::Config(_)) => return Err(error.into()),
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(Refused::Told);
        }
        if !told {
            told = true;
            tell(&format!("{error}; giving up after {} s", PATIENCE.as_secs()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
