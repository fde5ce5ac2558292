//! Blobs read back from `weights.bin` as float32 tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use tmoe_onnx::{DataType, ExternalRef};
use tract_onnx::prelude::Tensor;

use super::Values;
use super::engine::self_test_error;
use super::programs::expert_name;
use crate::error::ExportError;
use crate::weights::{BlobId, WeightLayout};

/// Reads blobs of a weights file.
pub(super) struct BlobReader<'a> {
    file: File,
    path: PathBuf,
    layout: &'a WeightLayout,
    places: &'a [ExternalRef],
}

impl<'a> BlobReader<'a> {
    pub(super) fn open(
        path: &Path,
        layout: &'a WeightLayout,
        places: &'a [ExternalRef],
    ) -> Result<Self, ExportError> {
        let file = File::open(path).map_err(|source| ExportError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { file, path: path.to_owned(), layout, places })
    }

    /// Reads blobs, named as `names` are if given, else as they are; a stack of matrices comes as one tensor each.
    ///
    /// Tensors of `used` that have the name and shape of a new one are filled again: a large model's layers would else
    /// cost a page fault for every 4 KiB.
    pub(super) fn read(
        &mut self,
        ids: &[BlobId],
        names: Option<&[BlobId]>,
        mut used: Values,
    ) -> Result<Values, ExportError> {
        let mut values = BTreeMap::new();
        for (&id, &name) in ids.iter().zip(names.unwrap_or(ids)) {
            let (blob, name) = (self.layout.blob(id), &self.layout.blob(name).name);
            let (rows, columns) = blob.matrix_shape();
            for matrix in 0..blob.matrices() {
                let offset = self.places[id.0].offset + (matrix * blob.matrix_bytes()) as u64;
                let (name, shape) = match blob.shape.len() {
                    1 => (name.clone(), vec![columns]),
                    2 => (name.clone(), vec![rows, columns]),
                    _ => (expert_name(name, matrix), vec![rows, columns]),
                };
                let mut tensor = match used.remove(&name).and_then(Arc::into_inner) {
                    Some(tensor) if tensor.shape() == shape => tensor,
                    _ => Tensor::zero::<f32>(&shape).map_err(weights_error)?,
                };
                let mut view = tensor.try_as_plain_ram_mut().map_err(weights_error)?;
                let elements = view.as_slice_mut::<f32>().map_err(weights_error)?;
                self.read_elements(offset, blob.data_type, elements)?;
                values.insert(name, Arc::new(tensor));
            }
        }
        Ok(values)
    }

    fn read_elements(
        &mut self,
        offset: u64,
        data_type: DataType,
        elements: &mut [f32],
    ) -> Result<(), ExportError> {
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| match data_type {
            DataType::Float16 => {
                let mut bits = vec![0u16; elements.len()];
                self.file.read_exact(bytemuck::cast_slice_mut(&mut bits))?;
                bits.reinterpret_cast::<f16>().convert_to_f32_slice(elements);
                Ok(())
            }
            _ => self.file.read_exact(bytemuck::cast_slice_mut(elements)),
        });
        read.map_err(|source| ExportError::Io { action: "read", path: self.path.clone(), source })
    }
}

fn weights_error(error: impl std::fmt::Display) -> ExportError {
    self_test_error("weights", format!("{error:#}"))
}
