//! Attention as one node of ai.onnx (op set `standard`).

use tmoe_model::Config;
use tmoe_onnx::{AttentionMask, AttentionOptions, F32, GraphBuilder, KvCache};

use super::{Tensor, attention_scale, int};

/// softmax(scale q k^T + bias) v over rotated queries and keys `[batch, .., heads x head_dim]`: the output, shaped as the
/// queries, and the cache with this pass appended. The bias is `[batch, 1, queries, past + sequence]`.
pub(crate) fn attention_standard(
    g: &mut GraphBuilder,
    config: &Config,
    [q, k, v]: [Tensor; 3],
    bias: Tensor,
    cache: KvCache<F32>,
) -> (Tensor, KvCache<F32>) {
    let attended = g.attention(
        q,
        k,
        v,
        Some(AttentionMask::Added(bias.any())),
        Some(cache),
        AttentionOptions {
            q_num_heads: Some(int(config.heads())),
            kv_num_heads: Some(int(config.kv_heads())),
            scale: Some(attention_scale(config)),
            is_causal: false,
        },
    );
    // Attention without a cache has none to return; this one was given a cache.
    (attended.y, attended.present.unwrap_or(cache))
}
