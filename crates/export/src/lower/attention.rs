//! Self-attention with rotary embedding and a key/value cache.
//!
//! ```text
//! x ─ qkv_proj ─ split ─┬─ q ─ rotary ─┐
//!                       ├─ k ─ rotary ─┼─ Attention(past, bias) ─ o_proj
//!                       └─ v ──────────┘          └─ present
//! ```

use tmoe_model::Config;
use tmoe_onnx::{AttentionMask, AttentionOptions, F32, GraphBuilder, KvCache, RotaryOptions};

use super::positions::{Positions, Queries, Rotary, last_of};
use super::{Tensor, Weights, int};
use crate::weights::{LayerBlobs, LinearBlobs, ProjectionBlobs};

/// What attention gives: its output at the query positions, and the cache with this pass appended.
pub(crate) struct Attended {
    /// `[batch, queries, hidden]`.
    pub(crate) output: Tensor,
    /// `[batch, kv_heads, past + sequence, head_dim]` each.
    pub(crate) present: KvCache<F32>,
}

/// Attention over `x` `[batch, sequence, hidden]`, already normalised.
///
/// Where the layer's queries stand apart, they are computed at the last position only.
pub(crate) fn attention(
    g: &mut GraphBuilder,
    config: &Config,
    blobs: &LayerBlobs,
    weights: &dyn Weights,
    x: Tensor,
    positions: &Positions,
    cache: KvCache<F32>,
) -> Attended {
    g.scoped("self_attn", |g| {
        let (q_width, kv_width) = (int(config.hidden_size()), int(config.kv_width()));
        let (q, k, v, queries) = match blobs.projections {
            ProjectionBlobs::Fused(blobs) => {
                let all = linear(g, weights, "qkv_proj", x, blobs);
                let parts = g.split(all, -1, &[q_width, kv_width, kv_width]);
                (parts[0], parts[1], parts[2], positions.all)
            }
            ProjectionBlobs::QueryApart { query, key_value } => {
                let key_value = linear(g, weights, "kv_proj", x, key_value);
                let parts = g.split(key_value, -1, &[kv_width, kv_width]);
                let x = g.scoped("last", |g| last_of(g, x, 1));
                (linear(g, weights, "q_proj", x, query), parts[0], parts[1], positions.last)
            }
        };
        let Queries { rotary, bias } = queries;
        let q = rotate(g, "q_rotary", q, rotary, config.heads());
        let k = rotate(g, "k_rotary", k, positions.all.rotary, config.kv_heads());
        let attended = g.attention(
            q,
            k,
            v,
            Some(AttentionMask::Added(bias.any())),
            Some(cache),
            AttentionOptions {
                q_num_heads: Some(int(config.heads())),
                kv_num_heads: Some(int(config.kv_heads())),
                scale: Some((config.head_dim() as f64).powf(-0.5) as f32),
                is_causal: false,
            },
        );
        let output = g.scoped("o_proj", |g| {
            let weight = weights.tensor(g, blobs.attention_output);
            g.matmul(attended.y, weight)
        });
        // Attention without a cache has none to return; this one was given a cache.
        Attended { output, present: attended.present.unwrap_or(cache) }
    })
}

fn linear(g: &mut GraphBuilder, weights: &dyn Weights, name: &str, x: Tensor, blobs: LinearBlobs) -> Tensor {
    g.scoped(name, |g| {
        let weight = weights.tensor(g, blobs.weight);
        let product = g.matmul(x, weight);
        let bias = weights.tensor(g, blobs.bias);
        g.add(product, bias)
    })
}

/// Rotates the first half of every head against its second half.
fn rotate(g: &mut GraphBuilder, name: &str, x: Tensor, rotary: Rotary, heads: usize) -> Tensor {
    g.scoped(name, |g| {
        let options = RotaryOptions { num_heads: Some(int(heads)), ..RotaryOptions::default() };
        g.rotary_embedding(x, rotary.cos, rotary.sin, None, options)
    })
}
