//! The bytes of a Parquet file, whose end is an error.
//!
//! The decoder skips what it does not know by reading it. In a damaged file that may be a list of
//! billions of elements, and where a read at the end of the file succeeds with no bytes, it goes
//! through all of them.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use ::parquet::errors::Result;
use ::parquet::file::reader::{ChunkReader, Length};

/// A file that cannot be read beyond its end.
pub(super) struct Bytes(pub(super) File);

/// Reads that return bytes or an error.
pub(super) struct Ending(File);

impl Length for Bytes {
    fn len(&self) -> u64 {
        Length::len(&self.0)
    }
}

impl ChunkReader for Bytes {
    type T = BufReader<Ending>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut file = self.0.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(Ending(file)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<::bytes::Bytes> {
        self.0.get_bytes(start, length)
    }
}

impl Read for Ending {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}
