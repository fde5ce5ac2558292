//! The inputs and outputs that every graph of a package has, and what stands in for those a caller leaves out.
//!
//! | name | type | shape |
//! |---|---|---|
//! | `input_ids` | float32 | [batch, sequence, 1] |
//! | `attention_mask` | int64 | [batch, past + sequence], 1 for a real point |
//! | `past_key_values.{i}.key`, `.value` | float32, or the precision of the weights | [batch, kv_heads, past, head_dim], past may be 0 |
//! | -> `predictions.h{n}` for every head | float32 | [batch, n], or [batch, sequence, n] when positions are `all` |
//! | -> `present.{i}.key`, `.value` | the same | [batch, kv_heads, past + sequence, head_dim] |
//!
//! Graphs of the op set `plugin` keep the cache of bf16 and fp16 packages in that type; all others compute in float32.

use ndarray::{ArrayD, IxDyn};
use tmoe_model::Config;
use tmoe_package::OpSet;

use crate::error::Error;
use crate::signature::{Dim, InputError, Signature, Sizes};
use crate::tensor::{ElementType, NamedTensors, Tensor};

/// The name of the input that holds the points.
pub const INPUT_IDS: &str = "input_ids";
/// The name of the input that tells real points from padding and missing ones.
pub const ATTENTION_MASK: &str = "attention_mask";

/// The name of the output of the head that forecasts `length` points.
pub fn predictions(length: usize) -> String {
    format!("predictions.h{length}")
}

/// One tensor of the key/value cache: the output of one pass that is an input of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The input's name.
    pub past: String,
    /// The output's name.
    pub present: String,
}

/// The key/value cache of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLayout {
    /// The tensors: key and value of every layer.
    pub entries: Vec<CacheEntry>,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// The type of all tensors, a float.
    pub element_type: ElementType,
    /// Whether the graph appends to a buffer that past and present share (`tmoe.FlashAttention`).
    pub in_place: bool,
}

impl CacheLayout {
    /// The cache of a loaded graph: its type is that of the first tensor in the graph's signature, where that is a float.
    pub fn of_graph(model: &Config, graph: OpSet, signature: &Signature) -> Self {
        let first = signature.input("past_key_values.0.key").map(|port| port.element_type.clone());
        Self::of(model, graph, first.filter(ElementType::is_float).unwrap_or(ElementType::F32))
    }

    /// The cache of a model's graph that holds it in a type, a float.
    pub fn of(model: &Config, graph: OpSet, element_type: ElementType) -> Self {
        let entries = (0..model.layers())
            .flat_map(|layer| ["key", "value"].map(|part| (layer, part)))
            .map(|(layer, part)| CacheEntry {
                past: format!("past_key_values.{layer}.{part}"),
                present: format!("present.{layer}.{part}"),
            })
            .collect();
        Self {
            entries,
            element_type,
            kv_heads: model.kv_heads(),
            head_dim: model.head_dim(),
            in_place: graph == OpSet::Plugin,
        }
    }

    /// The shape of each tensor: [batch, kv_heads, past, head_dim].
    pub fn shape(&self, batch: usize, past: usize) -> [usize; 4] {
        [batch, self.kv_heads, past, self.head_dim]
    }

    /// A tensor without points.
    pub fn empty(&self, batch: usize) -> Tensor {
        let empty = Tensor::zeros(&self.element_type, &self.shape(batch, 0));
        empty.unwrap_or_else(|| unreachable!("the type is a float"))
    }

    /// Bytes of one element.
    pub fn element_bytes(&self) -> usize {
        if self.element_type == ElementType::F32 { 4 } else { 2 }
    }

    /// The names of a graph's outputs that are no part of the cache.
    pub(crate) fn other_outputs<'a>(&'a self, signature: &'a Signature) -> impl Iterator<Item = &'a str> {
        let names = signature.outputs.iter().map(|port| port.name.as_str());
        names.filter(move |name| self.entries.iter().all(|entry| entry.present != **name))
    }
}

/// Checks that a graph has every input and output that the model's graphs have, in types that a host tensor has.
pub(crate) fn check_graph(
    signature: &Signature,
    model: &Config,
    cache: &CacheLayout,
) -> Result<(), GraphMismatch> {
    let inputs = [(INPUT_IDS.to_owned(), ElementType::F32), (ATTENTION_MASK.to_owned(), ElementType::I64)]
        .into_iter()
        .chain(cache.entries.iter().map(|entry| (entry.past.clone(), cache.element_type.clone())));
    for (name, expected) in inputs {
        let found = signature.input(&name).map(|port| port.element_type.clone());
        GraphMismatch::unless_same("input", name, expected, found)?;
    }
    let outputs = model
        .horizon_lengths()
        .iter()
        .map(|&length| (predictions(length), ElementType::F32))
        .chain(cache.entries.iter().map(|entry| (entry.present.clone(), cache.element_type.clone())));
    for (name, expected) in outputs {
        let found = signature.output(&name).map(|port| port.element_type.clone());
        GraphMismatch::unless_same("output", name, expected, found)?;
    }
    Ok(())
}

