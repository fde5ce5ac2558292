//! A graph loaded by ONNX Runtime.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::ArrayD;
use ort::AsPointer;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session as OrtSession, SessionInputValue, SessionOutputs};
use ort::value::{DynValue, Outlet, Shape, Tensor as OrtTensor, TensorElementType, ValueType};

use super::generation::{GrowingGeneration, InPlaceGeneration};
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

    pub(super) fn session(&self) -> MutexGuard<'_, OrtSession> {
        // ONNX Runtime keeps no state between passes that a panic could have left half done.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn error(&self, message: impl fmt::Display) -> Error {
        Error::run(Provider::Cpu, &self.graph, message)
    }
}

/// Where a model in memory has its external data (`onnxruntime_session_options_config_keys.h`).
const EXTERNAL_DATA_FOLDER: &str = "session.model_external_initializers_file_folder_path";

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
    register_operators(&builder)?;
    if let GraphContent::Bytes { folder: Some(folder), .. } = content {
        builder = builder.with_config_entry(EXTERNAL_DATA_FOLDER, folder.to_string_lossy())?;
    }
    let mut commit = || match content {
        GraphContent::File(path) => builder.commit_from_file(path),
        GraphContent::Bytes { model, .. } => builder.commit_from_memory(model),
    };
    // The first session of a process makes a new domain of operators known to it, and two that do so at once disturb
    // each other: until one was made, one at a time.
    static DOMAIN_IS_KNOWN: Mutex<bool> = Mutex::new(false);
    let mut is_known = DOMAIN_IS_KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if *is_known {
        drop(is_known);
        return commit();
    }
    let session = commit()?;
    *is_known = true;
    Ok(session)
}

/// Adds the operators of the domain `tmoe`.
fn register_operators(builder: &SessionBuilder) -> ort::Result<()> {
    let options = builder.ptr().cast_mut();
    // SAFETY: the table is that of the library, static and of a version that was checked; the builder owns the options, and
    // adding a domain is what they are for.
    unsafe { tmoe_ops::onnxruntime::register(ort::api(), options) }.map_err(ort::Error::new)
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
        let feeds = feeds(inputs).map_err(|error| self.error(error))?;
        let mut session = self.session();
        let outputs = session.run(feeds).map_err(|error| self.error(error))?;
        results(&outputs).map_err(|error| self.error(error))
    }

    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error> {
        let generation: ort::Result<Box<dyn Generation + 'a>> = if cache.in_place {
            InPlaceGeneration::new(self, cache, batch, capacity).map(|generation| Box::new(generation) as _)
        } else {
            GrowingGeneration::new(self, cache, batch).map(|generation| Box::new(generation) as _)
        };
        generation.map_err(|error| self.error(error))
    }
}

/// Host tensors as inputs of a run.
pub(super) fn feeds(inputs: NamedTensors) -> ort::Result<Vec<(String, SessionInputValue<'static>)>> {
    inputs.into_iter().map(|(name, tensor)| Ok((name, from_host(tensor)?.into()))).collect()
}

/// Outputs of a run as host tensors.
pub(super) fn results(outputs: &SessionOutputs<'_>) -> ort::Result<NamedTensors> {
    outputs.iter().map(|(name, value)| Ok((name.to_owned(), to_host(&value)?))).collect()
}

pub(super) fn from_host(tensor: Tensor) -> ort::Result<DynValue> {
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
