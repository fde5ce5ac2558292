//! Attention and rotary embedding as operators of ai.onnx 23.

use super::{dims, equal};
use crate::builder::{Call, GraphBuilder};
use crate::dim::Dim;
use crate::element::{DataType, Float, I64};
use crate::error::OpProblem;
use crate::shape::Shape;
use crate::value::{AnyValue, Value};

/// Attributes of `RotaryEmbedding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RotaryOptions {
    /// Pairs neighbours (2i, 2i + 1) instead of halves (i, i + d/2).
    pub interleaved: bool,
    /// Heads of a three-dimensional input.
    pub num_heads: Option<i64>,
    /// How many features of a head are rotated; `None` for all.
    pub rotary_dim: Option<i64>,
}

/// Attributes of `Attention`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AttentionOptions {
    /// Query heads of three-dimensional inputs.
    pub q_num_heads: Option<i64>,
    /// Key/value heads of three-dimensional inputs.
    pub kv_num_heads: Option<i64>,
    /// Factor of the scores; `None` for 1 / sqrt(head_dim).
    pub scale: Option<f32>,
    /// Lets a query see no key after itself. Runtimes differ in where queries stand relative to a cache, so with a cache
    /// let a mask say what is visible.
    pub is_causal: bool,
}

/// The mask of `Attention`: `[queries, keys]`, or with leading axes that broadcast to `[batch, heads, queries, keys]`.
///
/// ONNX lets the last two axes broadcast too; ONNX Runtime refuses that, so they must be as they are.
#[derive(Clone, Copy, Debug)]
pub enum AttentionMask {
    /// Truth values: keys that a query sees.
    Visible(Value<crate::element::Bool>),
    /// Numbers of the queries' type, added to the scores.
    Added(AnyValue),
}

/// Keys and values `[batch, kv_heads, length, head_dim]` of earlier or of all positions.
#[derive(Clone, Copy, Debug)]
pub struct KvCache<T: Float> {
    /// Keys.
    pub key: Value<T>,
    /// Values.
    pub value: Value<T>,
}

/// What `Attention` returns.
#[derive(Clone, Copy, Debug)]
pub struct AttentionOutputs<T: Float> {
    /// Same layout as the queries.
    pub y: Value<T>,
    /// The cache after this call, when there was one before.
    pub present: Option<KvCache<T>>,
}

impl GraphBuilder {
    /// `RotaryEmbedding` of x, `[batch, heads, sequence, head_dim]` or `[batch, sequence, heads x head_dim]`; from version 23
    /// on.
    ///
    /// With position ids `[batch, sequence]`, the tables are `[positions, rotary_dim / 2]`; without, they are
    /// `[batch, sequence, rotary_dim / 2]`.
    pub fn rotary_embedding<T: Float>(
        &mut self,
        x: Value<T>,
        cos: Value<T>,
        sin: Value<T>,
        position_ids: Option<Value<I64>>,
        options: RotaryOptions,
    ) -> Value<T> {
        let ids = position_ids.map(|ids| self.shape(ids));
        let shape = rotary_shape(self.shape(x), self.shape(cos), self.shape(sin), ids, options);
        let call = Call::new("RotaryEmbedding")
            .input(x)
            .input(cos)
            .input(sin)
            .optional(position_ids.map(Value::any))
            .attribute_if(options.interleaved, "interleaved", 1)
            .attribute_if(options.num_heads.is_some(), "num_heads", options.num_heads.unwrap_or(0))
            .attribute_if(
                options.rotary_dim.is_some(),
                "rotary_embedding_dim",
                options.rotary_dim.unwrap_or(0),
            )
            .since(23, "RotaryEmbedding");
        self.apply_one(call, shape)
    }

    /// `Attention`: softmax(scale q k^T + mask) v; from version 23 on.
    ///
    /// Queries, keys and values are `[batch, heads, sequence, head_dim]`, or `[batch, sequence, heads x head_dim]` with the
    /// numbers of heads as options. Query heads are a multiple of key/value heads. A cache is put before the keys and
    /// values.
    pub fn attention<T: Float>(
        &mut self,
        q: Value<T>,
        k: Value<T>,
        v: Value<T>,
        mask: Option<AttentionMask>,
        past: Option<KvCache<T>>,
        options: AttentionOptions,
    ) -> AttentionOutputs<T> {
        let shapes = self.attention_shapes(q, k, v, mask, past, options);
        let mask = mask.map(|mask| match mask {
            AttentionMask::Visible(mask) => mask.any(),
            AttentionMask::Added(mask) => mask,
        });
        let call = Call::new("Attention")
            .input(q)
            .input(k)
            .input(v)
            .optional(mask)
            .optional(past.map(|past| past.key.any()))
            .optional(past.map(|past| past.value.any()))
            .attribute_if(options.is_causal, "is_causal", 1)
            .attribute_if(options.q_num_heads.is_some(), "q_num_heads", options.q_num_heads.unwrap_or(0))
            .attribute_if(options.kv_num_heads.is_some(), "kv_num_heads", options.kv_num_heads.unwrap_or(0))
            .attribute_if(options.scale.is_some(), "scale", options.scale.unwrap_or(0.0))
            .since(23, "Attention");
        if past.is_none() {
            let y = self.apply_one(call, shapes.map(|[y, _, _]| y));
            return AttentionOutputs { y, present: None };
        }
        let [y, key, value] = self.apply(call, [T::TYPE; 3], shapes).map(Value::from_any_unchecked);
        AttentionOutputs { y, present: Some(KvCache { key, value }) }
    }

