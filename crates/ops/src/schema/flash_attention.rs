//! `FlashAttention`: causal attention with rotary embedding and a key/value cache (Dao et al. 2022; Su et al. 2021).
//!
//! | input | type | shape |
//! |---|---|---|
//! | `q` | float32 | [batch, queries, heads x head_dim]: the last `queries` positions of the sequence |
//! | `k`, `v` | float32, optional | [batch, sequence, kv_heads x head_dim] |
//! | `past_key`, `past_value` | float32, bfloat16 or float16 | [batch, kv_heads, past, head_dim], keys already rotated |
//! | `attention_mask` | int64 | [batch, past + sequence], 1 = real point |
//! | -> `y` | float32 | [batch, queries, heads x head_dim] |
//! | -> `present_key`, `present_value` | as the past | [batch, kv_heads, past + sequence, head_dim] |
//!
//! Projections can stay as one product makes them. Without `v`, `k` holds keys and values side by side,
//! [batch, sequence, 2 x kv_heads x head_dim]; without `k` and `v`, `q` holds all three,
//! [batch, sequence, (heads + 2 x kv_heads) x head_dim].
//!
//! The position of a point is the number of real points before it; a query attends to the real points up to itself, and
//! one that has none gives zeros.
//!
//! The four tensors of the cache have one type. New keys and values are rounded to it, to nearest, ties to even, before anything
//! attends to them: a query meets the same numbers in the pass that brings them as in all later ones.
//!
//! The cache can be preallocated: where `past_key` and `past_value` have room for `past + sequence` rows or more, of which
//! the mask's length says how many are filled, the present has their shape, and where both are bound to one buffer the
//! append is in place.
//!
//! Attributes: `num_heads`, `kv_num_heads`; `rope_theta`, the base of the rotary frequencies; `scale` (0: 1 / sqrt(head_dim));
//! `rotary_type`, the type to which cos and sin are rounded (`float32`, `bfloat16`, `float16`): Time-MoE keeps them in the
//! type that its checkpoint is stored in; `compute_type` (`float32`, `bfloat16`, `float16`), the type to which a kernel may
//! round the inputs of its products: queries, keys, values and the weights of the values. Sums and the softmax are float32,
//! and so is everything where a processor has no instructions for that type or gains nothing by it.

use super::argument::{Argument, Dimension, ElementType};
use super::attributes::{AttributeDefault, AttributeSpec, Attributes};
use super::check::Node;
use super::{InputSpec, Operator, SchemaError, SharedType};
use crate::cpu::RotaryRounding;

const FLOAT: &[ElementType] = &[ElementType::Float32];
/// What a cache may hold.
const CACHE: &[ElementType] = &[ElementType::Float32, ElementType::BFloat16, ElementType::Float16];

/// Causal attention with rotary embedding and cache.
pub static FLASH_ATTENTION: Operator = Operator {
    name: "FlashAttention",
    inputs: &[
        InputSpec::new("q", FLOAT),
        InputSpec::optional("k", FLOAT),
        InputSpec::optional("v", FLOAT),
        InputSpec::new("past_key", CACHE),
        InputSpec::new("past_value", CACHE),
        InputSpec::new("attention_mask", &[ElementType::Int64]),
    ],
    outputs: &["y", "present_key", "present_value"],
    shared_type: Some(SharedType {
        types: CACHE,
        inputs: &["past_key", "past_value"],
        outputs: &["present_key", "present_value"],
    }),
    attributes: &[
        AttributeSpec::new("num_heads", AttributeDefault::RequiredInt),
        AttributeSpec::new("kv_num_heads", AttributeDefault::RequiredInt),
        AttributeSpec::new("rope_theta", AttributeDefault::Float(10_000.0)),
        AttributeSpec::new("scale", AttributeDefault::Float(0.0)),
        AttributeSpec::new("rotary_type", AttributeDefault::Text("float32")),
        AttributeSpec::new("compute_type", AttributeDefault::Text("float32")),
    ],
    rule: infer,
};

