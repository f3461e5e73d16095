//! The folders that helm runs in: one for all runs of this process, and one in it for each run.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const PREFIX: &str = "vci-helm-";
const LOCK: &str = "lock";
/// A folder without a lock that is younger may belong to a process that is just starting.
const STARTING: Duration = Duration::from_secs(60);

/// A file that a run finds in its home.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct File {
    path: &'static str,
    text: String,
}

impl File {
    pub(super) fn new(path: &'static str, text: impl Into<String>) -> Self {
        Self { path, text: text.into() }
    }
}

/// The folder of this process. It is locked as long as the process lives, so that another one can tell what a killed one left
/// behind: files with credentials.
#[derive(Debug)]
pub(super) struct Base {
    folder: TempDir,
    _lock: fs::File,
}

impl Base {
    pub(super) fn new() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let folder = private_folder(PREFIX, &parent)?;
        let lock = OpenOptions::new().create_new(true).write(true).mode(0o600).open(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn private_folder(prefix: &str, parent: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).permissions(fs::Permissions::from_mode(0o700)).tempdir_in(parent)
}

/// Removes the folders of processes that are gone. What cannot be removed is another user's.
fn sweep(parent: &Path) {
    for folder in fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok) {
        if folder.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) && is_left_behind(&folder.path()) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

fn is_left_behind(folder: &Path) -> bool {
    let Ok(about) = fs::symlink_metadata(folder) else { return false };
    let young = about.modified().ok().and_then(|then| then.elapsed().ok()).is_none_or(|age| age < STARTING);
    if !about.is_dir() {
        return false;
    }
    match OpenOptions::new().write(true).open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok() && !young,
        Err(_) => !young,
    }
}

/// The home of one run, removed when dropped.
#[derive(Debug)]
pub(super) struct Home(Option<TempDir>, PathBuf);

impl Home {
    /// Makes one with these files.
    pub(super) fn new(parent: &Path, files: &[File]) -> io::Result<Self> {
        let folder = private_folder("run-", parent)?;
        for File { path, text } in files {
            let path = folder.path().join(path);
            if let Some(parent) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?.write_all(text.as_bytes())?;
        }
        let path = folder.path().to_owned();
        Ok(Self(Some(folder), path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.1
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let folder = self.0.take();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(folder))),
            Err(_) => drop(folder),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_are_for_this_user_only_and_go_with_their_run() {
        let base = Base::new().unwrap();
        let home = Home::new(base.path(), &[File::new("a/b", "text")]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = home.path().join("a/b");
        assert_eq!([&file, home.path(), file.parent().unwrap(), base.path()].map(mode), [0o600, 0o700, 0o700, 0o700]);
        let path = home.path().to_owned();
        drop(home);
        assert!(!path.exists());
    }

    #[test]
    fn what_killed_processes_left_is_removed_and_nothing_else() {
        let parent = TempDir::new().unwrap();
        let old = fs::FileTimes::new().set_modified(std::time::SystemTime::now() - 2 * STARTING);
        let folder = |name: &str, lock: bool, age: bool| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            if lock {
                fs::write(path.join(LOCK), "").unwrap();
            }
            if age {
                fs::File::open(&path).unwrap().set_times(old).unwrap();
            }
            path
        };
        let living = folder("vci-helm-living", true, true);
        let lock = OpenOptions::new().write(true).open(living.join(LOCK)).unwrap();
        lock.lock().unwrap();
        let (killed, half) = (folder("vci-helm-killed", true, true), folder("vci-helm-half", false, true));
        let (starting, other) = (folder("vci-helm-starting", false, false), folder("other", true, true));
        sweep(parent.path());
        assert_eq!([&living, &killed, &half, &starting, &other].map(|path| path.exists()), [true, false, false, true, true]);
    }
}
