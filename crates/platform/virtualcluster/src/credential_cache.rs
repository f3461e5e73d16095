//! Credentials that were read a moment ago, so that connections do not each read the Secret.
//!
//! Those who need the same ones at the same time wait for one read. A failed read is not kept.

use crate::{Address, ConnectError, Credentials};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long they are believed in. Who is refused with them asks for them again at once.
const FRESH: Duration = Duration::from_secs(60);
/// How many are kept: about 10 KB each.
const MOST: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct CredentialCache {
    entries: Mutex<HashMap<Address, Entry>>,
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    credentials: Arc<OnceCell<Arc<Credentials>>>,
}

impl CredentialCache {
    /// Those of this address, read when they are not known.
    pub(crate) async fn get<F>(&self, address: &Address, read: impl FnOnce() -> F) -> Result<Arc<Credentials>, ConnectError>
    where
        F: Future<Output = Result<Credentials, ConnectError>>,
    {
        let cell = self.cell(address);
        cell.get_or_try_init(|| async { read().await.map(Arc::new) }).await.cloned()
    }

    /// Forgets these, when they are what is known of this address.
    pub(crate) fn forget(&self, address: &Address, refused: &Arc<Credentials>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.get(address).and_then(|entry| entry.credentials.get());
        if known.is_some_and(|known| Arc::ptr_eq(known, refused)) {
            entries.remove(address);
        }
    }

    /// Forgets those of this address.
    pub(crate) fn remove(&self, address: &Address) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    fn cell(&self, address: &Address) -> Arc<OnceCell<Arc<Credentials>>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(address).filter(|entry| entry.since.elapsed() < FRESH) {
            return Arc::clone(&entry.credentials);
        }
        if entries.len() >= MOST {
            entries.retain(|_, entry| entry.since.elapsed() < FRESH);
        }
        if entries.len() >= MOST
            && let Some(any) = entries.keys().next().cloned()
        {
            entries.remove(&any);
        }
        let entry = Entry { since: Instant::now(), credentials: Arc::default() };
        let cell = Arc::clone(&entry.credentials);
        entries.insert(address.clone(), entry);
        cell
    }
}
