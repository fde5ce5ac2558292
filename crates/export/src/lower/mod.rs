//! Time-MoE as ONNX graphs: one file per part of the model.
//!
//! ```text
//! input_ids ─ embedding ─┬─ layer 0 ─ … ─ layer L-1 ─ norm ─ heads ─ predictions.h{n}
//!                        │      │
//! attention_mask ─ positions (rotary tables, attention bias), shared by all layers
//! past_key_values.{i} ──────── attention ─ present.{i}
//! ```
//!
//! Every function takes the [`GraphBuilder`](tmoe_onnx::GraphBuilder) and handles of its inputs, and returns handles of
//! its outputs. None of them knows where weights come from: a [`Weights`] hands them out.

mod activation;
mod attention;
mod attention_dense;
mod attention_plugin;
mod attention_standard;
mod cache;
mod embedding;
mod experts_dense;
mod experts_plugin;
mod experts_sparse;
mod feed_forward;
mod gated;
mod heads;
mod layer;
mod linear;
mod loss;
mod model;
mod norm;
mod positions;
mod router;
mod weights;

pub(crate) use cache::LayerCache;
pub(crate) use heads::output_name;
pub(crate) use layer::{LayerInputs, layer};
pub(crate) use model::{GraphOptions, Prelude, Tail, build, prelude, tail};
pub(crate) use norm::Hidden;
pub(crate) use positions::{PositionTables, Positions, Queries, Rotary};
pub(crate) use router::RouterStatistics;
pub(crate) use weights::{ExternalWeights, Weights};

use embedding::embedding;
use heads::heads;
use positions::position_tables;
use tmoe_model::Config;
use tmoe_onnx::{Dim, F32, Value};

/// The ONNX operator set that all graphs use: the first with RMSNormalization, RotaryEmbedding and Attention.
pub(crate) const OPSET: i64 = 23;

/// A float32 value of a graph.
pub(crate) type Tensor = Value<F32>;

/// The symbolic dimensions of every graph.
pub(crate) fn batch() -> Dim {
    Dim::symbol("batch")
}

/// New points in this pass.
pub(crate) fn sequence() -> Dim {
    Dim::symbol("sequence")
}

/// Points in the cache before this pass.
pub(crate) fn past() -> Dim {
    Dim::symbol("past")
}

/// Labels that have a weight: `sequence`, or 0.
pub(crate) fn loss_mask() -> Dim {
    Dim::symbol("loss_mask")
}

/// An output of a `tmoe` operator that is float32, as all are but a cache.
pub(crate) fn typed(outputs: &[tmoe_onnx::AnyValue], index: usize) -> Tensor {
    let typed = outputs.get(index).and_then(|output| output.typed().ok());
    typed.unwrap_or_else(|| unreachable!("the operator was given this output as float32"))
}

/// A size known at export.
pub(crate) fn fixed(size: usize) -> Dim {
    Dim::fixed(i64::try_from(size).unwrap_or(i64::MAX))
}

/// What attention's scores are multiplied by: head_dim^-0.5.
pub(crate) fn attention_scale(config: &Config) -> f32 {
    (config.head_dim() as f64).powf(-0.5) as f32
}

/// A size as ONNX writes it.
pub(crate) fn int(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
