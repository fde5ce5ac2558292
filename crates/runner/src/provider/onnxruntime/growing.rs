//! Generations whose cache every pass makes anew.

use ort::memory::MemoryInfo;
use ort::value::DynValue;

use super::session::Loaded;
use super::tensors::{from_host, results as host_results};
use crate::contract::CacheLayout;
use crate::error::Error;
use crate::provider::Generation;
use crate::tensor::NamedTensors;

/// What an error of ONNX Runtime means to a provider.
pub(crate) type ErrorOf<'a> = Box<dyn Fn(&Loaded, ort::Error) -> Error + Send + 'a>;

/// A cache that every pass makes anew, one pass longer: what operators of ai.onnx do. `values` are the `present` outputs of
/// the last pass, which ONNX Runtime owns and takes back as they are.
pub(crate) struct GrowingGeneration<'a> {
    loaded: &'a Loaded,
    cache: &'a CacheLayout,
    /// Where the cache lies.
    memory: MemoryInfo<'static>,
    /// What an error of ONNX Runtime means.
    error: ErrorOf<'a>,
    values: Vec<DynValue>,
}

impl<'a> GrowingGeneration<'a> {
    pub(crate) fn new(
        loaded: &'a Loaded,
        cache: &'a CacheLayout,
        batch: usize,
        memory: MemoryInfo<'static>,
        error: ErrorOf<'a>,
    ) -> Result<Self, Error> {
        let empty = || from_host(cache.empty(batch));
        let values = cache.entries.iter().map(|_| empty()).collect::<ort::Result<_>>();
        let values = values.map_err(|source| error(loaded, source))?;
        Ok(Self { loaded, cache, memory, error, values })
    }

    fn run(&mut self, inputs: NamedTensors) -> ort::Result<NamedTensors> {
        let mut session = self.loaded.session();
        let mut binding = session.create_binding()?;
        for (name, tensor) in inputs {
            binding.bind_input(name, &from_host(tensor)?)?;
        }
        for (entry, value) in self.cache.entries.iter().zip(&self.values) {
            binding.bind_input(&entry.past, value)?;
            binding.bind_output_to_device(&entry.present, &self.memory)?;
        }
        let host = MemoryInfo::default();
        for name in self.cache.other_outputs(self.loaded.signature()) {
            binding.bind_output_to_device(name, &host)?;
        }
        let mut results = session.run_binding(&binding)?;
        let next = self
            .cache
            .entries
            .iter()
            .map(|entry| {
                let missing = || ort::Error::new(format!("the output `{}` is missing", entry.present));
                results.remove(&entry.present).ok_or_else(missing)
            })
            .collect::<ort::Result<_>>()?;
        let outputs = host_results(&results)?;
        self.values = next;
        Ok(outputs)
    }
}

impl Generation for GrowingGeneration<'_> {
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        self.run(inputs).map_err(|source| (self.error)(self.loaded, source))
    }
}