/// The attributes of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlashAttentionAttributes {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// Factor of the scores; 0 for 1 / sqrt(head_dim).
    pub scale: f32,
    /// To what cos and sin are rounded.
    pub rounding: RotaryRounding,
    /// To what the inputs of products may be rounded: float32, bfloat16 or float16.
    pub compute_type: ElementType,
}

impl FlashAttentionAttributes {
    /// Reads a node's attributes.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Attribute`] where one is missing or has no such value.
    pub fn read(attributes: &Attributes) -> Result<Self, SchemaError> {
        Self::of(&Node::attributes_of(&FLASH_ATTENTION, attributes)?)
    }

    fn of(node: &Node<'_>) -> Result<Self, SchemaError> {
        let size = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        let heads = size(node.int("num_heads", 1..)?);
        let kv_heads = size(node.int("kv_num_heads", 1..)?);
        if heads % kv_heads != 0 {
            let expected = format!("a divisor of num_heads, {heads}");
            return Err(node.attribute_error("kv_num_heads", expected, kv_heads.to_string()));
        }
        let roundings = [
            ("float32", RotaryRounding::Float32),
            ("bfloat16", RotaryRounding::BFloat16),
            ("float16", RotaryRounding::Float16),
        ];
        let types = [
            ("float32", ElementType::Float32),
            ("bfloat16", ElementType::BFloat16),
            ("float16", ElementType::Float16),
        ];
        let positive = |attribute, value: f32, zero: bool| {
            if value.is_finite() && (value > 0.0 || zero && value == 0.0) {
                Ok(value)
            } else {
                Err(node.attribute_error(attribute, "a positive number".to_owned(), value.to_string()))
            }
        };
        Ok(Self {
            heads,
            kv_heads,
            rope_theta: positive("rope_theta", node.float("rope_theta"), false)?,
            scale: positive("scale", node.float("scale"), true)?,
            rounding: node.choice("rotary_type", &roundings)?,
            compute_type: node.choice("compute_type", &types)?,
        })
    }
}

