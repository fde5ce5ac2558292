//! Reading small text files of unknown origin without letting their size decide how much is allocated.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Why a small text file could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    TooLong { found: u64 },
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        ReadError::Io(error)
    }
}

/// Opens a regular file for reading and says how long it is.
///
/// Anything else, such as a named pipe on which opening would wait for ever, is an error.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let kind = std::fs::metadata(path)?;
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, expected a file"));
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Reads a whole UTF-8 file of at most `limit` bytes.
pub(crate) fn read_to_string(path: &Path, limit: u64) -> Result<String, ReadError> {
    let (file, found) = open_regular(path)?;
    if found > limit {
        return Err(ReadError::TooLong { found });
    }
    let mut text = String::new();
    // The limit again, because the file may grow while it is read.
    file.take(limit).read_to_string(&mut text)?;
    Ok(text)
}
