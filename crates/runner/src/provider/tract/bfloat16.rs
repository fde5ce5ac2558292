//! Graphs with bfloat16 weights, a type that tract does not load: such weights are widened to float32, which loses nothing.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use half::bf16;
use tract_onnx::Onnx;
use tract_onnx::pb::{ModelProto, TensorProto};
use tract_onnx::prelude::{Framework, InferenceModel, TractResult};
use tract_onnx::tract_core::internal::{anyhow, bail};

/// Numbers of `TensorProto.DataType`.
const FLOAT: i32 = 1;
const BFLOAT16: i32 = 16;

/// [`Framework::model_for_path`] that takes bfloat16 initializers.
pub(super) fn model_for_path(onnx: &Onnx, path: &Path) -> TractResult<InferenceModel> {
    let proto = onnx.proto_model_for_path(path)?;
    model(onnx, proto, path.parent().unwrap_or(Path::new("")))
}

/// [`Framework::model_for_read`] that takes bfloat16 initializers, and external data in `folder`.
pub(super) fn model_in_memory(
    onnx: &Onnx,
    mut bytes: &[u8],
    folder: Option<&Path>,
) -> TractResult<InferenceModel> {
    let proto = onnx.proto_model_for_read(&mut bytes)?;
    model(onnx, proto, folder.unwrap_or(Path::new("")))
}

fn model(onnx: &Onnx, mut proto: ModelProto, folder: &Path) -> TractResult<InferenceModel> {
    for tensor in proto.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
        if tensor.data_type == BFLOAT16 {
            widen(tensor, folder)?;
        }
    }
    let parsed = onnx.parse(&proto, folder.to_str())?;
    if !parsed.unresolved_inputs.is_empty() {
        bail!("the graph reads values that nothing gives: {:?}", parsed.unresolved_inputs);
    }
    Ok(parsed.model)
}

fn widen(tensor: &mut TensorProto, folder: &Path) -> TractResult<()> {
    let stored = if tensor.external_data.is_empty() {
        std::mem::take(&mut tensor.raw_data)
    } else {
        read_external(tensor, folder)?
    };
    let expected = tensor
        .dims
        .iter()
        .try_fold(2_usize, |bytes, &size| bytes.checked_mul(usize::try_from(size).ok()?))
        .ok_or_else(|| anyhow!("the tensor `{}` has the impossible shape {:?}", tensor.name, tensor.dims))?;
    if stored.len() != expected {
        bail!("the tensor `{}` has {} bytes, expected {expected}", tensor.name, stored.len());
    }
    let wide = stored.chunks_exact(2).flat_map(|bytes| {
        let value = bf16::from_le_bytes([bytes[0], bytes[1]]);
        value.to_f32().to_le_bytes()
    });
    tensor.raw_data = wide.collect();
    tensor.data_type = FLOAT;
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

fn read_external(tensor: &TensorProto, folder: &Path) -> TractResult<Vec<u8>> {
    let entry = |key: &str| {
        let found = tensor.external_data.iter().find(|entry| entry.key == key);
        found
            .map(|entry| entry.value.as_str())
            .ok_or_else(|| anyhow!("`{}` does not say its {key}", tensor.name))
    };
    let location = entry("location")?;
    let number = |key| -> TractResult<u64> {
        entry(key)?.parse().map_err(|error| anyhow!("the {key} of `{}`: {error}", tensor.name))
    };
    let (offset, length) = (number("offset")?, number("length")?);
    let path = folder.join(location);
    let mut file = File::open(&path)?;
    // So that a wrong length asks for no more memory than there are bytes.
    if file.metadata()?.len().checked_sub(offset).is_none_or(|rest| rest < length) {
        bail!("`{}` lies beyond the end of {}", tensor.name, path.display());
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; usize::try_from(length)?];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
