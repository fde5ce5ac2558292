//! The memory of one pass besides the cache: its inputs and outputs, one behind the other.
//!
//! ```text
//! on the device   input_ids | attention_mask | .. | predictions.h1 | predictions.h8 | ..
//! on the host     the same, page-locked: one copy takes all inputs there, one all outputs back
//! ```

use std::ops::Range;
use std::sync::Arc;

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use tmoe_driver::{CallError, Device, DeviceMemory, PinnedMemory};

use crate::contract::CacheLayout;
use crate::signature::{InputError, Port, Signature};
use crate::tensor::{ElementType, NamedTensors, Tensor};

/// Tensors begin at multiples of that many bytes, as memory that CUDA reserves does.
pub(super) const ALIGNMENT: usize = 256;

/// Bytes from one tensor of a cache to the next.
pub(super) fn cache_tensor_bytes(layout: &CacheLayout, batch: usize, capacity: usize) -> usize {
    let elements = layout.shape(batch, capacity).into_iter().fold(1, usize::saturating_mul);
    elements.saturating_mul(layout.element_bytes()).checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX)
}

/// A tensor of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) element_type: ElementType,
    pub(super) shape: Vec<usize>,
    /// Where its bytes lie.
    pub(super) bytes: Range<usize>,
}

/// The tensors of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StepLayout {
    pub(super) inputs: Vec<Part>,
    pub(super) outputs: Vec<Part>,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

/// Why a pass has no layout.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the output `{name}` is {element_type} {shape}, whose size does not follow from the inputs")]
    Output { name: String, element_type: ElementType, shape: String },
}

impl StepLayout {
    /// The layout of a pass over `inputs`.
    pub(super) fn of(
        signature: &Signature,
        cache: &CacheLayout,
        inputs: &NamedTensors,
    ) -> Result<Self, LayoutError> {
        let sizes = signature.check_given(inputs)?;
        let mut layout = Self::default();
        for (name, tensor) in inputs {
            let part = layout.part(name, tensor.element_type(), tensor.shape().to_vec());
            layout.inputs.push(part);
        }
        for name in cache.other_outputs(signature) {
            let Some(port) = signature.output(name) else { continue };
            let shape: Option<Vec<usize>> = port.shape.iter().map(|dim| dim.eval(&sizes)).collect();
            let shape = match (shape, &port.element_type) {
                (Some(shape), element_type) if !matches!(element_type, ElementType::Other(_)) => shape,
                _ => return Err(LayoutError::of(port)),
            };
            let part = layout.part(name, port.element_type.clone(), shape);
            layout.outputs.push(part);
        }
        Ok(layout)
    }

    fn part(&mut self, name: &str, element_type: ElementType, shape: Vec<usize>) -> Part {
        let size = match element_type {
            ElementType::I64 => size_of::<i64>(),
            ElementType::F16 | ElementType::BF16 => size_of::<u16>(),
            _ => size_of::<f32>(),
        };
        let bytes = shape.iter().product::<usize>() * size;
        let begin = self.bytes;
        self.bytes = (begin + bytes).next_multiple_of(ALIGNMENT);
        Part { name: name.to_owned(), element_type, shape, bytes: begin..begin + bytes }
    }

    /// Where the inputs end and the outputs begin.
    fn border(&self) -> usize {
        self.outputs.first().map_or(self.bytes, |part| part.bytes.start)
    }
}

impl LayoutError {
    fn of(port: &Port) -> Self {
        let (name, element_type) = (port.name.clone(), port.element_type.clone());
        Self::Output { name, element_type, shape: port.shape_text() }
    }
}

/// Memory for a layout, on the device and on the host.
pub(super) struct StepMemory {
    pub(super) device: DeviceMemory,
    host: PinnedMemory,
}

impl StepMemory {
    pub(super) fn reserve(device: &Arc<Device>, bytes: usize) -> Result<Self, CallError> {
        Ok(Self {
            device: DeviceMemory::reserve(device, bytes)?,
            host: PinnedMemory::reserve(device, bytes)?,
        })
    }

    /// Copies the inputs to the device.
    pub(super) fn upload(&mut self, layout: &StepLayout, inputs: &NamedTensors) -> Result<(), CallError> {
        self.write(layout, inputs);
        self.device.upload(&self.host.as_slice()[..layout.border()])
    }

    /// Copies the outputs from the device.
    pub(super) fn download(&mut self, layout: &StepLayout) -> Result<NamedTensors, CallError> {
        let border = layout.border();
        self.device.download(border, &mut self.host.as_mut_slice()[border..layout.bytes])?;
        Ok(self.read(layout))
    }

    /// Writes the inputs to the memory on the host.
    pub(super) fn write(&mut self, layout: &StepLayout, inputs: &NamedTensors) {
        let host = self.host.as_mut_slice();
        for part in &layout.inputs {
            match inputs.get(&part.name) {
                Some(Tensor::F32(values)) => write(&mut host[part.bytes.clone()], values, f32::to_ne_bytes),
                Some(Tensor::F16(values)) => write(&mut host[part.bytes.clone()], values, f16::to_ne_bytes),
                Some(Tensor::BF16(values)) => {
                    write(&mut host[part.bytes.clone()], values, bf16::to_ne_bytes);
                }
                Some(Tensor::I64(values)) => write(&mut host[part.bytes.clone()], values, i64::to_ne_bytes),
                None => {}
            }
        }
    }

