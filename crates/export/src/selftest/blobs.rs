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
    pub(super) fn read(&mut self, ids: &[BlobId], names: Option<&[BlobId]>) -> Result<Values, ExportError> {
        let mut values = BTreeMap::new();
        for (&id, &name) in ids.iter().zip(names.unwrap_or(ids)) {
            let (blob, name) = (self.layout.blob(id), &self.layout.blob(name).name);
            let (rows, columns) = blob.matrix_shape();
            for matrix in 0..blob.matrices() {
                let offset = self.places[id.0].offset + (matrix * blob.matrix_bytes()) as u64;
                let elements = self.read_elements(offset, rows * columns, blob.data_type)?;
                let (name, shape) = match blob.shape.len() {
                    1 => (name.clone(), vec![columns]),
                    2 => (name.clone(), vec![rows, columns]),
                    _ => (expert_name(name, matrix), vec![rows, columns]),
                };
                let tensor = tract_onnx::prelude::tract_ndarray::ArrayD::from_shape_vec(shape, elements)
                    .map_err(|error| self_test_error("weights", error))?;
                values.insert(name, Arc::new(Tensor::from(tensor)));
            }
        }
        Ok(values)
    }

    fn read_elements(
        &mut self,
        offset: u64,
        count: usize,
        data_type: DataType,
    ) -> Result<Vec<f32>, ExportError> {
        let mut elements = vec![0f32; count];
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| match data_type {
            DataType::Float16 => {
                let mut bits = vec![0u16; count];
                self.file.read_exact(bytemuck::cast_slice_mut(&mut bits))?;
                bits.reinterpret_cast::<f16>().convert_to_f32_slice(&mut elements);
                Ok(())
            }
            _ => self.file.read_exact(bytemuck::cast_slice_mut(&mut elements)),
        });
        match read {
            Ok(()) => Ok(elements),
            Err(source) => Err(ExportError::Io { action: "read", path: self.path.clone(), source }),
        }
    }
}
