//! Provider `tract`: the inference engine of that name, compiled in.
//!
//! It computes on the calling thread; passes of one session may run at the same time on several threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::multithread::Executor;
use tract_onnx::prelude::{
    DatumType, InferenceModel, InferenceModelExt, IntoTValue, OutletId, RunOptions, TValue, TVec,
    Tensor as TractTensor, TractResult, TypedFact, TypedRunnableModel,
};

mod bfloat16;

use super::{Availability, Backend, Generation, GraphContent, Provider};
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::signature::{Dim, Port, Signature};
use crate::tensor::{ElementType, NamedTensors, Tensor};

/// The version of tract that is compiled in; the workspace pins it.
const VERSION: &str = "0.23.9";

/// tract is always there.
pub(crate) fn availability() -> Availability {
    Availability::Ready { detail: format!("tract {VERSION}, built in") }
}

/// A graph loaded by tract.
pub(crate) struct TractBackend {
    plan: Arc<TypedRunnableModel>,
    signature: Signature,
    graph: GraphSource,
}

impl TractBackend {
    pub(crate) fn load(graph: &GraphSource, content: GraphContent<'_>) -> Result<Self, Error> {
        let (plan, signature) = guarded(|| {
            // tract names the data-dependent sizes itself, and would take the declared names for other sizes.
            let onnx = tract_onnx::onnx().with_ignore_value_info(true);
            let model = match content {
                GraphContent::File(path) | GraphContent::Graph { path, .. } => {
                    bfloat16::model_for_path(&onnx, path)?
                }
                GraphContent::Bytes { model, folder } => bfloat16::model_in_memory(&onnx, model, folder)?,
            };
            let names = PortNames::of(&model)?;
            let model = model.into_optimized()?;
            let signature = Signature {
                inputs: ports(names.inputs, |slot| model.input_fact(slot))?,
                outputs: ports(names.outputs, |slot| model.output_fact(slot))?,
            };
            // Whatever the process has made tract's default: some of its operators abort on several threads.
            let options = RunOptions { executor: Some(Executor::SingleThread), ..RunOptions::default() };
            Ok((model.into_runnable_with_options(&options)?, signature))
        })
        .map_err(|message| Error::load(Provider::Tract, graph, message))?;
        Ok(Self { plan, signature, graph: graph.clone() })
    }

    fn run_values(&self, inputs: TVec<TValue>) -> Result<TVec<TValue>, Error> {
        guarded(|| self.plan.run(inputs)).map_err(|message| self.error(message))
    }

    fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::run(Provider::Tract, &self.graph, message)
    }

    fn host(&self, value: &TractTensor) -> Result<Tensor, Error> {
        to_host(value).map_err(|error| self.error(format!("{error:#}")))
    }
}

impl Backend for TractBackend {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn threads(&self) -> usize {
        1
    }

    fn run(&self, mut inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let values = self
            .signature
            .inputs
            .iter()
            .map(|port| inputs.remove(&port.name).map(from_host).ok_or_else(|| self.missing(port)))
            .collect::<Result<_, _>>()?;
        let outputs = self.run_values(values)?;
        self.signature
            .outputs
            .iter()
            .zip(&outputs)
            .map(|(port, value)| Ok((port.name.clone(), self.host(value)?)))
            .collect()
    }

    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        _capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error> {
        let empty = || from_host(cache.empty(batch));
        let values = cache.entries.iter().map(|_| empty()).collect();
        Ok(Box::new(TractGeneration { backend: self, cache, values, mark: None }))
    }
}

impl TractBackend {
    fn missing(&self, port: &Port) -> Error {
        self.error(format!("the input `{}` is missing", port.name))
    }
}

/// One generation; `values` are the `present` outputs of the last pass, shared and not copied.
struct TractGeneration<'a> {
    backend: &'a TractBackend,
    cache: &'a CacheLayout,
    values: Vec<TValue>,
    /// The values at the time that the generation was marked.
    mark: Option<Vec<TValue>>,
}

