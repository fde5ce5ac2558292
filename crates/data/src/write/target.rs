//! Where bytes go: a file that appears when it is complete, or a stream.

use std::io::{self, Write};

use crate::atomic::{AtomicFile, WriteError};
use crate::write::error::OutputError;

pub(super) enum Target {
    File(AtomicFile),
    Stream(Box<dyn Write + Send>),
}

impl Target {
    /// Ends the output.
    pub(super) fn commit(self) -> Result<(), OutputError> {
        match self {
            Self::File(file) => Ok(file.commit()?),
            Self::Stream(mut stream) => Ok(stream.flush()?),
        }
    }

    /// A failure to write, with the file's path.
    pub(super) fn error(&self, source: io::Error) -> OutputError {
        match self {
            Self::File(file) => WriteError::Write { path: file.path().to_owned(), source }.into(),
            Self::Stream(_) => source.into(),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}
