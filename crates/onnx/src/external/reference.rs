//! Places in an external data file.

use std::fmt;

use super::ExternalError;
use crate::proto::{DataLocation, StringStringEntryProto, TensorProto};

/// Where the bytes of a tensor lie: the `external_data` of a `TensorProto`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalRef {
    /// File, relative to the folder of the model.
    pub location: String,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl ExternalRef {
    /// A part of the blob, `offset` counted from its beginning.
    ///
    /// # Errors
    /// [`ExternalError::Slice`] when the part does not lie within the blob.
    pub fn slice(&self, offset: u64, length: u64) -> Result<Self, ExternalError> {
        let end = offset.checked_add(length).filter(|&end| end <= self.length);
        match (end, self.offset.checked_add(offset)) {
            (Some(_), Some(offset)) => Ok(Self { location: self.location.clone(), offset, length }),
            _ => Err(ExternalError::Slice { blob: self.clone(), offset, length }),
        }
    }

    /// Marks a tensor as lying here.
    pub(crate) fn store_in(&self, tensor: &mut TensorProto) {
        tensor.set_data_location(DataLocation::External);
        tensor.external_data = vec![
            StringStringEntryProto::new("location", &*self.location),
            StringStringEntryProto::new("offset", self.offset.to_string()),
            StringStringEntryProto::new("length", self.length.to_string()),
        ];
    }
}

impl fmt::Display for ExternalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}+{}", self.location, self.offset, self.length)
    }
}
