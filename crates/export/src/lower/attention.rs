//! Self-attention with rotary embedding and a key/value cache.
//!
//! ```text
//! x ─ qkv_proj ─ split ─┬─ q ─ rotary ─┐
//!                       ├─ k ─ rotary ─┼─ Attention(past, bias) ─ o_proj
//!                       └─ v ──────────┘          └─ present
//! ```
//!
//! In the op set `plugin` all between the two projections is one node.

use tmoe_model::Config;
use tmoe_onnx::{F32, GraphBuilder, KvCache, RotaryOptions};
use tmoe_package::OpSet;

use super::attention_dense::attention_dense;
use super::attention_plugin::{AttentionTypes, flash_attention};
use super::attention_standard::attention_standard;
use super::linear::{linear, product};
use super::positions::{PositionTables, Positions, Queries, Rotary, last_of};
use super::{GraphOptions, LayerCache, Tensor, Weights, int};
use crate::weights::{LayerBlobs, ProjectionBlobs};

/// What attention works on.
pub(crate) struct AttentionInputs<'a> {
    /// `[batch, sequence, hidden]`, already normalised.
    pub(crate) x: Tensor,
    /// Positions of the pass.
    pub(crate) positions: &'a Positions,
    /// `[batch, kv_heads, past, head_dim]` each.
    pub(crate) cache: LayerCache,
}

/// What attention gives: its output at the query positions, and the cache with this pass appended.
pub(crate) struct Attended {
    /// `[batch, queries, hidden]`.
    pub(crate) output: Tensor,
    /// `[batch, kv_heads, past + sequence, head_dim]` each.
    pub(crate) present: LayerCache,
}

/// The attention half of a layer.
///
/// Where the layer's queries stand apart, they are computed at the last position only.
pub(crate) fn attention(
    g: &mut GraphBuilder,
    config: &Config,
    options: GraphOptions,
    blobs: &LayerBlobs,
    weights: &dyn Weights,
    inputs: AttentionInputs<'_>,
) -> Attended {
    let AttentionInputs { x, positions, cache } = inputs;
    g.scoped("self_attn", |g| {
        let projected = match blobs.projections {
            ProjectionBlobs::Fused(blobs) => {
                Projected::All(linear(g, options.op_set, weights, "qkv_proj", x, blobs))
            }
            ProjectionBlobs::QueryApart { query, key_value } => {
                let key_value = linear(g, options.op_set, weights, "kv_proj", x, key_value);
                let x = g.scoped("last", |g| last_of(g, x, 1));
                Projected::QueryApart { q: linear(g, options.op_set, weights, "q_proj", x, query), key_value }
            }
        };
        let (y, present) = match positions {
            Positions::Tables(tables) => {
                let queries = match blobs.projections {
                    ProjectionBlobs::Fused(_) => tables.all,
                    ProjectionBlobs::QueryApart { .. } => tables.last,
                };
                let qkv = split(g, config, projected);
                let (y, present) =
                    tabled_attention(g, config, options.op_set, qkv, queries, tables, cache.float());
                (y, present.into())
            }
            Positions::Mask(mask) => {
                let weights = weights.stored(g, blobs.attention_output).data_type();
                let types = AttentionTypes { stored: options.stored, weights };
                flash_attention(g, config, types, projected, *mask, cache)
            }
        };
        let output = g.scoped("o_proj", |g| product(g, options.op_set, weights, y, blobs.attention_output));
        Attended { output, present }
    })
}

/// Queries, keys and values as the projections give them, side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Projected {
    /// `[batch, sequence, (heads + 2 x kv_heads) x head_dim]`.
    All(Tensor),
    QueryApart {
        /// `[batch, 1, heads x head_dim]`.
        q: Tensor,
        /// `[batch, sequence, 2 x kv_heads x head_dim]`.
        key_value: Tensor,
    },
}

/// Queries, keys and values each by themselves.
fn split(g: &mut GraphBuilder, config: &Config, projected: Projected) -> [Tensor; 3] {
    let (q_width, kv_width) = (int(config.hidden_size()), int(config.kv_width()));
    match projected {
        Projected::All(all) => {
            let parts = g.split(all, -1, &[q_width, kv_width, kv_width]);
            [parts[0], parts[1], parts[2]]
        }
        Projected::QueryApart { q, key_value } => {
            let parts = g.split(key_value, -1, &[kv_width, kv_width]);
            [q, parts[0], parts[1]]
        }
    }
}

/// Attention in operators of ai.onnx: the output before its projection, and the cache with this pass appended.
fn tabled_attention(
    g: &mut GraphBuilder,
    config: &Config,
    op_set: OpSet,
    [q, k, v]: [Tensor; 3],
    queries: Queries,
    tables: &PositionTables,
    cache: KvCache<F32>,
) -> (Tensor, KvCache<F32>) {
    let Queries { rotary, bias } = queries;
    let q = rotate(g, "q_rotary", q, rotary, config.heads());
    let k = rotate(g, "k_rotary", k, tables.all.rotary, config.kv_heads());
    match op_set {
        OpSet::Dense => attention_dense(g, config, [q, k, v], bias, cache),
        OpSet::Standard | OpSet::Plugin => attention_standard(g, config, [q, k, v], bias, cache),
    }
}

/// Rotates the first half of every head against its second half.
fn rotate(g: &mut GraphBuilder, name: &str, x: Tensor, rotary: Rotary, heads: usize) -> Tensor {
    g.scoped(name, |g| {
        let options = RotaryOptions { num_heads: Some(int(heads)), ..RotaryOptions::default() };
        g.rotary_embedding(x, rotary.cos, rotary.sin, None, options)
    })
}
