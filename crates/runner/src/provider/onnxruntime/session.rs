//! A graph loaded by ONNX Runtime.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::AsPointer;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{RunOptions, Session as OrtSession};
use ort::value::{Outlet, TensorElementType, ValueType};

use super::library::environment;
use super::tensors::{feeds, results};
use crate::error::{Error, GraphSource};
use crate::provider::{GraphContent, Provider, ProviderOptions};
use crate::signature::{Dim, Port, Signature};
use crate::tensor::{ElementType, NamedTensors};

/// A graph loaded by ONNX Runtime.
///
/// Passes of one session run one after the other: ONNX Runtime's threads are the session's, and `ort` asks for
/// exclusive access.
pub(crate) struct Loaded {
    session: Mutex<OrtSession>,
    signature: Signature,
    provider: Provider,
    graph: GraphSource,
}

/// Where a model in memory has its external data (`onnxruntime_session_options_config_keys.h`).
const EXTERNAL_DATA_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// How a session is made, the same for every provider.
pub(crate) struct Setup<'a> {
    pub(crate) provider: Provider,
    pub(crate) graph: &'a GraphSource,
    pub(crate) content: GraphContent<'a>,
    /// Threads that compute one pass on the CPU.
    pub(crate) threads: usize,
    pub(crate) options: &'a ProviderOptions,
}

impl Setup<'_> {
    /// Makes the session; `configure` adds what the provider asks for.
    pub(crate) fn load(
        &self,
        configure: impl FnOnce(SessionBuilder) -> Result<SessionBuilder, Error>,
    ) -> Result<Loaded, Error> {
        let failed = |error: ort::Error| Error::load(self.provider, self.graph, error);
        let options = configure(self.options(environment()?).map_err(failed)?)?;
        let session = self.commit(options).map_err(failed)?;
        let signature = Signature {
            inputs: session.inputs().iter().map(port).collect(),
            outputs: session.outputs().iter().map(port).collect(),
        };
        Ok(Loaded {
            session: Mutex::new(session),
            signature,
            provider: self.provider,
            graph: self.graph.clone(),
        })
    }

    fn options(&self, environment: &ort::environment::Environment) -> ort::Result<SessionBuilder> {
        let mut builder = OrtSession::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.threads)?
            .with_inter_threads(1)?
            .with_parallel_execution(false)?
            .with_intra_op_spinning(self.options.spinning)?
            // A pattern is kept for every shape that was ever run, and here every pass has a shape of its own.
            .with_memory_pattern(false)?;
        match &self.options.operators {
            None => register_operators(&builder)?,
            Some(library) => builder = builder.with_operator_library(library)?,
        }
        match self.content {
            GraphContent::Bytes { folder: Some(folder), .. } => {
                Ok(builder.with_config_entry(EXTERNAL_DATA_FOLDER, folder.to_string_lossy())?)
            }
            _ => Ok(builder),
        }
    }

    fn commit(&self, mut builder: SessionBuilder) -> ort::Result<OrtSession> {
        let mut commit = || match self.content {
            GraphContent::File(path) | GraphContent::Graph { path, .. } => builder.commit_from_file(path),
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
}

/// Adds the operators of the domain `tmoe`.
fn register_operators(builder: &SessionBuilder) -> ort::Result<()> {
    let options = builder.ptr().cast_mut();
    // SAFETY: the table is that of the library, static and of a version that was checked; the builder owns the options, and
    // adding a domain is what they are for.
    unsafe { tmoe_ops::onnxruntime::register(ort::api(), options) }.map_err(ort::Error::new)
}

impl Loaded {
    /// The session, exclusively.
    pub(crate) fn session(&self) -> MutexGuard<'_, OrtSession> {
        // ONNX Runtime keeps no state between passes that a panic could have left half done.
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn graph(&self) -> &GraphSource {
        &self.graph
    }

    /// An error of a pass.
    pub(crate) fn error(&self, message: impl fmt::Display) -> Error {
        Error::run(self.provider, &self.graph, message)
    }

    /// One pass, from host tensors to host tensors.
    pub(crate) fn run(
        &self,
        inputs: NamedTensors,
        options: Option<&RunOptions>,
    ) -> ort::Result<NamedTensors> {
        let feeds = feeds(inputs)?;
        let mut session = self.session();
        let outputs = match options {
            None => session.run(feeds)?,
            Some(options) => session.run_with_options(feeds, options)?,
        };
        results(&outputs)
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
        TensorElementType::Float16 => ElementType::F16,
        TensorElementType::Bfloat16 => ElementType::BF16,
        TensorElementType::Int64 => ElementType::I64,
        other => ElementType::Other(other.to_string()),
    }
}
