//! A memory-mapped weight file.

use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::CheckpointError;
use crate::bounded;
use crate::header::{self, Header};

/// A safetensors file of a checkpoint, mapped into memory.
#[derive(Debug)]
pub struct WeightFile {
    path: PathBuf,
    map: Mmap,
}

impl WeightFile {
    pub(super) fn open(path: PathBuf) -> Result<(Self, Header), CheckpointError> {
        let read = |source| CheckpointError::Read { file: path.clone(), source };
        let (file, _) = bounded::open_regular(&path).map_err(read)?;
        // SAFETY: The map is read-only and this process never writes the file. That no other process
        // truncates or rewrites a checkpoint while it is read is a condition that `Checkpoint` states;
        // every reader of mapped files has it.
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        match header::parse(&map) {
            Ok(header) => Ok((WeightFile { path, map }, header)),
            Err(source) => Err(CheckpointError::Header { file: path, source }),
        }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file, header included. Pages are read from disk when they are touched.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Length of the file in bytes; at least 8.
    #[expect(clippy::len_without_is_empty, reason = "a file with a header is never empty")]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Tells the kernel that this part of [`WeightFile::bytes`] is not needed for now, so that its pages
    /// stop counting as memory of this process.
    ///
    /// The part can be read again at any time: its pages are then taken from the page cache or the disk.
    /// Pages are released whole, so neighbours that share one are released with it, with no effect on
    /// what they hold. A range that does not lie in the file is cut to it. Does nothing where the
    /// operating system has no such advice.
    pub fn release(&self, range: std::ops::Range<usize>) {
        let end = range.end.min(self.map.len());
        let Some(length) = end.checked_sub(range.start).filter(|&length| length > 0) else {
            return;
        };
        #[cfg(unix)]
        {
            // SAFETY: The map is shared, read-only and backed by a file, and never written through.
            // Dropping its pages cannot lose data: reading them again brings back the file's bytes,
            // which by the condition on `Checkpoint` have not changed. So no `&[u8]` into the map ever
            // sees other values.
            let advised = unsafe {
                self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, length)
            };
            // Advice only: a kernel that refuses it leaves the pages where they are.
            drop(advised);
        }
        #[cfg(not(unix))]
        let _ = length;
    }
}
