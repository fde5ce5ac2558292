//! Which tensors go into which file, and the files' headers.

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{Options, WriteError};
use crate::checkpoint::SINGLE_FILE;
use crate::config::Config;
use crate::dtype::FloatType;
use crate::tensors::TensorName;

/// Most tensors written: a header entry has about 150 bytes, and the format allows headers of 100 MB.
const MAX_TENSORS: usize = 1 << 19;

/// The start of the data is a multiple of so many bytes from the start of the file, which is what the
/// format asks of writers.
const ALIGNMENT: usize = 8;

/// One file to write.
pub(super) struct Shard {
    pub(super) file: String,
    /// Tensors in the order of their data, with their numbers of elements.
    pub(super) tensors: Vec<(TensorName, usize)>,
    /// The safetensors header, padded.
    pub(super) header: Vec<u8>,
    /// Bytes of data.
    pub(super) bytes: u64,
}

pub(super) fn layout(config: &Config, options: &Options) -> Result<Vec<Shard>, WriteError> {
    if TensorName::all(config).nth(MAX_TENSORS).is_some() {
        return Err(WriteError::TooManyTensors { limit: MAX_TENSORS });
    }
    let mut groups: Vec<Vec<(TensorName, Vec<usize>)>> = vec![Vec::new()];
    let mut filled = 0;
    for (name, shape) in TensorName::with_shapes(config) {
        let bytes = (elements(&shape) * options.float_type.size()) as u64;
        if filled > 0 && options.shard_bytes.is_some_and(|limit| filled + bytes > limit) {
            groups.push(Vec::new());
            filled = 0;
        }
        if let Some(group) = groups.last_mut() {
            group.push((name, shape));
            filled += bytes;
        }
    }
    let count = groups.len();
    let file = |number: usize| match options.shard_bytes {
        None => SINGLE_FILE.to_owned(),
        Some(_) => format!("model-{number:05}-of-{count:05}.safetensors"),
    };
    let shards =
        groups.into_iter().zip(1..).map(|(group, number)| shard(file(number), group, options.float_type));
    Ok(shards.collect())
}

fn shard(file: String, group: Vec<(TensorName, Vec<usize>)>, float_type: FloatType) -> Shard {
    let tensors = group.iter().map(|(name, shape)| (*name, elements(shape))).collect();
    let mut end = 0;
    let entries = group.into_iter().map(|(name, shape)| {
        let start = end;
        end += elements(&shape) * float_type.size();
        let dtype = match float_type {
            FloatType::F32 => Dtype::F32,
            FloatType::BF16 => Dtype::BF16,
            FloatType::F16 => Dtype::F16,
        };
        (name.to_string(), TensorInfo { dtype, shape, data_offsets: (start, end) })
    });
    let entries = entries.collect();
    // transformers refuses files that do not say by which framework they were laid out.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let metadata = Metadata::new(Some(format), entries).expect("offsets follow each other by construction");
    let mut header = serde_json::to_vec(&metadata).expect("names and numbers are always JSON");
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    Shard { file, tensors, header, bytes: end as u64 }
}

fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}
