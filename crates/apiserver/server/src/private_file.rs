//! Files that only the server's own user may read, written so that a crash leaves the old or the new one whole.

use crate::StartError;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Writes a file of mode 0600: beside it first, then renamed over it.
///
/// # Errors
/// [`StartError::File`].
pub fn write(path: &Path, contents: &[u8]) -> Result<(), StartError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let written = write_new(beside, contents).and_then(|()| std::fs::rename(beside, path)).and_then(|()| sync_parent(path));
    written.map_err(|source| StartError::File { path: path.to_owned(), source })
}

/// Makes a directory of mode 0700 and the ones above it, where they are missing.
///
/// # Errors
/// [`StartError::File`].
pub fn make_dir(path: &Path) -> Result<(), StartError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| StartError::File { path: path.to_owned(), source })
}

/// A file's contents; `None` when there is no such file.
///
/// # Errors
/// [`StartError::File`].
pub fn read(path: &Path) -> Result<Option<String>, StartError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StartError::File { path: path.to_owned(), source }),
    }
}

fn write_new(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    // One that a crash left behind may have another mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn replaces_whole_and_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("below/secret");
        make_dir(path.parent().unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), None);
        std::fs::write(dir.path().join("below/secret.new"), "left by a crash, readable by all").unwrap();
        for contents in ["first", "second"] {
            write(&path, contents.as_bytes()).unwrap();
            assert_eq!(read(&path).unwrap().as_deref(), Some(contents));
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }
}
