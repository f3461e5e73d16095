//! The disk under the store: free space, and opening and reopening the file.
//!
//! redb does not recover from a failed write. So free space is checked before each write. When a write fails nevertheless, the
//! file is opened again as soon as a probe file beside it can be written.

use super::file;
use super::index::Index;
use crate::StoreError;
use redb::Database;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Room that a commit needs beside what is written: copies of the pages on the way to it, and what others take meanwhile.
const MARGIN: u64 = 4 << 20;
/// How much is written to see whether anything can be.
const PROBE_BYTES: usize = 64 << 10;

pub(super) trait Medium: Debug + Send + Sync {
    /// Opens what is there, or makes it, and reads the index from it.
    fn open(&self) -> Result<(Database, Index), StoreError>;

    /// Whether a commit of about so many bytes finds room.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    fn room(&self, bytes: u64) -> Result<(), StoreError>;

    /// Whether anything can be written, tried without touching the store.
    fn probe(&self) -> Result<(), StoreError>;
}

/// A file.
#[derive(Debug)]
pub(super) struct OnDisk {
    pub(super) path: PathBuf,
    pub(super) cache_bytes: usize,
}

impl Medium for OnDisk {
    fn open(&self) -> Result<(Database, Index), StoreError> {
        file::open(&self.path, self.cache_bytes)
    }

    fn room(&self, bytes: u64) -> Result<(), StoreError> {
        // A file system that does not tell has room until it fails.
        let Ok(system) = rustix::fs::statvfs(&self.path) else { return Ok(()) };
        let (free, wanted) = (system.f_bavail.saturating_mul(system.f_frsize), MARGIN.saturating_add(bytes.saturating_mul(2)));
        if free >= wanted {
            return Ok(());
        }
        Err(StoreError::Full(format!("{}: {free} bytes are free on its disk, {wanted} are needed", self.path.display())))
    }

    fn probe(&self) -> Result<(), StoreError> {
        let mut beside = self.path.as_os_str().to_owned();
        beside.push(format!(".probe-{}", std::process::id()));
        let beside = Path::new(&beside);
        let written = write_and_sync(beside);
        let removed = std::fs::remove_file(beside);
        written.and(removed).map_err(|error| StoreError::Unavailable(format!("{}: {error}", self.path.display())))
    }
}

fn write_and_sync(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(&[0x5a; PROBE_BYTES])?;
    file.sync_all()
}
