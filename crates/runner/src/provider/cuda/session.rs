//! A graph on ONNX Runtime's CUDA provider.

use std::sync::Arc;

use ort::ep::{ArenaExtendStrategy, CUDA, ExecutionProviderDispatch};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::SessionBuilder;
use tmoe_driver::Device;

use super::cache::{CacheMemory, DevicePlace};
use super::capture::Captures;
use super::error::CudaError;
use super::memory_error::run_error;
use super::ready::ready;
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::provider::idle::Idle;
use crate::provider::onnxruntime::{
    GrowingGeneration, InPlaceGeneration, Loaded, RECORD_ASSIGNMENT, Setup, assigned_to,
};
use crate::provider::{Backend, Generation, GraphContent, Provider, ProviderOptions};
use crate::signature::Signature;
use crate::tensor::NamedTensors;

/// A graph loaded by ONNX Runtime on a CUDA device.
pub(crate) struct CudaBackend {
    /// Before the device, as all that uses it.
    pub(super) idle: Idle<CacheMemory>,
    pub(super) loaded: Loaded,
    pub(super) captures: Option<Captures>,
    /// How ONNX Runtime calls the device's memory.
    pub(super) memory: MemoryInfo<'static>,
    pub(super) device: Arc<Device>,
    pub(super) threads: usize,
}

impl CudaBackend {
    pub(crate) fn load(
        graph: &GraphSource,
        content: GraphContent<'_>,
        options: &ProviderOptions,
    ) -> Result<Self, Error> {
        let found = ready()?;
        let device = Device::open(found.driver, options.device).map_err(CudaError::from)?;
        // Threads are for the few nodes about shapes that stay on the processor.
        let threads = options.threads_on(Provider::Cuda);
        let setup = Setup { provider: Provider::Cuda, graph, content, threads, options };
        let loaded = setup.load(|builder| Ok(configure(builder, options).map_err(CudaError::not_started)?));
        let loaded = loaded.map_err(|error| load_error(error, &device))?;
        let failed = |error: ort::Error| Error::load(Provider::Cuda, graph, error);
        check_assignment(&loaded).map_err(failed)?;
        Ok(Self {
            idle: Idle::default(),
            captures: options.cuda_graph.then(Captures::new).transpose().map_err(failed)?,
            memory: device_memory(options.device).map_err(failed)?,
            loaded,
            device,
            threads,
        })
    }
}

/// Asks for the CUDA provider and nothing else.
fn configure(builder: SessionBuilder, options: &ProviderOptions) -> ort::Result<SessionBuilder> {
    let (key, value) = RECORD_ASSIGNMENT;
    let provider = execution_provider(options)?;
    Ok(builder.with_config_entry(key, value)?.with_execution_providers([provider])?)
}

/// ONNX Runtime's CUDA provider with its options; one that cannot be had is an error and not a session on the CPU.
fn execution_provider(options: &ProviderOptions) -> ort::Result<ExecutionProviderDispatch> {
    let provider = CUDA::default()
        .with_device_id(device_id(options.device)?)
        // Not twice as much as is needed.
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        // Products of float32 are products of float32.
        .with_tf32(false)
        .with_cuda_graph(options.cuda_graph);
    let provider = match options.device_memory {
        None => provider,
        Some(bytes) => provider.with_memory_limit(bytes.get()),
    };
    Ok(provider.build().error_on_failure())
}

pub(in crate::provider) fn device_id(device: usize) -> ort::Result<i32> {
    i32::try_from(device).map_err(ort::Error::wrap)
}

/// How ONNX Runtime calls the memory of a device.
pub(in crate::provider) fn device_memory(device: usize) -> ort::Result<MemoryInfo<'static>> {
    MemoryInfo::new(AllocationDevice::CUDA, device_id(device)?, AllocatorType::Device, MemoryType::Default)
}

/// Weights that do not fit are an error about memory.
fn load_error(error: Error, device: &Device) -> Error {
    match error {
        Error::Provider { graph, message, .. } => {
            super::memory_error::load_error_of(Provider::Cuda, &graph, device, &message)
        }
        other => other,
    }
}

