//! A backend that counts on: what every head forecasts after a last point x is x + 1, x + 2, … Tests see what it was
//! given, without any model or engine.

use std::fs;
use std::sync::{Arc, Mutex};

use ndarray::{Array2, ArrayD, IxDyn};
use serde_json::json;
use tmoe_package::{OpSet, Package, files};

use crate::contract::{self, ATTENTION_MASK, CacheLayout, INPUT_IDS};
use crate::error::{Error, GraphSource};
use crate::provider::{Backend, Generation, Provider, Selection};
use crate::session::Session;
use crate::signature::{Dim, Port, Signature};
use crate::tensor::{ElementType, NamedTensors, Tensor};

/// The heads of the model that [`counting_session`] stands for.
pub(crate) const HORIZONS: [usize; 4] = [1, 8, 32, 64];
/// Points that it holds.
pub(crate) const POSITIONS: usize = 256;

/// One pass, as the backend saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pass {
    pub(crate) past: usize,
    pub(crate) input_ids: Tensor,
    pub(crate) attention_mask: Tensor,
    /// The first tensor of the cache, if the pass was given one.
    pub(crate) cache: Option<Tensor>,
    /// The names of all inputs.
    pub(crate) names: Vec<String>,
}

/// The passes of a backend so far.
pub(crate) type Passes = Arc<Mutex<Vec<Pass>>>;

/// A package without files: `positions` is `last` or `all`.
pub(crate) fn package(folder: &std::path::Path, positions: &str) -> Package {
    let sha256 = "0".repeat(64);
    let manifest = json!({
        "schema": 1,
        "tool": { "name": "test", "version": "0" },
        "model": {
            "model_type": "time_moe",
            "hidden_act": "silu",
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "horizon_lengths": HORIZONS,
            "max_position_embeddings": POSITIONS,
            "input_size": 1,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
        },
        "horizons": HORIZONS,
        "precision": "fp32",
        "positions": positions,
        "with_loss": false,
        "graphs": [],
        "files": {},
        "source": { "sha256": sha256, "files": {} },
    });
    fs::write(folder.join(files::MANIFEST), manifest.to_string()).unwrap();
    Package::open(folder).unwrap()
}

/// A session on a [`CountingBackend`]; `change` edits its signature first.
pub(crate) fn session_with(
    positions: &str,
    change: impl FnOnce(&mut Signature),
) -> (Result<Session, Error>, Passes) {
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path(), positions);
    let passes = Passes::default();
    let mut signature =
        signature(&CacheLayout::of(&package.manifest().model, OpSet::Standard, ElementType::F32), positions);
    change(&mut signature);
    let backend = CountingBackend { signature, passes: passes.clone(), max_batch: None, marks: true };
    let session = session_on(&package, backend);
    (session, passes)
}

/// A session on a backend that counts on, and whose generations cannot be marked.
pub(crate) fn session_without_marks() -> (Session, Passes) {
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path(), "last");
    let passes = Passes::default();
    let signature =
        signature(&CacheLayout::of(&package.manifest().model, OpSet::Standard, ElementType::F32), "last");
    let backend = CountingBackend { signature, passes: passes.clone(), max_batch: None, marks: false };
    (session_on(&package, backend).unwrap(), passes)
}

/// A session on a backend that counts on, and takes at most so many series at once.
pub(crate) fn session_of_batches(most: usize) -> (Session, Passes) {
    let folder = tempfile::tempdir().unwrap();
    let package = package(folder.path(), "last");
    let passes = Passes::default();
    let signature =
        signature(&CacheLayout::of(&package.manifest().model, OpSet::Standard, ElementType::F32), "last");
    let backend = CountingBackend { signature, passes: passes.clone(), max_batch: Some(most), marks: true };
    (session_on(&package, backend).unwrap(), passes)
}

fn session_on(package: &Package, backend: CountingBackend) -> Result<Session, Error> {
    let selection = Selection { provider: Provider::Tract, passed_over: None };
    Session::with_backend(package, OpSet::Standard, selection, Box::new(backend), GraphSource::Memory)
}

