//! A graph on ONNX Runtime's CPU provider.

use ort::memory::MemoryInfo;
use ort::session::builder::AutoDevicePolicy;

use super::cache::HostPlace;
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::provider::onnxruntime::{GrowingGeneration, InPlaceGeneration, Loaded, Setup};
use crate::provider::{Backend, Generation, GraphContent, Provider, ProviderOptions};
use crate::signature::Signature;
use crate::tensor::NamedTensors;

/// A graph loaded by ONNX Runtime on the CPU.
pub(crate) struct CpuBackend {
    pub(super) loaded: Loaded,
    threads: usize,
}

impl CpuBackend {
    pub(crate) fn load(
        graph: &GraphSource,
        content: GraphContent<'_>,
        options: &ProviderOptions,
    ) -> Result<Self, Error> {
        let threads = options.threads_on(Provider::Cpu);
        let setup = Setup { provider: Provider::Cpu, graph, content, threads, options };
        // Whatever devices the library knows: this provider is the CPU.
        let loaded = setup.load(|builder| {
            let configured = builder.with_auto_device(AutoDevicePolicy::PreferCPU);
            configured.map_err(|error| Error::load(Provider::Cpu, graph, error))
        })?;
        Ok(Self { loaded, threads })
    }
}

impl Backend for CpuBackend {
    fn signature(&self) -> &Signature {
        self.loaded.signature()
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        self.loaded.run(inputs, None).map_err(|error| self.loaded.error(error))
    }

    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error> {
        Ok(if cache.in_place {
            let place = HostPlace { loaded: &self.loaded };
            Box::new(InPlaceGeneration::new(place, cache, batch, capacity)?)
        } else {
            let error = |loaded: &Loaded, error: ort::Error| loaded.error(error);
            let memory = MemoryInfo::default();
            Box::new(GrowingGeneration::new(&self.loaded, cache, batch, memory, Box::new(error))?)
        })
    }
}