/// Operators that a model spends its time in. All others are about shapes, masks and indices, and ONNX Runtime rightly leaves
/// some of them on the processor.
const COMPUTES: [&str; 12] = [
    "MatMul",
    "Gemm",
    "FusedMatMul",
    "Einsum",
    "Softmax",
    "RMSNormalization",
    "SimplifiedLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "RotaryEmbedding",
    "Attention",
    "MultiHeadAttention",
    "GroupQueryAttention",
];

/// Refuses a session that computes on the CPU.
pub(in crate::provider) fn check_assignment(loaded: &Loaded) -> ort::Result<()> {
    let on_cpu = assigned_to(&loaded.session(), "CPUExecutionProvider")?;
    let mut computing = on_cpu
        .iter()
        .filter(|node| COMPUTES.contains(&node.operator.as_str()) || node.domain == tmoe_ops::schema::DOMAIN);
    match computing.next() {
        None => Ok(()),
        Some(node) => Err(ort::Error::new(format!(
            "ONNX Runtime leaves {} nodes to the CPU, such as the {} `{}`",
            computing.count() + 1,
            node.operator,
            node.name
        ))),
    }
}

/// What an error of a growing generation means.
fn growing_error(device: &Device) -> impl Fn(&Loaded, ort::Error) -> Error + Send + '_ {
    move |loaded, error| run_error(loaded, device, &error.to_string())
}

impl Backend for CudaBackend {
    fn signature(&self) -> &Signature {
        self.loaded.signature()
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        self.loaded
            .run(inputs, self.captures.as_ref().map(Captures::none))
            .map_err(|error| run_error(&self.loaded, &self.device, &error.to_string()))
    }

    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error> {
        Ok(if cache.in_place {
            let place = DevicePlace {
                loaded: &self.loaded,
                device: &self.device,
                memory: &self.memory,
                captures: self.captures.as_ref(),
                idle: &self.idle,
            };
            Box::new(InPlaceGeneration::new(place, cache, batch, capacity)?)
        } else {
            let (memory, error) = (self.memory.clone(), growing_error(&self.device));
            Box::new(GrowingGeneration::new(&self.loaded, cache, batch, memory, Box::new(error))?)
        })
    }
}

#[cfg(test)]
mod tests {
    use tmoe_package::OpSet;

    use super::*;
    use crate::provider::testing;

    #[test]
    fn a_session_that_computes_on_the_cpu_is_refused_by_a_node() {
        if !Provider::Cpu.availability().is_ready() {
            eprintln!("skipped: no ONNX Runtime");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let package = testing::package(folder.path());
        for op_set in [OpSet::Plugin, OpSet::Standard] {
            let path = package.graph_path(op_set).unwrap();
            let graph = GraphSource::File(path.clone());
            let content = GraphContent::File(&path);
            let options = ProviderOptions { spinning: false, ..ProviderOptions::default() };
            let setup =
                Setup { provider: Provider::Cuda, graph: &graph, content, threads: 1, options: &options };
            let (key, value) = RECORD_ASSIGNMENT;
            let loaded = setup.load(|builder| Ok(builder.with_config_entry(key, value).unwrap())).unwrap();
            let nodes = assigned_to(&loaded.session(), "CPUExecutionProvider").unwrap();
            assert!(
                nodes.iter().any(|node| COMPUTES.contains(&node.operator.as_str())),
                "{op_set}: {nodes:?}"
            );
            assert!(assigned_to(&loaded.session(), "CUDAExecutionProvider").unwrap().is_empty());
            let text = check_assignment(&loaded).unwrap_err().to_string();
            assert!(text.contains("nodes to the CPU, such as the"), "{text}");
            let has_operators =
                nodes.iter().any(|node| node.domain == "tmoe" && node.operator == "SparseMoe");
            assert_eq!(has_operators, op_set == OpSet::Plugin, "{nodes:?}");
        }
    }
}
