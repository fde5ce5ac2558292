//! What the attention mask says about positions: rotary tables and the attention bias, shared by all layers. The op set
//! `plugin` has no need of them: its attention reads the mask.
//!
//! ```text
//! attention_mask [batch, past + sequence]
//!   ├─ running count - 1 = position ─ last `sequence` ─ x inverse frequencies ─ cos, sin
//!   └─ key is real AND key index <= query index ─ bias: 0 where attended, very negative where not
//! ```

use tmoe_model::{Config, FloatType};
use tmoe_onnx::{Bool, F32, GraphBuilder, I64, Value};

use super::{Tensor, batch, past, sequence};

/// Added to the scores of keys that are not attended. Finite, so that a row that attends to nothing (a padded query)
/// gives some average rather than NaN, which the next layer's products would spread.
const NOT_ATTENDED: f32 = -1e30;

/// Rotary tables for some positions, each `[batch, positions, head_dim / 2]`.
#[derive(Clone, Copy)]
pub(crate) struct Rotary {
    pub(crate) cos: Tensor,
    pub(crate) sin: Tensor,
}

/// The positions at which queries are computed.
#[derive(Clone, Copy)]
pub(crate) struct Queries {
    pub(crate) rotary: Rotary,
    /// `[batch, 1, queries, past + sequence]`, added to the attention scores.
    pub(crate) bias: Tensor,
}

/// Positions of one pass as tables.
#[derive(Clone, Copy)]
pub(crate) struct PositionTables {
    /// Every position of the sequence.
    pub(crate) all: Queries,
    /// The last position only.
    pub(crate) last: Queries,
}

/// Positions of one pass.
#[derive(Clone, Copy)]
pub(crate) enum Positions {
    /// As tables, for operators of ai.onnx.
    Tables(PositionTables),
    /// As the mask `[batch, past + sequence]` that they follow from.
    Mask(Value<I64>),
}

/// The tables of a pass, from its inputs `[batch, sequence, 1]` and `[batch, past + sequence]`.
///
/// The original computes its tables of cos and sin in float32 and keeps them in the type in which the checkpoint is
/// stored. They stay rounded to it when the rest of the model is then run in float32, so they are rounded here too.
pub(crate) fn position_tables(
    g: &mut GraphBuilder,
    config: &Config,
    stored: FloatType,
    input_ids: Tensor,
    attention_mask: Value<I64>,
) -> PositionTables {
    g.scoped("positions", |g| {
        let total = past() + sequence();
        let total_size = g.shape_of(attention_mask, 1..2);
        let sequence_size = g.shape_of(input_ids, 1..2);
        let past_size = g.sub(total_size, sequence_size);
        let to_end = g.const_i64(&[i64::MAX]);

        // Running count of real points, minus one; padding before the first real point counts as position 0.
        let position = g.scoped("position_ids", |g| {
            let count = g.cumsum(attention_mask, 1, false, false);
            let one = g.const_scalar_i64(1);
            let position = g.sub(count, one);
            let zero = g.const_scalar_i64(0);
            let position = g.max(position, zero);
            g.slice_to(position, past_size, to_end, &[1], &[1], [batch(), sequence()])
        });
        let rotary = rotary(g, config, stored, position);

        let allowed = g.scoped("causal", |g| {
            let start = g.const_scalar_i64(0);
            let step = g.const_scalar_i64(1);
            let end = g.squeeze(total_size, &[0]);
            let key_index = g.range(start, end, step, total.clone());
            let query_index = g.slice_to(key_index, past_size, to_end, &[0], &[1], [sequence()]);
            let query_index = g.unsqueeze(query_index, &[1]);
            let causal = g.less_or_equal(key_index, query_index);
            let zero = g.const_scalar_i64(0);
            let real = g.greater(attention_mask, zero);
            let real = g.unsqueeze(real, &[1, 2]);
            g.and(causal, real)
        });
        let all = Queries { rotary, bias: bias(g, allowed) };

        let last = g.scoped("last", |g| {
            let cos = last_of(g, rotary.cos, 1);
            let sin = last_of(g, rotary.sin, 1);
            Queries { rotary: Rotary { cos, sin }, bias: last_of(g, all.bias, 2) }
        });
        PositionTables { all, last }
    })
}

/// The last index of an axis, which stays as an axis of size 1.
pub(crate) fn last_of(g: &mut GraphBuilder, x: Tensor, axis: i64) -> Tensor {
    // An end beyond every size, since the size is symbolic.
    g.slice(x, &[-1], &[i64::MAX], &[axis], &[1])
}

/// `cos(position x frequency)` and `sin(position x frequency)` with frequency `theta^(-2j / head_dim)`
/// (Su et al. 2021).
fn rotary(g: &mut GraphBuilder, config: &Config, stored: FloatType, position: Value<I64>) -> Rotary {
    g.scoped("rotary", |g| {
        let head_dim = config.head_dim();
        // Each step in float32, as the original does: at large positions the last bit shows.
        let inverse: Vec<f32> = (0..head_dim / 2)
            .map(|j| {
                let exponent = (2 * j) as f32 / head_dim as f32;
                1.0 / config.rope_theta().powf(f64::from(exponent)) as f32
            })
            .collect();
        let inverse = g.const_tensor::<F32>(&[inverse.len() as i64], &inverse);
        let position = g.cast::<F32>(position);
        let position = g.unsqueeze(position, &[2]);
        let angle = g.mul(position, inverse);
        let (cos, sin) = (g.cos(angle), g.sin(angle));
        Rotary { cos: round_to(g, stored, cos), sin: round_to(g, stored, sin) }
    })
}

/// `x` rounded to the significant bits of a type, in float32: with `c = (2^s + 1) x`, `c - (c - x)` is `x` without its
/// last `s` of 24 bits (Dekker 1971). For want of bfloat16 in some providers.
fn round_to(g: &mut GraphBuilder, float_type: FloatType, x: Tensor) -> Tensor {
    let dropped_bits = match float_type {
        FloatType::F32 => return x,
        FloatType::BF16 => 16,
        FloatType::F16 => 13,
    };
    g.scoped("round", |g| {
        let factor = g.const_scalar_f32((1 << dropped_bits) as f32 + 1.0);
        let scaled = g.mul(x, factor);
        let rest = g.sub(scaled, x);
        g.sub(scaled, rest)
    })
}

fn bias(g: &mut GraphBuilder, allowed: Value<Bool>) -> Tensor {
    g.scoped("bias", |g| {
        let attended = g.const_scalar_f32(0.0);
        let not_attended = g.const_scalar_f32(NOT_ATTENDED);
        g.where_(allowed, attended, not_attended)
    })
}
