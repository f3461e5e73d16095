//! A configuration that changes while the server runs.

use crate::config::text;
use crate::{ConfigError, Encrypted, Rules};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the file is looked at. It is small, and a mounted Secret changes by a swapped symbolic link that file events do not
/// show.
pub const RELOAD_PERIOD: Duration = Duration::from_secs(10);

/// Uses the file's new content whenever it changes; never ends. Content that is of no use is passed over, and told once.
pub async fn follow_file(store: Arc<Encrypted>, path: PathBuf, period: Duration) {
    let mut known = None;
    loop {
        tokio::time::sleep(period).await;
        let (path, before) = (path.clone(), known);
        let read = move || -> Result<_, (Option<[u8; 32]>, ConfigError)> {
            let text = text(&path).map_err(|error| (None, error))?;
            let digest = <[u8; 32]>::from(Sha256::digest(&text[..]));
            let rules = (before != Some(Some(digest))).then(|| Rules::from_text(&path, &text)).transpose();
            Ok((digest, rules.map_err(|error| (Some(digest), error))?))
        };
        let Ok(found) = tokio::task::spawn_blocking(read).await else { continue };
        match found {
            Ok((_, None)) => {}
            Ok((digest, Some(rules))) => {
                store.replace(rules);
                if known.replace(Some(digest)).is_some() {
                    tracing::info!("encryption configuration was read again");
                }
            }
            Err((digest, why)) if known != Some(digest) => {
                tracing::error!(%why, "new encryption configuration is of no use, the old one stays");
                known = Some(digest);
            }
            Err(_) => {}
        }
    }
}