/// A session on a backend that counts on.
pub(crate) fn counting_session() -> (Session, Passes) {
    let (session, passes) = session_with("last", |_| {});
    (session.unwrap(), passes)
}

pub(crate) fn port(name: &str, element_type: ElementType, dims: &[&str]) -> Port {
    Port { name: name.to_owned(), element_type, shape: dims.iter().map(|dim| Dim::parse(dim)).collect() }
}

fn signature(cache: &CacheLayout, positions: &str) -> Signature {
    let [kv_heads, head_dim] = [cache.kv_heads, cache.head_dim].map(|size| size.to_string());
    let cached = |name: &str, points: &str| {
        port(name, cache.element_type.clone(), &["batch", &kv_heads, points, &head_dim])
    };
    let mut inputs = vec![
        port(INPUT_IDS, ElementType::F32, &["batch", "sequence", "1"]),
        port(ATTENTION_MASK, ElementType::I64, &["batch", "past + sequence"]),
    ];
    inputs.extend(cache.entries.iter().map(|entry| cached(&entry.past, "past")));
    let mut outputs: Vec<Port> = HORIZONS
        .iter()
        .map(|length| {
            let (name, length) = (contract::predictions(*length), length.to_string());
            match positions {
                "all" => port(&name, ElementType::F32, &["batch", "sequence", &length]),
                _ => port(&name, ElementType::F32, &["batch", &length]),
            }
        })
        .collect();
    outputs.extend(cache.entries.iter().map(|entry| cached(&entry.present, "past + sequence")));
    Signature { inputs, outputs }
}

struct CountingBackend {
    signature: Signature,
    passes: Passes,
    max_batch: Option<usize>,
    /// Whether its generations can be marked.
    marks: bool,
}

impl CountingBackend {
    fn pass(&self, past: usize, inputs: &NamedTensors) -> NamedTensors {
        self.passes.lock().unwrap().push(Pass {
            past,
            input_ids: inputs[INPUT_IDS].clone(),
            attention_mask: inputs[ATTENTION_MASK].clone(),
            cache: inputs.get("past_key_values.0.key").cloned(),
            names: inputs.keys().cloned().collect(),
        });
        let points = inputs[INPUT_IDS].as_f32().unwrap();
        let (batch, sequence) = (points.shape()[0], points.shape()[1]);
        let mut outputs = NamedTensors::new();
        for port in &self.signature.outputs {
            let Some(length) = port.name.strip_prefix("predictions.h") else { continue };
            let length: usize = length.parse().unwrap();
            let all = ArrayD::from_shape_fn(IxDyn(&[batch, sequence, length]), |index| {
                points[[index[0], index[1], 0]] + index[2] as f32 + 1.0
            });
            let values = match port.shape.len() {
                3 => all,
                _ => all.index_axis(ndarray::Axis(1), sequence - 1).to_owned(),
            };
            outputs.insert(port.name.clone(), Tensor::F32(values));
        }
        outputs
    }
}

impl Backend for CountingBackend {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn threads(&self) -> usize {
        1
    }

    fn max_batch(&self) -> Option<usize> {
        self.max_batch
    }

    fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let past = inputs["past_key_values.0.key"].shape()[2];
        let mut outputs = self.pass(past, &inputs);
        outputs.insert("present.0.key".to_owned(), Array2::<f32>::zeros((1, 1)).into());
        Ok(outputs)
    }

    fn generation<'a>(
        &'a self,
        _cache: &'a CacheLayout,
        _batch: usize,
        _capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error> {
        Ok(Box::new(CountingGeneration { backend: self, past: 0, mark: None }))
    }
}

struct CountingGeneration<'a> {
    backend: &'a CountingBackend,
    past: usize,
    mark: Option<usize>,
}

impl Generation for CountingGeneration<'_> {
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let outputs = self.backend.pass(self.past, &inputs);
        self.past += inputs[INPUT_IDS].shape()[1];
        Ok(outputs)
    }

    fn mark(&mut self) -> bool {
        self.mark = self.backend.marks.then_some(self.past);
        self.backend.marks
    }

    fn rewind(&mut self) -> bool {
        let mark = self.mark.take();
        self.past = mark.unwrap_or(self.past);
        mark.is_some()
    }
}