    /// Shapes of the output and of the cache after it.
    fn attention_shapes<T: Float>(
        &self,
        q: Value<T>,
        k: Value<T>,
        v: Value<T>,
        mask: Option<AttentionMask>,
        past: Option<KvCache<T>>,
        options: AttentionOptions,
    ) -> Result<[Shape; 3], OpProblem> {
        let [batch, q_heads, queries, head_dim] = heads("the queries", self.shape(q), options.q_num_heads)?;
        let [k_batch, kv_heads, keys, k_dim] = heads("the keys", self.shape(k), options.kv_num_heads)?;
        let [v_batch, v_heads, values, v_dim] = heads("the values", self.shape(v), options.kv_num_heads)?;
        equal("batch of the queries", &batch, "batch of the keys", &k_batch)?;
        equal("batch of the queries", &batch, "batch of the values", &v_batch)?;
        equal("heads of the keys", &kv_heads, "heads of the values", &v_heads)?;
        equal("number of keys", &keys, "number of values", &values)?;
        equal("head_dim of the queries", &head_dim, "head_dim of the keys", &k_dim)?;
        if let (Some(q_count), Some(kv_count)) = (q_heads.as_fixed(), kv_heads.as_fixed())
            && q_count.checked_rem(kv_count) != Some(0)
        {
            return Err(OpProblem::Argument {
                what: "the number of query heads",
                expected: format!("a multiple of {kv_count} key/value heads"),
                found: q_count.to_string(),
            });
        }
        let total = match past {
            None => keys,
            Some(past) => {
                let [p_batch, p_heads, length, p_dim] =
                    dims::<4>("the cached keys", self.shape(past.key))?.clone();
                equal("batch of the keys", &batch, "batch of the cached keys", &p_batch)?;
                equal("heads of the keys", &kv_heads, "heads of the cached keys", &p_heads)?;
                equal("head_dim of the keys", &k_dim, "head_dim of the cached keys", &p_dim)?;
                let cached = Shape::from([batch.clone(), kv_heads.clone(), length.clone(), v_dim.clone()]);
                super::exactly("the cached values", self.shape(past.value), &cached)?;
                length + keys
            }
        };
        if let Some(mask) = mask {
            let scores = Shape::from([batch.clone(), q_heads.clone(), queries.clone(), total.clone()]);
            self.check_mask(mask, T::TYPE, &scores)?;
        }
        let y = match self.shape(q).rank() {
            3 => Shape::from([batch.clone(), queries, q_heads * v_dim.clone()]),
            _ => Shape::from([batch.clone(), q_heads, queries, v_dim.clone()]),
        };
        let present = |dim| Shape::from([batch.clone(), kv_heads.clone(), total.clone(), dim]);
        Ok([y, present(k_dim), present(v_dim)])
    }

    fn check_mask(&self, mask: AttentionMask, score_type: DataType, scores: &Shape) -> Result<(), OpProblem> {
        let shape = match mask {
            AttentionMask::Visible(mask) => self.shape(mask),
            AttentionMask::Added(mask) if mask.data_type() == score_type => self.shape(mask),
            AttentionMask::Added(mask) => {
                return Err(OpProblem::InputType {
                    what: "the mask",
                    expected: format!("{score_type}, as the queries"),
                    found: mask.data_type(),
                });
            }
        };
        super::at_least("the mask", shape, 2)?;
        let last = |shape: &Shape| Shape::from(shape.dims().split_at(shape.rank().saturating_sub(2)).1);
        super::exactly("the last two axes of the mask", &last(shape), &last(scores))?;
        super::exactly("the mask broadcast to the scores", &shape.broadcast(scores)?, scores)
    }
}

/// `[batch, heads, sequence, head_dim]` of a value in either layout.
fn heads(what: &'static str, shape: &Shape, count: Option<i64>) -> Result<[Dim; 4], OpProblem> {
    if let Ok([batch, heads, sequence, head_dim]) = dims::<4>(what, shape) {
        return Ok([batch, heads, sequence, head_dim].map(Clone::clone));
    }
    let [batch, sequence, hidden] = dims::<3>(what, shape).map_err(|_| OpProblem::Rank {
        what,
        expected: "3 or 4".to_owned(),
        found: shape.rank(),
    })?;
    let argument = |expected: String, found: Option<i64>| OpProblem::Argument {
        what: "the number of heads",
        expected,
        found: found.map_or_else(|| "not given".to_owned(), |count| count.to_string()),
    };
    let heads = count
        .filter(|&count| count > 0)
        .ok_or_else(|| argument("given with three-dimensional inputs".to_owned(), count))?;
    let head_dim = hidden
        .exact_div(&Dim::fixed(heads))
        .ok_or_else(|| argument(format!("a divisor of {hidden}"), count))?;
    Ok([batch.clone(), Dim::fixed(heads), sequence.clone(), head_dim])
}

fn rotary_shape(
    x: &Shape,
    cos: &Shape,
    sin: &Shape,
    position_ids: Option<&Shape>,
    options: RotaryOptions,
) -> Result<Shape, OpProblem> {
    let [batch, _, sequence, head_dim] = heads("the input", x, options.num_heads)?;
    let rotated = options.rotary_dim.map_or(head_dim, Dim::fixed);
    let half = rotated.exact_div(&Dim::fixed(2)).ok_or_else(|| OpProblem::Argument {
        what: "the number of rotated features",
        expected: "even".to_owned(),
        found: rotated.to_string(),
    })?;
    let steps = Shape::from([batch, sequence]);
    let table = match position_ids {
        Some(ids) => {
            super::exactly("the position ids", ids, &steps)?;
            let [positions, _] = dims::<2>("the cosines", cos)?;
            Shape::from([positions.clone(), half])
        }
        None => steps.iter().cloned().chain([half]).collect(),
    };
    super::exactly("the cosines", cos, &table)?;
    super::exactly("the sines", sin, &table)?;
    Ok(x.clone())
}
