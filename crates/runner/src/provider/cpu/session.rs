//! A graph loaded by ONNX Runtime.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::{ArrayD, IxDyn};
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel};
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::{DynValue, Outlet, Shape, Tensor as OrtTensor, TensorElementType, ValueType};

use super::library;
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::provider::{Backend, Generation, GraphContent, Provider, ProviderOptions};
use crate::signature::{Dim, Port, Signature};
use crate::tensor::{ElementType, NamedTensors, Tensor};

/// A graph loaded by ONNX Runtime on the CPU.
///
/// Passes of one session run one after the other: ONNX Runtime's threads are the session's, and `ort` asks for
/// exclusive access.
pub(crate) struct CpuBackend {
    session: Mutex<OrtSession>,
    signature: Signature,
    threads: usize,
    graph: GraphSource,
}

impl CpuBackend {
    pub(crate) fn load(
        graph: &GraphSource,
        content: GraphContent<'_>,
        options: &ProviderOptions,
    ) -> Result<Self, Error> {
        let environment = library::environment()?;
        let threads = options.threads();
        let session = build(environment, content, threads, options.spinning)
            .map_err(|error| Error::load(Provider::Cpu, graph, error))?;
        let signature = Signature {
            inputs: session.inputs().iter().map(port).collect(),
            outputs: session.outputs().iter().map(port).collect(),
        };
        Ok(Self { session: Mutex::new(session), signature, threads, graph: graph.clone() })
    }

    fn session(&self) -> MutexGuard<'_, OrtSession> {
        // ONNX Runtime keeps no state between passes that a panic could have left half done.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, message: impl fmt::Display) -> Error {
        Error::run(Provider::Cpu, &self.graph, message)
    }
}

fn build(
    environment: &ort::environment::Environment,
    content: GraphContent<'_>,
    threads: usize,
    spinning: bool,
) -> ort::Result<OrtSession> {
    let mut builder = OrtSession::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_intra_op_spinning(spinning)?
        // A pattern is kept for every shape that was ever run, and here every pass has a shape of its own.
        .with_memory_pattern(false)?
        // Whatever devices the library knows: this provider is the CPU.
        .with_auto_device(AutoDevicePolicy::PreferCPU)?;
    match content {
        GraphContent::File(path) => builder.commit_from_file(path),
        GraphContent::Bytes(bytes) => builder.commit_from_memory(bytes),
    }
}

fn port(outlet: &Outlet) -> Port {
    let (element_type, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, dimension_symbols } => {
            let names = dimension_symbols.iter().map(String::as_str).chain(std::iter::repeat(""));
            let dim = |(&size, name): (&i64, &str)| match usize::try_from(size) {
                Ok(size) => Dim::Fixed(size),
                Err(_) => Dim::parse(name),
            };
            (element_type(*ty), shape.iter().zip(names).map(dim).collect())
        }
        other => (ElementType::Other(other.to_string()), Vec::new()),
    };
    Port { name: outlet.name().to_owned(), element_type, shape }
}

fn element_type(ty: TensorElementType) -> ElementType {
    match ty {
        TensorElementType::Float32 => ElementType::F32,
        TensorElementType::Int64 => ElementType::I64,
        other => ElementType::Other(other.to_string()),
    }
}

impl Backend for CpuBackend {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let feeds: Vec<(String, SessionInputValue<'_>)> = inputs
            .into_iter()
            .map(|(name, tensor)| Ok((name, from_host(tensor)?.into())))
            .collect::<ort::Result<_>>()
            .map_err(|error| self.error(error))?;
        let mut session = self.session();
        let outputs = session.run(feeds).map_err(|error| self.error(error))?;
        outputs
            .into_iter()
            .map(|(name, value)| Ok((name.to_owned(), to_host(&value)?)))
            .collect::<ort::Result<_>>()
            .map_err(|error| self.error(error))
    }

    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        _capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error> {
        let empty = || from_host(Tensor::F32(ArrayD::zeros(IxDyn(&cache.shape(batch, 0)))));
        let values = cache
            .entries
            .iter()
            .map(|_| empty())
            .collect::<ort::Result<_>>()
            .map_err(|error| self.error(error))?;
        Ok(Box::new(CpuGeneration { backend: self, cache, values }))
    }
}

/// One generation; `values` are the `present` outputs of the last pass, which ONNX Runtime owns and takes back as
/// they are.
struct CpuGeneration<'a> {
    backend: &'a CpuBackend,
    cache: &'a CacheLayout,
    values: Vec<DynValue>,
}

impl Generation for CpuGeneration<'_> {
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let Self { backend, cache, values } = self;
        let mut feeds: Vec<(String, SessionInputValue<'_>)> = inputs
            .into_iter()
            .map(|(name, tensor)| Ok((name, from_host(tensor)?.into())))
            .collect::<ort::Result<_>>()
            .map_err(|error| backend.error(error))?;
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
        let outputs = results
            .iter()
            .map(|(name, value)| Ok((name.to_owned(), to_host(&value)?)))
            .collect::<ort::Result<_>>()
            .map_err(|error| backend.error(error))?;
        self.values = next;
        Ok(outputs)
    }
}

fn from_host(tensor: Tensor) -> ort::Result<DynValue> {
    Ok(match tensor {
        Tensor::F32(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::I64(array) => OrtTensor::from_array(array)?.into_dyn(),
    })
}

fn to_host(value: &DynValue) -> ort::Result<Tensor> {
    fn array<T: Clone>((shape, data): (&Shape, &[T])) -> ort::Result<ArrayD<T>> {
        ArrayD::from_shape_vec(shape.to_ixdyn(), data.to_vec()).map_err(ort::Error::wrap)
    }
    match value.data_type() {
        TensorElementType::Float32 => Ok(Tensor::F32(array(value.try_extract_tensor()?)?)),
        TensorElementType::Int64 => Ok(Tensor::I64(array(value.try_extract_tensor()?)?)),
        other => Err(ort::Error::new(format!("an output has {other} elements, expected float32 or int64"))),
    }
}