fn infer(node: &Node<'_>) -> Result<Vec<Argument>, SchemaError> {
    let attributes = FlashAttentionAttributes::of(node)?;
    let (heads, kv_heads) = (attributes.heads as u64, attributes.kv_heads as u64);
    // How many heads are side by side in `q` and in `k`.
    let (q_heads, k_heads) = match (node.input("k"), node.input("v")) {
        (Some(_), Some(_)) => (heads, kv_heads),
        (Some(_), None) => (heads, kv_heads.saturating_mul(2)),
        (None, None) => (kv_heads.saturating_mul(2).saturating_add(heads), 0),
        (None, Some(_)) => {
            return Err(SchemaError::MissingInput { operator: FLASH_ATTENTION.name, input: "k" });
        }
    };
    let q: [Dimension; 3] = node.shape("q", "[batch, queries, heads x head_dim]")?;
    let k: [Dimension; 3] = node.shape("k", "[batch, sequence, kv_heads x head_dim]")?;
    let v: [Dimension; 3] = node.shape("v", "[batch, sequence, kv_heads x head_dim]")?;
    let sequence = if k_heads == 0 { &q[1] } else { &k[1] };
    let cache = "[batch, kv_heads, past, head_dim]";
    let past_key: [Dimension; 4] = node.shape("past_key", cache)?;
    let past_value: [Dimension; 4] = node.shape("past_value", cache)?;
    let mask: [Dimension; 2] = node.shape("attention_mask", "[batch, past + sequence]")?;

    let batch = q[0].or(&k[0]).or(&past_key[0]).or(&mask[0]).clone();
    let packed = if k_heads == 0 { " of queries, keys and values, for `k` and `v` are left out" } else { "" };
    // Else the cache would be blamed for queries that stand alone.
    if let (0, Some(head_dim)) = (k_heads, past_key[3].fixed()) {
        let expected = Dimension::Fixed(head_dim.saturating_mul(q_heads));
        node.require(q[2].may_equal(&expected), "q", || {
            format!("[batch, sequence, {q_heads} x {head_dim}] with {q_heads} heads{packed}")
        })?;
    }
    if let Some(width) = q[2].fixed() {
        let fits = width % q_heads == 0 && width > 0;
        node.require(fits, "q", || {
            format!("[batch, queries, heads x head_dim] with {q_heads} heads{packed}")
        })?;
        let head_dim = width / q_heads;
        node.require(head_dim % 2 == 0, "q", || {
            format!(
                "[batch, queries, {q_heads} x head_dim] with an even head_dim, which rotary embedding needs"
            )
        })?;
    }
    let head_dim = match q[2].fixed() {
        Some(width) => Dimension::Fixed(width / q_heads),
        None => past_key[3].or(&past_value[3]).clone(),
    };
    let width = |heads: u64| match head_dim.fixed() {
        Some(head_dim) => Dimension::Fixed(head_dim.saturating_mul(heads)),
        None => Dimension::Unknown,
    };
    let queries_fit =
        !matches!((q[1].fixed(), sequence.fixed()), (Some(queries), Some(sequence)) if queries > sequence);
    node.require(queries_fit, "q", || format!("[batch, queries, ..] with queries <= sequence = {sequence}"))?;
    for (name, shape, heads) in [("k", &k, k_heads), ("v", &v, kv_heads)] {
        let fits = node.input(name).is_none()
            || shape[0].may_equal(&batch)
                && shape[1].may_equal(sequence)
                && shape[2].may_equal(&width(heads));
        node.require(fits, name, || {
            format!("[batch, sequence, {heads} x {head_dim}] with batch = {batch}, sequence = {sequence}")
        })?;
    }
    for (name, shape) in [("past_key", &past_key), ("past_value", &past_value)] {
        let fits = shape[0].may_equal(&batch)
            && shape[1].may_equal(&Dimension::Fixed(kv_heads))
            && shape[2].may_equal(&past_key[2])
            && shape[3].may_equal(&head_dim);
        node.require(fits, name, || {
            format!("[batch, {kv_heads}, past, {head_dim}] with batch = {batch}, past = {}", past_key[2])
        })?;
    }
    node.require(mask[0].may_equal(&batch), "attention_mask", || {
        format!("[batch, past + sequence] with batch = {batch}")
    })?;
    if let (Some(total), Some(sequence)) = (mask[1].fixed(), sequence.fixed()) {
        let past = total.checked_sub(sequence);
        // Either exactly the past, or a buffer with room for all.
        let fits = past.is_some_and(|past| {
            past_key[2].fixed().is_none_or(|capacity| capacity == past || capacity >= total)
        });
        node.require(fits, "attention_mask", || {
            format!("[batch, past + sequence] with past = {}, sequence = {sequence}", past_key[2])
        })?;
    }
    let rows = match (past_key[2].fixed(), mask[1].fixed()) {
        (Some(capacity), Some(total)) => Dimension::Fixed(capacity.max(total)),
        // Of a preallocated cache whose size is not known before it is bound, this is what is filled.
        _ => mask[1].clone(),
    };
    let present = Argument {
        element_type: node.element_type("past_key"),
        shape: Some(vec![batch.clone(), Dimension::Fixed(kv_heads), rows, head_dim.clone()]),
    };
    let y_width = if k_heads == 0 { width(heads) } else { q[2].clone() };
    let y = node.input("q").and_then(|q| q.shape.as_ref()).map(|_| vec![q[0].clone(), q[1].clone(), y_width]);
    Ok(vec![Argument { element_type: ElementType::Float32, shape: y }, present.clone(), present])
}
