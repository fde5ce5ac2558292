//! Generations whose cache every pass makes anew.

use std::mem;

use ort::memory::MemoryInfo;
use ort::value::DynValue;

use super::session::Loaded;
use super::tensors::{from_host, results as host_results};
use crate::contract::{CacheLayout, INPUT_IDS};
use crate::error::Error;
use crate::provider::Generation;
use crate::tensor::NamedTensors;

/// Which session runs the next pass, after so many points and on these inputs.
pub(crate) type SessionOf<'a> = Box<dyn Fn(usize, &NamedTensors) -> Result<&'a Loaded, Error> + Send + 'a>;

/// What an error of ONNX Runtime means to a provider.
pub(crate) type ErrorOf<'a> = Box<dyn Fn(&Loaded, ort::Error) -> Error + Send + 'a>;

/// A cache that every pass makes anew, one pass longer: what operators of ai.onnx do. `values` are the `present` outputs of
/// the last pass, which ONNX Runtime owns and takes back as they are.
pub(crate) struct GrowingGeneration<'a> {
    session: SessionOf<'a>,
    /// Points that the cache holds.
    past: usize,
    cache: &'a CacheLayout,
    /// Where the cache lies.
    memory: MemoryInfo<'static>,
    /// What an error of ONNX Runtime means.
    error: ErrorOf<'a>,
    values: Vec<DynValue>,
    /// The points at the time that the generation was marked.
    mark: Option<usize>,
    /// The values of that time, when a pass since has made others.
    marked: Option<Vec<DynValue>>,
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
        Ok(Self {
            session: Box::new(move |_, _| Ok(loaded)),
            past: 0,
            cache,
            memory,
            error,
            values,
            mark: None,
            marked: None,
        })
    }

    /// Passes are run on sessions of their own, all with the same inputs and outputs.
    pub(crate) fn on_sessions(self, session: SessionOf<'a>) -> Self {
        Self { session, ..self }
    }

    fn run(&mut self, loaded: &Loaded, inputs: NamedTensors) -> ort::Result<NamedTensors> {
        let mut session = loaded.session();
        let mut binding = session.create_binding()?;
        for (name, tensor) in inputs {
            binding.bind_input(name, &from_host(tensor)?)?;
        }
        for (entry, value) in self.cache.entries.iter().zip(&self.values) {
            binding.bind_input(&entry.past, value)?;
            binding.bind_output_to_device(&entry.present, &self.memory)?;
        }
        let host = MemoryInfo::default();
        for name in self.cache.other_outputs(loaded.signature()) {
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
        let before = mem::replace(&mut self.values, next);
        if self.mark.is_some() && self.marked.is_none() {
            self.marked = Some(before);
        }
        Ok(outputs)
    }
}

impl Generation for GrowingGeneration<'_> {
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let loaded = (self.session)(self.past, &inputs)?;
        let points = inputs.get(INPUT_IDS).and_then(|tensor| tensor.shape().get(1).copied()).unwrap_or(0);
        let outputs = self.run(loaded, inputs).map_err(|source| (self.error)(loaded, source))?;
        self.past = self.past.saturating_add(points);
        Ok(outputs)
    }

    fn mark(&mut self) -> bool {
        (self.mark, self.marked) = (Some(self.past), None);
        true
    }

    fn rewind(&mut self) -> bool {
        let (mark, marked) = (self.mark.take(), self.marked.take());
        self.past = mark.unwrap_or(self.past);
        if let Some(values) = marked {
            self.values = values;
        }
        mark.is_some()
    }
}
