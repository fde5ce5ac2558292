//! Blobs read back from `weights.bin`, or made again from the checkpoint, as float32 tensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use tmoe_model::Checkpoint;
use tmoe_onnx::{DataType, ExternalRef};
use tract_onnx::prelude::Tensor;

use super::Values;
use super::engine::self_test_error;
use super::programs::expert_name;
use crate::error::ExportError;
use crate::weights::{BlobId, WeightLayout, convert_matrix};

/// Reads blobs as float32.
pub(super) struct BlobReader<'a> {
    layout: &'a WeightLayout,
    source: Source<'a>,
}

/// Where blobs are read from.
enum Source<'a> {
    /// A weights file.
    File { file: File, path: PathBuf, places: &'a [ExternalRef] },
    /// The checkpoint that it was made from, unrounded.
    Checkpoint { checkpoint: &'a Checkpoint, rows: Vec<f32> },
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
        Ok(Self { layout, source: Source::File { file, path: path.to_owned(), places } })
    }

    pub(super) fn of_checkpoint(checkpoint: &'a Checkpoint, layout: &'a WeightLayout) -> Self {
        Self { layout, source: Source::Checkpoint { checkpoint, rows: Vec::new() } }
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
                self.read_elements(id, matrix, elements)?;
                values.insert(name, Arc::new(tensor));
            }
        }
        Ok(values)
    }

    /// Reads one matrix, or vector, of a blob.
    fn read_elements(&mut self, id: BlobId, matrix: usize, elements: &mut [f32]) -> Result<(), ExportError> {
        let blob = self.layout.blob(id);
        if let Source::Checkpoint { checkpoint, rows } = &mut self.source {
            return convert_matrix(checkpoint, blob, matrix, elements, rows);
        }
        let offset = (matrix * blob.matrix_bytes()) as u64;
        let count = elements.len();
        match blob.data_type {
            DataType::Float16 => {
                let mut bits = vec![0u16; count];
                self.read_bytes(id, offset, bytemuck::cast_slice_mut(&mut bits))?;
                bits.reinterpret_cast::<f16>().convert_to_f32_slice(elements);
            }
            DataType::Bfloat16 => {
                let mut bits = vec![0u16; count];
                self.read_bytes(id, offset, bytemuck::cast_slice_mut(&mut bits))?;
                bits.reinterpret_cast::<bf16>().convert_to_f32_slice(elements);
            }
            DataType::Int8 => {
                let Some(scales_id) = blob.scales else {
                    unreachable!("the layout gives every int8 blob its scales");
                };
                let (_, columns) = blob.matrix_shape();
                let (mut quantised, mut scales) = (vec![0i8; count], vec![0f32; columns]);
                self.read_bytes(id, offset, bytemuck::cast_slice_mut(&mut quantised))?;
                let first = (matrix * columns * size_of::<f32>()) as u64;
                self.read_bytes(scales_id, first, bytemuck::cast_slice_mut(&mut scales))?;
                for (row, quantised) in
                    elements.chunks_exact_mut(columns).zip(quantised.chunks_exact(columns))
                {
                    for ((value, &quantised), scale) in row.iter_mut().zip(quantised).zip(&scales) {
                        *value = f32::from(quantised) * scale;
                    }
                }
            }
            _ => self.read_bytes(id, offset, bytemuck::cast_slice_mut(elements))?,
        }
        Ok(())
    }

    fn read_bytes(&mut self, id: BlobId, offset: u64, bytes: &mut [u8]) -> Result<(), ExportError> {
        let Source::File { file, path, places } = &mut self.source else {
            unreachable!("a checkpoint is not read by bytes");
        };
        let start = SeekFrom::Start(places[id.0].offset + offset);
        let read = file.seek(start).and_then(|_| file.read_exact(bytes));
        read.map_err(|source| ExportError::Io { action: "read", path: path.clone(), source })
    }
}

fn weights_error(error: impl std::fmt::Display) -> ExportError {
    self_test_error("weights", format!("{error:#}"))
}