impl Generation for TractGeneration<'_> {
    fn step(&mut self, mut inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let Self { backend, cache, values, .. } = self;
        let cached = |name: &str| cache.entries.iter().position(|entry| entry.past == name);
        let feeds = backend
            .signature
            .inputs
            .iter()
            .map(|port| match cached(&port.name).and_then(|index| values.get(index)) {
                Some(value) => Ok(value.clone()),
                None => inputs.remove(&port.name).map(from_host).ok_or_else(|| backend.missing(port)),
            })
            .collect::<Result<_, _>>()?;
        let mut next = values.clone();
        let mut outputs = NamedTensors::new();
        for (port, value) in backend.signature.outputs.iter().zip(backend.run_values(feeds)?) {
            let entry = cache.entries.iter().position(|entry| entry.present == port.name);
            match entry.and_then(|index| next.get_mut(index)) {
                Some(slot) => *slot = value,
                None => {
                    outputs.insert(port.name.clone(), backend.host(&value)?);
                }
            }
        }
        self.values = next;
        Ok(outputs)
    }

    fn mark(&mut self) -> bool {
        self.mark = Some(self.values.clone());
        true
    }

    fn rewind(&mut self) -> bool {
        let mark = self.mark.take();
        let marked = mark.is_some();
        if let Some(values) = mark {
            self.values = values;
        }
        marked
    }
}

/// Runs tract and turns its panics, which odd graphs can cause, into errors.
fn guarded<T>(body: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    // What a panic leaves behind is dropped here: the model under construction, or the state of one pass.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(panic) => Err(panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "it panicked".to_owned())),
    }
}

/// Names of inputs and outputs, taken before optimisation renames nodes. Their order stays.
struct PortNames {
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl PortNames {
    fn of(model: &InferenceModel) -> TractResult<Self> {
        let name_of = |outlet: &OutletId| {
            let node = || model.nodes().get(outlet.node).map(|node| node.name.as_str());
            model.outlet_label(*outlet).or_else(node).unwrap_or_default().to_owned()
        };
        Ok(Self {
            inputs: model.input_outlets()?.iter().map(name_of).collect(),
            outputs: model.output_outlets()?.iter().map(name_of).collect(),
        })
    }
}

fn ports<'a>(
    names: Vec<String>,
    fact: impl Fn(usize) -> TractResult<&'a TypedFact>,
) -> TractResult<Vec<Port>> {
    names
        .into_iter()
        .enumerate()
        .map(|(slot, name)| {
            let fact = fact(slot)?;
            let shape = fact.shape.iter().map(|dim| Dim::parse(&dim.to_string())).collect();
            Ok(Port { name, element_type: element_type(fact.datum_type), shape })
        })
        .collect()
}

fn element_type(datum_type: DatumType) -> ElementType {
    match datum_type {
        DatumType::F32 => ElementType::F32,
        DatumType::F16 => ElementType::F16,
        // tract keeps the sizes of axes, int64 in ONNX, in a type of its own.
        DatumType::I64 | DatumType::TDim => ElementType::I64,
        other => ElementType::Other(format!("{other:?}")),
    }
}

fn from_host(tensor: Tensor) -> TValue {
    match tensor {
        Tensor::F32(array) => array.into_tvalue(),
        Tensor::F16(array) => array.into_tvalue(),
        // No graph that tract has loaded has such inputs: it knows no bfloat16.
        Tensor::BF16(array) => array.mapv(half::bf16::to_f32).into_tvalue(),
        Tensor::I64(array) => array.into_tvalue(),
    }
}

fn to_host(value: &TractTensor) -> TractResult<Tensor> {
    Ok(match value.datum_type() {
        DatumType::F32 => Tensor::F32(value.to_plain_array_view::<f32>()?.to_owned()),
        DatumType::F16 => Tensor::F16(value.to_plain_array_view::<half::f16>()?.to_owned()),
        _ => Tensor::I64(value.cast_to::<i64>()?.to_plain_array_view::<i64>()?.to_owned()),
    })
}
