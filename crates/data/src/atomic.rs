//! Files that appear whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why a file was not written. The path holds what it held before.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The path exists and replacing it was not asked for.
    #[error("{} already exists; pass --force to replace it", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The path is a folder.
    #[error("{} is a folder; give the path of a file", path.display())]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// Nothing can be created at the path.
    #[error("cannot create {}: {source}", path.display())]
    Create {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Writing the contents failed, for example because the disk is full.
    #[error("cannot write {}: {source}; nothing was written", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A file that is written by way of a temporary file beside it, which takes its place once it is
/// complete. Dropped before [`AtomicFile::commit`], it leaves everything as it was.
///
/// Existing files are only replaced with `force`. A path that leads through a symbolic link
/// replaces the file that the link points to. Pipes and devices such as `/dev/stdout` cannot be
/// renamed onto, and are written to directly.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    writer: BufWriter<File>,
    /// The temporary file and the one it will be; `None` when the path is written to directly.
    pending: Option<(tempfile::TempPath, PathBuf)>,
    force: bool,
}

impl AtomicFile {
    /// Starts a file.
    ///
    /// # Errors
    /// When the file exists and `force` is not set, or cannot be created.
    pub fn create(path: &Path, force: bool) -> Result<Self, WriteError> {
        let create = |source| WriteError::Create { path: path.to_owned(), source };
        let whole =
            |file, pending| Self { path: path.to_owned(), writer: BufWriter::new(file), pending, force };
        let target = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(WriteError::IsFolder { path: path.to_owned() }),
            Ok(found) if !found.is_file() => {
                let file = File::options().write(true).open(path).map_err(create)?;
                return Ok(whole(file, None));
            }
            Ok(_) if !force => return Err(WriteError::Exists { path: path.to_owned() }),
            Ok(_) => fs::canonicalize(path).map_err(create)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(create(error)),
        };
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let temporary = new_file_in(folder, &target).map_err(|source| create(plain(source)))?;
        let (file, temporary) = temporary.into_parts();
        Ok(whole(file, Some((temporary, target))))
    }

    /// The path it was created for.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When the rest cannot be written, or another file has appeared at the path and `force` is not
    /// set.
    pub fn commit(self) -> Result<(), WriteError> {
        let Self { path, writer, pending, force } = self;
        let write = |source| WriteError::Write { path: path.clone(), source };
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error).map_err(write)?;
        let Some((temporary, target)) = pending else { return Ok(()) };
        file.sync_all().map_err(write)?;
        let renamed = if force { temporary.persist(&target) } else { temporary.persist_noclobber(&target) };
        renamed.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists { path: path.clone() },
            _ => WriteError::Create { path: path.clone(), source: error.error },
        })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Writes a file as an [`AtomicFile`], all at once.
///
/// # Errors
/// When the file exists and `force` is not set, cannot be created, or `contents` or the system
/// fails to write it.
pub fn write_atomically(
    path: &Path,
    force: bool,
    contents: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let mut file = AtomicFile::create(path, force)?;
    contents(&mut file).map_err(|source| WriteError::Write { path: path.to_owned(), source })?;
    file.commit()
}

/// A temporary file with the permissions of the file it will replace, or those of any new file.
fn new_file_in(folder: &Path, target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tmoe-").suffix(".partial");
    let permissions = match fs::metadata(target) {
        Ok(found) => Some(found.permissions()),
        Err(_) => default_permissions(),
    };
    match permissions {
        Some(permissions) => builder.permissions(permissions).tempfile_in(folder),
        None => builder.tempfile_in(folder),
    }
}

/// What a new file may have; the process's umask takes its part away.
#[cfg(unix)]
fn default_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn default_permissions() -> Option<Permissions> {
    None
}

/// The system's reason without the temporary file's name, which means nothing to the user.
fn plain(error: io::Error) -> io::Error {
    let kind = error.kind();
    io::Error::new(kind, kind.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn hello(out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"hello")
    }

    fn entries(folder: &Path) -> io::Result<usize> {
        Ok(fs::read_dir(folder)?.count())
    }

    #[test]
    fn a_new_file_appears_with_its_contents_and_nothing_beside_it() -> TestResult {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("out.csv");
        write_atomically(&path, false, hello)?;
        assert_eq!(fs::read_to_string(&path)?, "hello");
        assert_eq!(entries(folder.path())?, 1);
        Ok(())
    }

    #[test]
    fn an_existing_file_is_kept_unless_replacing_is_asked_for() -> TestResult {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("out.csv");
        fs::write(&path, "old")?;
        let error = write_atomically(&path, false, hello).expect_err("the file exists");
        assert!(matches!(error, WriteError::Exists { .. }), "{error}");
        assert!(error.to_string().contains("--force"));
        assert_eq!(fs::read_to_string(&path)?, "old");
        write_atomically(&path, true, hello)?;
        assert_eq!(fs::read_to_string(&path)?, "hello");
        Ok(())
    }

    #[test]
    fn a_disk_that_fills_up_leaves_the_old_file_and_no_other() -> TestResult {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("out.csv");
        fs::write(&path, "old")?;
        let error = write_atomically(&path, true, |out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(error, Err(WriteError::Write { .. })));
        assert_eq!(fs::read_to_string(&path)?, "old");
        assert_eq!(entries(folder.path())?, 1);
        Ok(())
    }

    #[test]
    fn paths_that_cannot_be_written_are_named() -> TestResult {
        let folder = tempfile::tempdir()?;
        let error = write_atomically(folder.path(), true, hello).expect_err("a folder");
        assert!(matches!(error, WriteError::IsFolder { .. }));

        let missing = folder.path().join("missing/out.csv");
        let error = write_atomically(&missing, false, hello).expect_err("no such folder").to_string();
        assert!(error.contains("missing/out.csv") && !error.contains(".partial"), "{error}");

        let below_a_file = folder.path().join("file");
        fs::write(&below_a_file, "")?;
        let error = write_atomically(&below_a_file.join("out.csv"), false, hello);
        assert!(matches!(error, Err(WriteError::Create { .. })));
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn a_link_goes_on_pointing_to_the_file_that_is_replaced() -> TestResult {
        let folder = tempfile::tempdir()?;
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old")?;
        std::os::unix::fs::symlink(&real, &link)?;
        write_atomically(&link, true, hello)?;
        assert_eq!(fs::read_to_string(&real)?, "hello");
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written_to_directly() {
        assert!(write_atomically(Path::new("/dev/null"), false, hello).is_ok());
        let full = write_atomically(Path::new("/dev/full"), false, hello);
        assert!(matches!(full, Err(WriteError::Write { .. })));
    }
}
