//! Generations on ONNX Runtime: where the key/value cache lives between passes.

use ndarray::{ArrayD, IxDyn};
use ort::memory::{Allocator, MemoryInfo};
use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor as OrtTensor};

use super::session::{CpuBackend, feeds, from_host, results as host_results};
use crate::contract::{ATTENTION_MASK, CacheLayout, INPUT_IDS};
use crate::error::Error;
use crate::provider::Generation;
use crate::tensor::{NamedTensors, Tensor};

/// A cache that every pass makes anew, one pass longer: what operators of ai.onnx do. `values` are the `present` outputs of
/// the last pass, which ONNX Runtime owns and takes back as they are.
pub(super) struct GrowingGeneration<'a> {
    backend: &'a CpuBackend,
    cache: &'a CacheLayout,
    values: Vec<DynValue>,
}

impl<'a> GrowingGeneration<'a> {
    pub(super) fn new(backend: &'a CpuBackend, cache: &'a CacheLayout, batch: usize) -> ort::Result<Self> {
        let empty = || from_host(Tensor::F32(ArrayD::zeros(IxDyn(&cache.shape(batch, 0)))));
        let values = cache.entries.iter().map(|_| empty()).collect::<ort::Result<_>>()?;
        Ok(Self { backend, cache, values })
    }
}

impl Generation for GrowingGeneration<'_> {
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let Self { backend, cache, values } = self;
        let mut feeds: Vec<(String, SessionInputValue<'_>)> =
            feeds(inputs).map_err(|error| backend.error(error))?;
        for (entry, value) in cache.entries.iter().zip(values.iter()) {
            feeds.push((entry.past.clone(), value.into()));
        }
        let mut session = backend.session();
        let mut results = session.run(feeds).map_err(|error| backend.error(error))?;
        let next = cache
            .entries
            .iter()
            .map(|entry| {
                results
                    .remove(&entry.present)
                    .ok_or_else(|| backend.error(format!("the output `{}` is missing", entry.present)))
            })
            .collect::<Result<_, _>>()?;
        let outputs = host_results(&results).map_err(|error| backend.error(error))?;
        self.values = next;
        Ok(outputs)
    }
}

/// A cache that is allocated once: each tensor is bound as past and as present, and a pass writes its own rows only.
pub(super) struct InPlaceGeneration<'a> {
    backend: &'a CpuBackend,
    cache: &'a CacheLayout,
    batch: usize,
    /// Rows per head that the buffers have room for.
    capacity: usize,
    /// Rows that are filled.
    past: usize,
    buffers: Vec<OrtTensor<f32>>,
}

impl<'a> InPlaceGeneration<'a> {
    pub(super) fn new(
        backend: &'a CpuBackend,
        cache: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> ort::Result<Self> {
        let buffers = allocate(cache, batch, capacity)?;
        Ok(Self { backend, cache, batch, capacity, past: 0, buffers })
    }

    /// Makes room for `rows` rows per head, if there is none: twice as many, so that copies stay few.
    fn reserve(&mut self, rows: usize) -> ort::Result<()> {
        if rows <= self.capacity {
            return Ok(());
        }
        let capacity = rows.max(self.capacity.saturating_mul(2));
        let mut buffers = allocate(self.cache, self.batch, capacity)?;
        let (old, new) = (self.capacity * self.cache.head_dim, capacity * self.cache.head_dim);
        let filled = self.past * self.cache.head_dim;
        for (from, to) in self.buffers.iter().zip(&mut buffers) {
            let (_, from) = from.try_extract_tensor::<f32>()?;
            let (_, to) = to.try_extract_tensor_mut::<f32>()?;
            if filled > 0 {
                for (from, to) in from.chunks_exact(old).zip(to.chunks_exact_mut(new)) {
                    to[..filled].copy_from_slice(&from[..filled]);
                }
            }
        }
        (self.buffers, self.capacity) = (buffers, capacity);
        Ok(())
    }

    fn run(&mut self, inputs: NamedTensors) -> ort::Result<NamedTensors> {
        let points = inputs.get(INPUT_IDS).and_then(|tensor| tensor.shape().get(1).copied()).unwrap_or(0);
        debug_assert!(inputs.contains_key(ATTENTION_MASK), "whose length says how many rows are filled");
        let total = self.past.saturating_add(points);
        self.reserve(total)?;
        let host = MemoryInfo::default();
        let mut session = self.backend.session();
        let mut binding = session.create_binding()?;
        for (name, tensor) in inputs {
            binding.bind_input(name, &from_host(tensor)?)?;
        }
        for (entry, buffer) in self.cache.entries.iter().zip(&mut self.buffers) {
            binding.bind_input(&entry.past, buffer)?;
            binding.bind_output(&entry.present, buffer)?;
        }
        let is_cache = |name: &str| self.cache.entries.iter().any(|entry| entry.present == name);
        let names: Vec<String> = session.outputs().iter().map(|outlet| outlet.name().to_owned()).collect();
        for name in names.iter().filter(|name| !is_cache(name)) {
            binding.bind_output_to_device(name, &host)?;
        }
        let mut results = session.run_binding(&binding)?;
        for entry in &self.cache.entries {
            // Only the handle: the buffer stays.
            results.remove(&entry.present);
        }
        let outputs = host_results(&results)?;
        // A pass that failed may have written rows behind these; they count only now.
        self.past = total;
        Ok(outputs)
    }
}

impl Generation for InPlaceGeneration<'_> {
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let backend = self.backend;
        self.run(inputs).map_err(|error| backend.error(error))
    }
}

fn allocate(cache: &CacheLayout, batch: usize, capacity: usize) -> ort::Result<Vec<OrtTensor<f32>>> {
    let allocator = Allocator::default();
    cache.entries.iter().map(|_| OrtTensor::<f32>::new(&allocator, cache.shape(batch, capacity))).collect()
}
