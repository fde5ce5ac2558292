//! What can be wrong with external data.

use std::io;

use super::ExternalRef;

/// External data that cannot be laid out, written or referred to.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// A name reserved twice.
    #[error("{location}: blob {name:?} is laid out twice")]
    DuplicateBlob {
        /// The file.
        location: String,
        /// Name of the blob.
        name: String,
    },
    /// A file longer than ONNX can refer to.
    #[error(
        "{location}: blob {name:?} of {length} bytes at {offset} would end beyond the largest offset, {}",
        i64::MAX
    )]
    TooLong {
        /// The file.
        location: String,
        /// Name of the blob.
        name: String,
        /// Where it would begin.
        offset: u64,
        /// Its length in bytes.
        length: u64,
    },
    /// A slice beyond the end of its blob.
    #[error("slice of {length} bytes at {offset} lies outside the {} bytes of {blob}", blob.length)]
    Slice {
        /// The blob.
        blob: ExternalRef,
        /// Beginning of the slice, from the beginning of the blob.
        offset: u64,
        /// Length of the slice.
        length: u64,
    },
    /// Blobs written in another order than planned.
    #[error("{location}: blob {found:?} was written where {expected:?} is planned")]
    Order {
        /// The file.
        location: String,
        /// The next planned blob.
        expected: String,
        /// The blob written.
        found: String,
    },
    /// A blob written after the last planned one.
    #[error("{location}: blob {name:?} was written after the last planned one")]
    Unplanned {
        /// The file.
        location: String,
        /// The blob written.
        name: String,
    },
    /// A blob of another length than planned or announced.
    #[error("{location}: blob {name:?} has {found} bytes, expected {expected}")]
    Length {
        /// The file.
        location: String,
        /// Name of the blob.
        name: String,
        /// Length planned or announced.
        expected: u64,
        /// Length given.
        found: u64,
    },
    /// A plan whose blobs were not all written.
    #[error("{location}: {missing} planned blobs were not written, the first is {name:?}")]
    Missing {
        /// The file.
        location: String,
        /// First blob that was not written.
        name: String,
        /// How many were not.
        missing: usize,
    },
    /// A blob was left unfinished, so that nothing after it lies where it should.
    #[error("{location}: an earlier blob, {name:?}, was not written to its end")]
    Unfinished {
        /// The file.
        location: String,
        /// The unfinished blob.
        name: String,
    },
    /// The file could not be written.
    #[error("cannot write {location}: {source}")]
    Io {
        /// The file.
        location: String,
        /// The reason.
        source: io::Error,
    },
}
