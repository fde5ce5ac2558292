//! Attention as plain matrix products (op set `dense`): TensorRT's parser takes no `Attention` node that returns a cache.
//!
//! ```text
//! past_key ─┬─ present_key ─ transposed ─┐
//! k ────────┘                            ├─ scores ─ + bias ─ softmax ─┐
//! q ─ x scale ───────────────────────────┘                             ├─ y
//! past_value, v ─ present_value ───────────────────────────────────────┘
//! ```

use tmoe_model::Config;
use tmoe_onnx::{Dim, F32, GraphBuilder, KvCache};

use super::{Tensor, attention_scale, fixed};

/// softmax(scale q k^T + bias) v over rotated queries and keys `[batch, .., heads x head_dim]`: the output, shaped as the
/// queries, and the cache with this pass appended. The bias is `[batch, 1, queries, past + sequence]`.
pub(crate) fn attention_dense(
    g: &mut GraphBuilder,
    config: &Config,
    [q, k, v]: [Tensor; 3],
    bias: Tensor,
    cache: KvCache<F32>,
) -> (Tensor, KvCache<F32>) {
    g.scoped("attention", |g| {
        let append = |g: &mut GraphBuilder, name: &str, past: Tensor, new: Tensor| {
            g.scoped(name, |g| {
                let new = heads_first(g, config, new);
                g.concat(&[past, new], 2)
            })
        };
        let present =
            KvCache { key: append(g, "key", cache.key, k), value: append(g, "value", cache.value, v) };
        let flat = g.shape(q).clone();
        let scale = g.const_scalar_f32(attention_scale(config));
        let q = g.mul(q, scale);
        let y = match config.heads() == config.kv_heads() {
            true => {
                let q = heads_first(g, config, q);
                let y = weighted_values(g, q, bias, present);
                g.transpose(y, &[0, 2, 1, 3])
            }
            false => grouped(g, config, q, bias, present),
        };
        (g.reshape(y, flat), present)
    })
}

/// `[batch, n, kv_heads x head_dim]` as `[batch, kv_heads, n, head_dim]`.
fn heads_first(g: &mut GraphBuilder, config: &Config, x: Tensor) -> Tensor {
    let [batch, count] = leading(g, x);
    let apart = g.reshape(x, [batch, count, fixed(config.kv_heads()), fixed(config.head_dim())]);
    g.transpose(apart, &[0, 2, 1, 3])
}

/// Query heads that share a key/value head stand on an axis of their own, over which keys and values are broadcast:
/// `[batch, queries, kv_heads, group, head_dim]`.
fn grouped(g: &mut GraphBuilder, config: &Config, q: Tensor, bias: Tensor, present: KvCache<F32>) -> Tensor {
    let [batch, count] = leading(g, q);
    let (kv_heads, group) = (config.kv_heads(), config.heads() / config.kv_heads());
    let apart = g.reshape(q, [batch, count, fixed(kv_heads), fixed(group), fixed(config.head_dim())]);
    let q = g.transpose(apart, &[0, 2, 3, 1, 4]);
    let bias = g.unsqueeze(bias, &[1]);
    let shared = KvCache { key: g.unsqueeze(present.key, &[2]), value: g.unsqueeze(present.value, &[2]) };
    let y = weighted_values(g, q, bias, shared);
    g.transpose(y, &[0, 3, 1, 2, 4])
}

/// softmax(q k^T + bias) v over the last two axes; the others are broadcast.
fn weighted_values(g: &mut GraphBuilder, q: Tensor, bias: Tensor, cache: KvCache<F32>) -> Tensor {
    let rank = g.shape(cache.key).rank();
    let mut swapped: Vec<usize> = (0..rank).collect();
    swapped.swap(rank - 2, rank - 1);
    let keys = g.transpose(cache.key, &swapped);
    let scores = g.matmul(q, keys);
    let scores = g.add(scores, bias);
    let shares = g.softmax(scores, -1);
    g.matmul(shares, cache.value)
}

/// The first two axes.
fn leading(g: &GraphBuilder, x: Tensor) -> [Dim; 2] {
    let dims = g.shape(x).dims();
    [0, 1].map(|axis| dims[axis].clone())
}
