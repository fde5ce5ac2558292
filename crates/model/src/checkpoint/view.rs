//! A tensor where it lies in the mapped file.

use std::path::Path;

use super::{CheckpointError, WeightFile};
use crate::dtype::{FloatType, LengthMismatch};
use crate::header::Entry;
use crate::tensors::TensorName;

/// A weight in a mapped file: nothing is copied until it is converted.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    pub(super) name: TensorName,
    pub(super) file: &'a WeightFile,
    pub(super) float_type: FloatType,
    pub(super) entry: &'a Entry,
}

impl<'a> TensorView<'a> {
    /// Which weight this is.
    pub fn name(&self) -> TensorName {
        self.name
    }

    /// The file that holds it.
    pub fn file(&self) -> &'a Path {
        self.file.path()
    }

    /// The type of the stored elements.
    pub fn float_type(&self) -> FloatType {
        self.float_type
    }

    /// Dimensions, outermost first: what [`TensorName::shape`] says.
    pub fn shape(&self) -> &'a [usize] {
        &self.entry.shape
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.bytes().len() / self.float_type.size()
    }

    /// The stored elements, row-major and little-endian, at any alignment.
    pub fn bytes(&self) -> &'a [u8] {
        // `header::parse` gives ranges inside the file only, and the map does not change its length.
        &self.file.bytes()[self.entry.range.clone()]
    }

    /// Converts all elements to float32, exactly.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Length`] when `out` has not exactly [`TensorView::elements`] elements.
    pub fn copy_to_f32(&self, out: &mut [f32]) -> Result<(), CheckpointError> {
        self.float_type.copy_to_f32(self.bytes(), out).map_err(|source| self.length(source))
    }

    /// The rows: slices along the first dimension. A vector has one element per row.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = RowView<'a>> + use<'a> {
        let float_type = self.float_type;
        let elements: usize = self.shape().iter().skip(1).product();
        // Sizes of a valid configuration are not 0; `max` keeps chunks_exact from depending on it.
        let bytes = (elements * float_type.size()).max(1);
        self.bytes().chunks_exact(bytes).map(move |bytes| RowView { float_type, bytes })
    }

    /// Checks that no element is NaN or infinite, at memory speed.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NonFinite`] with the first such element.
    pub fn check_finite(&self) -> Result<(), CheckpointError> {
        match self.float_type.first_non_finite(self.bytes()) {
            None => Ok(()),
            Some((index, value)) => Err(self.non_finite(index, value)),
        }
    }

    /// The error for a NaN or infinite element, for callers that look for one while they convert
    /// (see [`crate::first_non_finite`]).
    pub fn non_finite(&self, index: usize, value: f32) -> CheckpointError {
        CheckpointError::NonFinite {
            file: self.file().to_path_buf(),
            tensor: self.name.to_string(),
            index,
            value,
        }
    }

    /// Tells the kernel that the tensor is not needed for now, see [`WeightFile::release`].
    ///
    /// Reading a whole checkpoint leaves all of it resident. Whoever converts tensor after tensor and
    /// has to stay within a memory bound calls this after each.
    pub fn release(&self) {
        self.file.release(self.entry.range.clone());
    }

    fn length(&self, source: LengthMismatch) -> CheckpointError {
        CheckpointError::Length { tensor: self.name.to_string(), source }
    }
}

/// One row of a tensor, see [`TensorView::rows`].
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    float_type: FloatType,
    bytes: &'a [u8],
}

impl<'a> RowView<'a> {
    /// The stored elements, little-endian, at any alignment.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.bytes.len() / self.float_type.size()
    }

    /// Converts the row to float32, exactly.
    ///
    /// # Errors
    ///
    /// [`LengthMismatch`] when `out` has not exactly [`RowView::elements`] elements.
    pub fn copy_to_f32(&self, out: &mut [f32]) -> Result<(), LengthMismatch> {
        self.float_type.copy_to_f32(self.bytes, out)
    }
}
