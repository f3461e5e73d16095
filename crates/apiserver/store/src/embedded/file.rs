//! The file: opening it, its tables, and what its errors mean.

use super::index::{Index, Version};
use super::record::Record;
use crate::{Key, Revision, StoreError};
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

/// All writes that are not compacted, by revision.
pub(super) const LOG: TableDefinition<Revision, &[u8]> = TableDefinition::new("log");
/// [`FORMAT`] and [`OLDEST`].
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// The oldest revision at which the whole state can be read.
pub(super) const OLDEST: &str = "oldest";

const FORMAT: &str = "format";
const FORMAT_NOW: u64 = 1;

/// The log as one moment shows it; keeps that moment alive.
pub(super) type Log = ReadOnlyTable<Revision, &'static [u8]>;

/// Opens a file, or makes it, and reads the index from it.
pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<(Database, Index), StoreError> {
    let named = |error: StoreError| match error {
        StoreError::Corrupt(text) => StoreError::Corrupt(format!("{}: {text}", path.display())),
        StoreError::Unavailable(text) => StoreError::Unavailable(format!("{}: {text}", path.display())),
        other => other,
    };
    if !path.try_exists().map_err(io_error).map_err(named)? {
        create(path).map_err(named)?;
    }
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error).map_err(named)?;
    // A file gets its name when it is whole, so one without anything in it has lost what it had. redb would take it for new.
    if file.metadata().map_err(io_error).map_err(named)?.len() == 0 {
        return Err(named(StoreError::Corrupt("the file is empty: put back a copy of it, or remove it to begin with nothing".into())));
    }
    let backend = FileBackend::new(file).map_err(open_error).map_err(named)?;
    open_backend(backend, cache_bytes).map_err(named)
}

/// Makes a file under another name and gives it its own when it is whole: a process that dies here must not leave
/// half a file, which redb would refuse for ever.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".new-{}", std::process::id()));
    let draft = Path::new(&draft);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let backend = FileBackend::new(options.open(draft).map_err(io_error)?).map_err(open_error)?;
    let (db, _) = open_backend(backend, 0)?;
    db.close().map_err(open_error)?;
    File::open(draft).and_then(|file| file.sync_all()).map_err(io_error)?;
    // A link does not replace what another process made meanwhile; whose file it is, the lock decides.
    match std::fs::hard_link(draft, path) {
        Ok(()) => std::fs::remove_file(draft).map_err(io_error)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => std::fs::remove_file(draft).map_err(io_error)?,
        // Not every file system has links.
        Err(_) => std::fs::rename(draft, path).map_err(io_error)?,
    }
    // A name is durable only when its folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error)
}

/// [`open`] on anything that can be read and written like a file.
pub(super) fn open_backend(backend: impl StorageBackend, cache_bytes: usize) -> Result<(Database, Index), StoreError> {
    // The whole file is read at start in any case; with the check, damage is an error here and no panic later.
    let db = Database::builder()
        .set_cache_size(cache_bytes)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
        .map_err(open_error)?;
    let oldest = prepare(&db)?;
    let index = load(&db, oldest)?;
    Ok((db, index))
}

/// Checks that the file is ours, makes the tables of a new one, and tells where history begins.
fn prepare(db: &Database) -> Result<Revision, StoreError> {
    let reader = db.begin_read().map_err(redb_error)?;
    match reader.open_table(META) {
        Ok(meta) => {
            let number = |name| meta.get(name).map(|found| found.map(|guard| guard.value())).map_err(redb_error);
            match number(FORMAT)? {
                Some(FORMAT_NOW) => Ok(number(OLDEST)?.unwrap_or(0)),
                other => Err(StoreError::Corrupt(format!("format {other:?} is not known to this version, which writes {FORMAT_NOW}"))),
            }
        }
        Err(TableError::TableDoesNotExist(_)) if reader.list_tables().map_err(redb_error)?.next().is_none() => {
            let writer = db.begin_write().map_err(redb_error)?;
            writer.open_table(META).map_err(redb_error)?.insert(FORMAT, FORMAT_NOW).map_err(redb_error)?;
            writer.open_table(LOG).map_err(redb_error)?;
            writer.commit().map_err(redb_error)?;
            Ok(0)
        }
        Err(error) => Err(StoreError::Corrupt(format!("this is the database of some other program: {error}"))),
    }
}

fn load(db: &Database, oldest: Revision) -> Result<Index, StoreError> {
    let mut index = Index::new(oldest);
    for record in snapshot(db)?.iter().map_err(redb_error)? {
        let (revision, bytes) = record.map_err(redb_error)?;
        let revision = revision.value();
        let record = Record::decode(revision, bytes.value())?;
        let version = if record.value.is_some() { Version::Value(revision) } else { Version::Deleted(revision) };
        index.apply(&Key::new(record.key), version);
    }
    if index.current < oldest {
        return Err(StoreError::Corrupt(format!("the newest revision {} is older than the compacted {oldest}", index.current)));
    }
    Ok(index)
}

/// The log as it is now.
pub(super) fn snapshot(db: &Database) -> Result<Log, StoreError> {
    db.begin_read().map_err(redb_error)?.open_table(LOG).map_err(redb_error)
}

/// Maps an error of redb for a caller whose write was not carried out.
pub(super) fn redb_error(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        // The end comes too early where a file was cut off.
        redb::Error::Io(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            StoreError::Corrupt(error.to_string())
        }
        error @ (redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed) => StoreError::Unavailable(error.to_string()),
        error => StoreError::Corrupt(error.to_string()),
    }
}

fn io_error(error: impl std::error::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn open_error(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::Unavailable("another process has it open".into())
        }
        other => redb_error(other),
    }
}
