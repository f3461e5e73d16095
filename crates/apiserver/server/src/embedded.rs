//! The embedded store in the data directory, for a server that has its store to itself.

use crate::{StartError, private_file};
use apiserver_store::Store;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use std::path::PathBuf;
use std::sync::Arc;

/// The store's file in the data directory.
const FILE: &str = "store.redb";

/// Opens the embedded store of a data directory; both are made where they are missing.
///
/// # Errors
/// [`StartError`]: the directory or the file is of no use, or another process has the file open.
pub async fn embedded_store(data_dir: impl Into<PathBuf> + Send) -> Result<Arc<dyn Store>, StartError> {
    let dir = data_dir.into();
    let open = move || {
        private_file::make_dir(&dir)?;
        let path = dir.join(FILE);
        let opened = EmbeddedStore::open(&path, &EmbeddedConfig::standard());
        opened.map_err(|error| StartError::Internal(format!("{}: {error}", path.display())))
    };
    // On a thread of its own, because what a crash has left behind is looked through first.
    let opened = tokio::task::spawn_blocking(open).await;
    let store = opened.map_err(|error| StartError::Internal(error.to_string()))??;
    Ok(Arc::new(store))
}
