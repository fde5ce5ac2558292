//! `weights.bin`, written as a stream: one thread converts, the calling thread hashes and writes.
//!
//! Memory stays at a few matrices, whatever the size of the model: a matrix that was written goes back to the
//! converting thread to be filled again, and pages of the checkpoint are given back to the kernel once converted.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use half::{bf16, f16};
use tmoe_model::Checkpoint;
use tmoe_onnx::{DataType, ExternalLayout, ExternalRef, ExternalWriter};
use tmoe_package::{FileEntry, HashingWriter, files};

use super::layout::{Blob, WeightLayout};
use super::quantize::quantize_columns;
use super::transpose::{Columns, Stored, transpose_into};
use crate::error::ExportError;
use crate::progress::Progress;

/// Matrices under way between the two threads: one being converted, one being written, one waiting.
const IN_FLIGHT: usize = 3;

/// Where each blob will lie, in the order of the layout.
pub(crate) fn plan(layout: &WeightLayout) -> Result<(ExternalLayout, Vec<ExternalRef>), ExportError> {
    let mut file = ExternalLayout::new(files::WEIGHTS);
    let places = layout
        .blobs
        .iter()
        .map(|blob| file.reserve(blob.name.clone(), blob.bytes() as u64))
        .collect::<Result<_, _>>()?;
    Ok((file, places))
}

/// Converts every blob and writes it to `path` where `plan` says.
pub(crate) fn write_weights(
    checkpoint: &Checkpoint,
    layout: &WeightLayout,
    plan: ExternalLayout,
    path: &Path,
    progress: &Progress<'_>,
) -> Result<FileEntry, ExportError> {
    let io = |source| ExportError::Io { action: "write", path: path.to_owned(), source };
    let file = File::create(path).map_err(io)?;
    let mut writer = ExternalWriter::planned(plan, HashingWriter::new(file));
    std::thread::scope(|scope| {
        let (filled_in, filled) = sync_channel::<Result<Matrix, ExportError>>(1);
        let (empty_in, empty) = sync_channel(IN_FLIGHT);
        for _ in 0..IN_FLIGHT {
            // The channel has room for all of them and its receiver is alive: this cannot fail.
            let _ = empty_in.send(Vec::new());
        }
        scope.spawn(move || convert_all(checkpoint, layout, &empty, &filled_in));
        for blob in &layout.blobs {
            let mut part = writer.begin(&blob.name, blob.bytes() as u64)?;
            for _ in 0..blob.matrices() {
                progress.check()?;
                let Ok(matrix) = filled.recv() else {
                    unreachable!("the converting thread sends every matrix or an error");
                };
                let matrix = matrix?;
                let bytes: &[u8] = &bytemuck::cast_slice(&matrix.words)[..matrix.bytes];
                part.append(bytes)?;
                progress.advance(bytes.len() as u64);
                // After the last matrix nobody waits for an empty one.
                let _ = empty_in.send(matrix.words);
            }
            part.finish()?;
        }
        Ok::<_, ExportError>(())
    })?;
    let (_, hashing) = writer.finish()?;
    let (_, sha256, bytes) = hashing.finish();
    Ok(FileEntry { bytes, sha256 })
}

/// A converted matrix. Held in 32-bit words, which are aligned for every element type.
struct Matrix {
    words: Vec<u32>,
    bytes: usize,
}

fn convert_all(
    checkpoint: &Checkpoint,
    layout: &WeightLayout,
    empty: &Receiver<Vec<u32>>,
    filled: &SyncSender<Result<Matrix, ExportError>>,
) {
    let mut scratch = Scratch::default();
    for blob in &layout.blobs {
        for index in 0..blob.matrices() {
            // Either channel closes only when the writing side has failed and reports that.
            let Ok(mut words) = empty.recv() else { return };
            words.resize(blob.matrix_bytes().div_ceil(4), 0);
            let converted = fill(checkpoint, blob, index, &mut words, &mut scratch);
            let failed = converted.is_err();
            let matrix = converted.map(|()| Matrix { words, bytes: blob.matrix_bytes() });
            if filled.send(matrix).is_err() || failed {
                return;
            }
        }
    }
}

/// What is kept from matrix to matrix.
#[derive(Default)]
struct Scratch {
    /// A few rows being transposed.
    rows: Vec<f32>,
    /// A float32 matrix on its way to int8.
    matrix: Vec<u32>,
    /// Scales of the int8 matrices since the last blob of scales.
    scales: Vec<f32>,
}

/// Fills one matrix of a blob.
fn fill(
    checkpoint: &Checkpoint,
    blob: &Blob,
    index: usize,
    words: &mut [u32],
    scratch: &mut Scratch,
) -> Result<(), ExportError> {
    if blob.scales_of.is_some() {
        // A blob of scales follows the matrices whose they are.
        let scales: &mut [f32] = bytemuck::cast_slice_mut(words);
        scales.copy_from_slice(&scratch.scales);
        scratch.scales.clear();
        return Ok(());
    }
    match blob.data_type {
        DataType::Float16 => convert::<f16>(checkpoint, blob, index, words, &mut scratch.rows),
        DataType::Bfloat16 => convert::<bf16>(checkpoint, blob, index, words, &mut scratch.rows),
        DataType::Int8 => {
            let (rows, columns) = blob.matrix_shape();
            scratch.matrix.resize(rows * columns, 0);
            convert::<f32>(checkpoint, blob, index, &mut scratch.matrix, &mut scratch.rows)?;
            let first = scratch.scales.len();
            scratch.scales.resize(first + columns, 0.0);
            let quantised: &mut [i8] = &mut bytemuck::cast_slice_mut(words)[..rows * columns];
            let matrix = bytemuck::cast_slice(&scratch.matrix);
            quantize_columns(matrix, quantised, &mut scratch.scales[first..]);
            Ok(())
        }
        _ => convert::<f32>(checkpoint, blob, index, words, &mut scratch.rows),
    }
}

/// One matrix of a blob in float32, whatever the blob is stored as.
pub(crate) fn convert_matrix(
    checkpoint: &Checkpoint,
    blob: &Blob,
    index: usize,
    matrix: &mut [f32],
    rows: &mut Vec<f32>,
) -> Result<(), ExportError> {
    convert::<f32>(checkpoint, blob, index, bytemuck::cast_slice_mut(matrix), rows)
}

/// Fills one matrix of a blob from the tensors that belong there.
fn convert<T: Stored>(
    checkpoint: &Checkpoint,
    blob: &Blob,
    index: usize,
    words: &mut [u32],
    scratch: &mut Vec<f32>,
) -> Result<(), ExportError> {
    let (rows, width) = blob.matrix_shape();
    let matrix: &mut [T] = &mut bytemuck::cast_slice_mut(words)[..rows * width];
    for block in blob.blocks.iter().filter(|block| block.matrix == index) {
        let tensor = checkpoint.tensor(block.tensor)?;
        let target = Columns { matrix, width, column: block.column };
        if let Some(at) = transpose_into(&tensor, block.out, block.input, target, scratch) {
            let mut values = vec![0.0; tensor.elements()];
            tensor.copy_to_f32(&mut values)?;
            let value = values[at];
            return Err(if value.is_finite() {
                ExportError::TooLarge {
                    file: tensor.file().to_owned(),
                    tensor: block.tensor.to_string(),
                    index: at,
                    value,
                }
            } else {
                tensor.non_finite(at, value).into()
            });
        }
        tensor.release();
    }
    Ok(())
}
