//! Files that come into the repository.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::TritonError;

/// Bytes copied before looking whether to stop.
const AT_ONCE: usize = 4 << 20;

/// Makes a file appear under another path: as a hard link where the file system has them, so that weights are stored once, and
/// otherwise as a copy. Never a symbolic link: the repository must be whole wherever it is moved to.
pub(super) fn place(from: &Path, to: &Path, cancelled: &AtomicBool) -> Result<(), TritonError> {
    // Through links, which a hard link would otherwise repeat.
    let source = fs::canonicalize(from).map_err(|source| TritonError::io("read", from, source))?;
    if fs::hard_link(&source, to).is_ok() {
        return Ok(());
    }
    copy(&source, to, cancelled)
}

/// Copies a file, with its permissions.
pub(super) fn copy(from: &Path, to: &Path, cancelled: &AtomicBool) -> Result<(), TritonError> {
    let unreadable = |source| TritonError::io("read", from, source);
    let unwritable = |source| TritonError::io("write", to, source);
    let mut reader = File::open(from).map_err(unreadable)?;
    let permissions = reader.metadata().map_err(unreadable)?.permissions();
    let mut writer = File::create(to).map_err(unwritable)?;
    let mut buffer = vec![0; AT_ONCE];
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(TritonError::Cancelled);
        }
        let read = reader.read(&mut buffer).map_err(unreadable)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        writer.write_all(bytes).map_err(unwritable)?;
    }
    writer.set_permissions(permissions).map_err(unwritable)
}

/// Writes a small file.
pub(super) fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<(), TritonError> {
    fs::write(path, contents).map_err(|source| TritonError::io("write", path, source))
}

/// Makes a folder, and those above it.
pub(super) fn create_folder(path: &Path) -> Result<(), TritonError> {
    fs::create_dir_all(path).map_err(|source| TritonError::io("create", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_file_and_a_cancelled_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let bytes: Vec<u8> = (0..AT_ONCE + 7).map(|index| (index % 251) as u8).collect();
        fs::write(&from, &bytes).unwrap();
        copy(&from, &to, &AtomicBool::new(false)).unwrap();
        assert!(fs::read(&to).unwrap() == bytes);
        assert!(matches!(copy(&from, &to, &AtomicBool::new(true)), Err(TritonError::Cancelled)));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_is_placed_as_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, placed] = ["file", "link", "placed"].map(|name| folder.path().join(name));
        fs::write(&file, "weights").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        place(&link, &placed, &AtomicBool::new(false)).unwrap();
        assert!(!fs::symlink_metadata(&placed).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&placed).unwrap(), "weights");
    }
}
