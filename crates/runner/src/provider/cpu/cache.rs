//! A cache in host memory.

use half::{bf16, f16};
use ort::memory::{Allocator, MemoryInfo};
use ort::value::{DynTensor, PrimitiveTensorElementType, TensorElementType};

use crate::contract::CacheLayout;
use crate::error::Error;
use crate::provider::onnxruntime::{Loaded, Place, from_host, results as host_results};
use crate::tensor::{ElementType, NamedTensors};

/// Host memory, for the passes of a session.
pub(super) struct HostPlace<'a> {
    pub(super) loaded: &'a Loaded,
}

/// The tensors of a cache, in the order of the layout.
pub(super) struct HostCache {
    tensors: Vec<DynTensor>,
    /// Elements of one head: rows there is room for, times the width of one.
    head: usize,
}

impl HostPlace<'_> {
    fn run(
        &self,
        layout: &CacheLayout,
        cache: &mut HostCache,
        inputs: NamedTensors,
    ) -> ort::Result<NamedTensors> {
        let host = MemoryInfo::default();
        let mut session = self.loaded.session();
        let mut binding = session.create_binding()?;
        for (name, tensor) in inputs {
            binding.bind_input(name, &from_host(tensor)?)?;
        }
        for (entry, tensor) in layout.entries.iter().zip(&mut cache.tensors) {
            binding.bind_input(&entry.past, tensor)?;
            binding.bind_output(&entry.present, tensor)?;
        }
        for name in layout.other_outputs(self.loaded.signature()) {
            binding.bind_output_to_device(name, &host)?;
        }
        let mut results = session.run_binding(&binding)?;
        for entry in &layout.entries {
            // Only the handle: the tensor stays.
            results.remove(&entry.present);
        }
        host_results(&results)
    }
}

/// Copies the first `elements` of every head.
fn copy<T: PrimitiveTensorElementType + Copy>(
    from: &HostCache,
    to: &mut HostCache,
    elements: usize,
) -> ort::Result<()> {
    let (from_head, to_head) = (from.head, to.head);
    for (from, to) in from.tensors.iter().zip(&mut to.tensors) {
        let (_, from) = from.try_extract_tensor::<T>()?;
        let (_, to) = to.try_extract_tensor_mut::<T>()?;
        for (from, to) in from.chunks_exact(from_head).zip(to.chunks_exact_mut(to_head)) {
            to[..elements].copy_from_slice(&from[..elements]);
        }
    }
    Ok(())
}

impl Place for HostPlace<'_> {
    type Cache = HostCache;

    fn reserve(&self, layout: &CacheLayout, batch: usize, capacity: usize) -> Result<HostCache, Error> {
        let allocator = Allocator::default();
        let shape = layout.shape(batch, capacity);
        let element_type = match layout.element_type {
            ElementType::F16 => TensorElementType::Float16,
            ElementType::BF16 => TensorElementType::Bfloat16,
            _ => TensorElementType::Float32,
        };
        let tensor = || DynTensor::new(&allocator, element_type, shape);
        let tensors = layout.entries.iter().map(|_| tensor()).collect::<ort::Result<_>>();
        let tensors = tensors.map_err(|error| self.loaded.error(error))?;
        Ok(HostCache { tensors, head: capacity * layout.head_dim })
    }

    fn copy(
        &self,
        layout: &CacheLayout,
        from: &HostCache,
        to: &mut HostCache,
        rows: usize,
    ) -> Result<(), Error> {
        let elements = rows * layout.head_dim;
        let copied = match layout.element_type {
            ElementType::F16 => copy::<f16>(from, to, elements),
            ElementType::BF16 => copy::<bf16>(from, to, elements),
            _ => copy::<f32>(from, to, elements),
        };
        copied.map_err(|error| self.loaded.error(error))
    }

    fn pass(
        &self,
        layout: &CacheLayout,
        cache: &mut HostCache,
        inputs: NamedTensors,
        _past: usize,
    ) -> Result<NamedTensors, Error> {
        self.run(layout, cache, inputs).map_err(|error| self.loaded.error(error))
    }
}
