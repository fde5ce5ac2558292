//! Self-attention as one node, `tmoe.FlashAttention` (op set `plugin`).

use tmoe_model::{Config, FloatType};
use tmoe_onnx::{DataType, Dim, GraphBuilder, I64, Shape, Value};
use tmoe_ops::schema::{DOMAIN, FLASH_ATTENTION};

use super::attention::Projected;
use super::{LayerCache, Tensor, attention_scale, batch, fixed, int, past, sequence, typed};

/// What attention rounds to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionTypes {
    /// The type in which the checkpoint is stored: that of cos and sin.
    pub(crate) stored: FloatType,
    /// The type of the projections' weights: that of products, where it is a float's.
    pub(crate) weights: DataType,
}

/// Attention over projected queries, keys and values, which stay side by side: the output before its projection, and the cache
/// with this pass appended, in the type it has.
pub(crate) fn flash_attention(
    g: &mut GraphBuilder,
    config: &Config,
    types: AttentionTypes,
    projected: Projected,
    attention_mask: Value<I64>,
    cache: LayerCache,
) -> (Tensor, LayerCache) {
    let rotary_type = match types.stored {
        FloatType::F32 => "float32",
        FloatType::BF16 => "bfloat16",
        FloatType::F16 => "float16",
    };
    let compute_type = match types.weights {
        DataType::Float16 => "float16",
        DataType::Bfloat16 => "bfloat16",
        _ => "float32",
    };
    let present =
        Shape::from([batch(), fixed(config.kv_heads()), past() + sequence(), fixed(config.head_dim())]);
    let (q, k, queries) = match projected {
        Projected::All(all) => (all, None, sequence()),
        Projected::QueryApart { q, key_value } => (q, Some(key_value.any()), Dim::fixed(1)),
    };
    let y = Shape::from([batch(), queries, fixed(config.hidden_size())]);
    let outputs = g.custom(
        DOMAIN,
        FLASH_ATTENTION.name,
        &[Some(q.any()), k, None, Some(cache.key), Some(cache.value), Some(attention_mask.any())],
        &[
            ("num_heads", int(config.heads()).into()),
            ("kv_num_heads", int(config.kv_heads()).into()),
            ("rope_theta", (config.rope_theta() as f32).into()),
            ("scale", attention_scale(config).into()),
            ("rotary_type", rotary_type.into()),
            ("compute_type", compute_type.into()),
        ],
        &[(DataType::Float32, y), (cache.data_type(), present.clone()), (cache.data_type(), present)],
    );
    (typed(&outputs, 0), LayerCache { key: outputs[1], value: outputs[2] })
}