/// An input or output that a graph should have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the graph has {found} for its {kind} `{name}`, expected {expected}")]
pub struct GraphMismatch {
    /// Input or output.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The element type that it should have.
    pub expected: ElementType,
    /// The element type that it has, or `nothing`.
    pub found: String,
}

impl GraphMismatch {
    fn unless_same(
        kind: &'static str,
        name: String,
        expected: ElementType,
        found: Option<ElementType>,
    ) -> Result<(), Self> {
        if found.as_ref() == Some(&expected) {
            return Ok(());
        }
        let found = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
        Err(Self { kind, name, expected, found })
    }
}

/// Fills in the inputs that have a default (a mask of ones, an empty cache) and checks them all. Floats of another width become
/// those that the graph takes.
///
/// What is given is checked first, so that the size of what is filled in is bounded by the data at hand.
pub(crate) fn complete(
    signature: &Signature,
    cache: &CacheLayout,
    inputs: NamedTensors,
) -> Result<NamedTensors, Error> {
    let of_its_width = |(name, tensor): (String, Tensor)| match signature.input(&name) {
        Some(port) => (name, tensor.into_float(&port.element_type)),
        None => (name, tensor),
    };
    let mut inputs: NamedTensors = inputs.into_iter().map(of_its_width).collect();
    let given = signature.check_given(&inputs)?;
    let Some(points) = inputs.get(INPUT_IDS).map(|tensor| tensor.shape().to_vec()) else {
        signature.check(&inputs)?;
        // A graph without that input is not one of a package, and check_graph has refused it.
        return Ok(inputs);
    };
    if points.contains(&0) {
        return Err(InputError::Empty { name: INPUT_IDS.to_owned(), found: points }.into());
    }
    let [batch, sequence] = [0, 1].map(|axis| points.get(axis).copied().unwrap_or(0));
    let past = given.get("past").unwrap_or(0);
    for entry in &cache.entries {
        inputs.entry(entry.past.clone()).or_insert_with(|| cache.empty(batch));
    }
    inputs
        .entry(ATTENTION_MASK.to_owned())
        .or_insert_with(|| Tensor::I64(ArrayD::ones(IxDyn(&[batch, past.saturating_add(sequence)]))));
    signature.check(&inputs)?;
    check_mask(&inputs)?;
    Ok(inputs)
}

fn check_mask(inputs: &NamedTensors) -> Result<(), InputError> {
    let Some(mask) = inputs.get(ATTENTION_MASK).and_then(Tensor::as_i64) else { return Ok(()) };
    match mask.indexed_iter().find(|(_, value)| !matches!(value, 0 | 1)) {
        None => Ok(()),
        Some((index, &found)) => Err(InputError::Mask {
            name: ATTENTION_MASK.to_owned(),
            index: ndarray::Dimension::slice(&index).to_vec(),
            found,
        }),
    }
}

/// The inputs of a graph that have nothing to do with forecasting (the targets of a loss), as zeros.
pub(crate) fn unused_inputs(
    signature: &Signature,
    cache: &CacheLayout,
    sizes: &Sizes,
) -> Result<NamedTensors, InputError> {
    let is_used = |name: &str| {
        name == INPUT_IDS || name == ATTENTION_MASK || cache.entries.iter().any(|entry| entry.past == name)
    };
    let mut zeros = NamedTensors::new();
    for port in signature.inputs.iter().filter(|port| !is_used(&port.name)) {
        let missing = || InputError::Missing {
            name: port.name.clone(),
            expected: format!("{} {}", port.element_type, port.shape_text()),
        };
        // A size that only such inputs have may be any: none is the least (a loss without weights).
        let size = |dim: &Dim| match dim {
            Dim::Symbol(name) => Some(sizes.get(name).unwrap_or(0)),
            other => other.eval(sizes),
        };
        let shape: Vec<usize> = port.shape.iter().map(size).collect::<Option<_>>().ok_or_else(missing)?;
        let tensor = Tensor::zeros(&port.element_type, &shape).ok_or_else(missing)?;
        zeros.insert(port.name.clone(), tensor);
    }
    Ok(zeros)
}
