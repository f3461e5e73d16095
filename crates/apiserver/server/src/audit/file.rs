//! The log's file and its rotation.
//!
//! Names are those of upstream: `audit.log` becomes `audit-2026-11-23T01-02-03.456.log`, packed `….log.gz`.

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The time of the rotation in the names of rotated files.
const TIME: &str = "%Y-%m-%dT%H-%M-%S%.3f";
const PACKED: &str = ".gz";

/// Rotation of the log's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Maximum size of the file in bytes; 0: no rotation.
    pub max_size: u64,
    /// How many rotated files are kept; 0: all.
    pub max_backups: usize,
    /// How long rotated files are kept; zero: for ever.
    pub max_age: Duration,
    /// Whether rotated files are compressed.
    pub backups: Backups,
}

/// Whether rotated files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backups {
    /// Rotated files are kept as they are.
    Plain,
    /// Rotated files are compressed with gzip.
    Compressed,
}

/// The file that is written to.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    size: u64,
    /// The time of the last rotation. Rotated files are ordered by the time in their names.
    last: Timestamp,
}

impl LogFile {
    /// Opens the file and goes on at its end. A new one is for the server's own user only.
    ///
    /// # Errors
    /// An I/O error.
    pub(crate) fn open(path: &Path, rotation: Rotation) -> std::io::Result<Self> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)?;
        }
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        let mut opened = Self { path: path.to_owned(), rotation, file, size, last: Timestamp::MIN };
        opened.last = opened.backups().first().map_or(Timestamp::MIN, |(time, _)| *time);
        opened.tidy();
        Ok(opened)
    }

    /// Writes one line. Rotates the file before, if it would become too long.
    ///
    /// # Errors
    /// An I/O error; a part of the line may have been written.
    pub(crate) fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        let length = line.len() as u64;
        if self.rotation.max_size > 0 && self.size > 0 && self.size.saturating_add(length) > self.rotation.max_size {
            self.put_aside()?;
        }
        self.file.write_all(line).inspect(|()| self.size += length)
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// An I/O error.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        match self.file.sync_data() {
            // A pipe or a device.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }

    fn put_aside(&mut self) -> std::io::Result<()> {
        let next = self.last.saturating_add(Duration::from_millis(1)).unwrap_or(Timestamp::MAX);
        self.last = Timestamp::now().max(next);
        let backup = self.backup(self.last);
        match std::fs::rename(&self.path, &backup) {
            // Somebody else has moved it away.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = append_to(&self.path)?;
        self.size = self.file.metadata()?.len();
        if self.rotation.backups == Backups::Compressed {
            // Takes a second for a hundred megabytes: not while lines wait.
            let spawned = std::thread::Builder::new().name("audit-pack".into()).spawn(move || {
                if let Err(error) = pack(&backup) {
                    tracing::warn!(file = %backup.display(), %error, "audit log is not packed");
                }
            });
            if let Err(error) = spawned {
                tracing::warn!(%error, "audit log is not packed");
            }
        }
        self.tidy();
        Ok(())
    }

    /// Removes rotated files that are too many or too old.
    fn tidy(&self) {
        let Rotation { max_backups, max_age, .. } = self.rotation;
        let oldest = (!max_age.is_zero()).then(|| Timestamp::now() - max_age);
        for (index, (time, path)) in self.backups().into_iter().enumerate() {
            let surplus = max_backups > 0 && index >= max_backups;
            if (surplus || oldest.is_some_and(|oldest| time < oldest))
                && let Err(error) = std::fs::remove_file(&path)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(file = %path.display(), %error, "old audit log is not removed");
            }
        }
    }

    /// The rotated files, latest first.
    fn backups(&self) -> Vec<(Timestamp, PathBuf)> {
        let (begin, end) = self.name_parts();
        let folder = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut found: Vec<_> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let time = name.strip_suffix(PACKED).unwrap_or(&name).strip_prefix(&begin)?.strip_suffix(&end)?.to_owned();
                let time = DateTime::strptime(TIME, time).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
                Some((time, entry.path()))
            })
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        found
    }

    fn backup(&self, time: Timestamp) -> PathBuf {
        let (begin, end) = self.name_parts();
        self.path.with_file_name(format!("{begin}{}{end}", time.strftime(TIME)))
    }

    /// The parts of a rotated file's name before and after the time.
    fn name_parts(&self) -> (String, String) {
        let lossy = |text: Option<&std::ffi::OsStr>| text.unwrap_or_default().to_string_lossy().into_owned();
        let end = self.path.extension().map_or_else(String::new, |extension| format!(".{}", extension.to_string_lossy()));
        (format!("{}-", lossy(self.path.file_stem())), end)
    }
}

fn append_to(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn pack(path: &Path) -> std::io::Result<()> {
    let packed = PathBuf::from(format!("{}{PACKED}", path.display()));
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&packed)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    std::io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_data()?;
    std::fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use flate2::read::MultiGzDecoder;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn rotation(max_size: u64, max_backups: usize) -> Rotation {
        Rotation { max_size, max_backups, max_age: Duration::ZERO, backups: Backups::Plain }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/audit.log");
        let mut log = LogFile::open(&path, rotation(10, 2)).unwrap();
        for line in ["11111\n", "2222\n", "33333333333333\n", "4\n", "5555555\n", "6666\n"] {
            log.write(line.as_bytes()).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let backups: Vec<String> = log.backups().iter().map(|(_, path)| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(backups, ["4\n5555555\n", "33333333333333\n"], "no line is torn apart, and two files stay");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "6666\n");
        drop(log);
        let mut again = LogFile::open(&path, rotation(10, 1)).unwrap();
        again.write(b"777\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "6666\n777\n", "a restart goes on");
        assert_eq!(again.backups().len(), 1, "and tidies up");
    }

    #[test]
    fn what_is_no_backup_of_this_file_is_let_alone() {
        let folder = tempfile::tempdir().unwrap();
        let others = ["audit-.log", "audit-yesterday.log", "audit-2020-01-02T03-04-05.678.txt", "other-2020-01-02T03-04-05.678.log"];
        let old = ["audit-2020-01-02T03-04-05.678.log", "audit-2020-01-03T03-04-05.678.log.gz"];
        for name in others.iter().chain(&old) {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut limits = rotation(0, 0);
        let path = folder.path().join("audit.log");
        LogFile::open(&path, limits.clone()).unwrap();
        assert_eq!(names(folder.path()).len(), 7, "nothing has a bound");
        limits.max_age = Duration::from_secs(24 * 3600);
        LogFile::open(&path, limits).unwrap();
        let mut want: Vec<&str> = others.into_iter().chain(["audit.log"]).collect();
        want.sort_unstable();
        assert_eq!(names(folder.path()), want);
    }

    #[test]
    fn packed_files_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let mut log = LogFile::open(&path, Rotation { backups: Backups::Compressed, ..rotation(4, 0) }).unwrap();
        log.write(b"one\n").unwrap();
        log.write(b"two\n").unwrap();
        // Packed by a thread. The plain file goes last: as long as it is there, the packed one is not whole.
        let packed = loop {
            match &log.backups()[..] {
                [(_, path)] if path.to_string_lossy().ends_with(PACKED) => break path.clone(),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let mut text = String::new();
        MultiGzDecoder::new(File::open(packed).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), std::fs::read_to_string(&path).unwrap().as_str()), ("one\n", "two\n"));
    }
}