    /// Reads the outputs from the memory on the host.
    pub(super) fn read(&self, layout: &StepLayout) -> NamedTensors {
        let host = self.host.as_slice();
        let read = |part: &Part| {
            let (bytes, shape) = (&host[part.bytes.clone()], IxDyn(&part.shape));
            let tensor = match part.element_type {
                ElementType::I64 => Tensor::I64(read(bytes, shape, i64::from_ne_bytes)),
                ElementType::F16 => Tensor::F16(read(bytes, shape, f16::from_ne_bytes)),
                ElementType::BF16 => Tensor::BF16(read(bytes, shape, bf16::from_ne_bytes)),
                _ => Tensor::F32(read(bytes, shape, f32::from_ne_bytes)),
            };
            (part.name.clone(), tensor)
        };
        layout.outputs.iter().map(read).collect()
    }

    /// Queues the inputs' copy to the device.
    ///
    /// # Safety
    ///
    /// As of [`DeviceMemory::queue_upload`].
    #[cfg(feature = "tensorrt")]
    pub(super) unsafe fn queue_upload(&self, layout: &StepLayout) -> Result<(), CallError> {
        // SAFETY: the caller's.
        unsafe { self.device.queue_upload(0..layout.border(), &self.host) }
    }

    /// Queues the outputs' copy from the device.
    ///
    /// # Safety
    ///
    /// As of [`DeviceMemory::queue_download`].
    #[cfg(feature = "tensorrt")]
    pub(super) unsafe fn queue_download(&mut self, layout: &StepLayout) -> Result<(), CallError> {
        // SAFETY: the caller's.
        unsafe { self.device.queue_download(layout.border()..layout.bytes, &mut self.host) }
    }
}

fn write<T: Copy, const N: usize>(bytes: &mut [u8], values: &ArrayD<T>, encode: fn(T) -> [u8; N]) {
    for (bytes, &value) in bytes.chunks_exact_mut(N).zip(values) {
        bytes.copy_from_slice(&encode(value));
    }
}

fn read<T, const N: usize>(bytes: &[u8], shape: IxDyn, decode: fn([u8; N]) -> T) -> ArrayD<T> {
    let (values, _) = bytes.as_chunks::<N>();
    let values = values.iter().map(|&value| decode(value)).collect();
    ArrayD::from_shape_vec(shape, values).unwrap_or_else(|_| unreachable!("as many bytes as the shape has"))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;
    use crate::contract::{ATTENTION_MASK, INPUT_IDS};
    use crate::signature::Dim;

    fn port(name: &str, element_type: ElementType, dims: &[&str]) -> Port {
        Port { name: name.to_owned(), element_type, shape: dims.iter().map(|dim| Dim::parse(dim)).collect() }
    }

    fn signature(output: &[&str]) -> Signature {
        Signature {
            inputs: vec![
                port(INPUT_IDS, ElementType::F32, &["batch", "sequence", "1"]),
                port(ATTENTION_MASK, ElementType::I64, &["batch", "past + sequence"]),
            ],
            outputs: vec![
                port("predictions.h8", ElementType::F32, output),
                port("present.0.key", ElementType::F32, &["batch", "1", "past + sequence", "4"]),
                port("loss", ElementType::F32, &[]),
            ],
        }
    }

    fn layout(output: &[&str]) -> Result<StepLayout, LayoutError> {
        let cache = CacheLayout {
            entries: vec![crate::contract::CacheEntry {
                past: "past_key_values.0.key".to_owned(),
                present: "present.0.key".to_owned(),
            }],
            kv_heads: 1,
            head_dim: 4,
            element_type: ElementType::F32,
            in_place: true,
        };
        let inputs = NamedTensors::from([
            (INPUT_IDS.to_owned(), Array3::<f32>::zeros((2, 3, 1)).into()),
            (ATTENTION_MASK.to_owned(), Array2::<i64>::ones((2, 40)).into()),
        ]);
        StepLayout::of(&signature(output), &cache, &inputs)
    }

    #[test]
    fn inputs_lie_before_outputs_and_the_cache_is_none_of_them() {
        let layout = layout(&["batch", "sequence", "8"]).unwrap();
        let places = |parts: &[Part]| {
            parts.iter().map(|part| (part.name.clone(), part.bytes.clone())).collect::<Vec<_>>()
        };
        // 2 x 40 numbers of 8 bytes, rounded up to 768.
        let inputs = [(ATTENTION_MASK.to_owned(), 0..640), (INPUT_IDS.to_owned(), 768..792)];
        assert_eq!(places(&layout.inputs), inputs);
        let outputs = [("predictions.h8".to_owned(), 1024..1216), ("loss".to_owned(), 1280..1284)];
        assert_eq!(places(&layout.outputs), outputs);
        assert_eq!((layout.border(), layout.bytes), (1024, 1536));
        assert_eq!(layout.outputs[0].shape, [2, 3, 8]);
    }

    #[test]
    fn an_output_whose_size_is_not_known_is_named() {
        let message = layout(&["batch", "rows"]).unwrap_err().to_string();
        assert_eq!(
            message,
            "the output `predictions.h8` is float32 [batch, rows], whose size does not follow from the inputs"
        );
    }
}
