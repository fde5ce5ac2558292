//! External data: tensors in a file beside the model.
//!
//! Lay the file out with [`ExternalLayout`], refer to its blobs from any number of graphs, and stream the bytes through
//! [`ExternalWriter`], which holds no more than what it is given at a time.

mod error;
mod layout;
mod reference;
mod writer;

pub use error::ExternalError;
pub use layout::{ExternalLayout, LARGE_BLOB};
pub use reference::ExternalRef;
pub use writer::{BlobWriter, ExternalWriter};
