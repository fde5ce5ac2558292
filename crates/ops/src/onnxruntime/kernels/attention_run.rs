//! One run of a `FlashAttention` node on any device: its inputs and outputs, once they are known to fit.

use std::ffi::c_void;

use super::super::context::{Context, Tensor};
use super::super::error::OperatorError;
use super::required;
use crate::cpu::{AttentionSizes, FlashAttentionShape};
use crate::schema::{Attributes, Dimension, ElementType, FLASH_ATTENTION, FlashAttentionAttributes};

pub(super) const Q: usize = 0;
pub(super) const K: usize = 1;
pub(super) const V: usize = 2;
pub(super) const PAST_KEY: usize = 3;
pub(super) const PAST_VALUE: usize = 4;
pub(super) const MASK: usize = 5;

pub(super) struct AttentionRun<'a> {
    /// Queries, keys and values.
    pub(super) projected: [Projected<'a>; 3],
    /// Keys and values.
    pub(super) past: [Tensor<'a>; 2],
    pub(super) mask: Tensor<'a>,
    pub(super) sizes: AttentionSizes,
    pub(super) head_dim: usize,
    /// Where y is, and its elements.
    pub(super) y: (*mut f32, usize),
    /// The present's keys, and its values: of [`Self::cache_type`].
    pub(super) present: [(*mut c_void, usize); 2],
    /// The type of past and present.
    pub(super) cache_type: ElementType,
    /// The past lies in the present's memory already.
    pub(super) in_place: bool,
}

/// Rows of points, in a tensor whose rows may hold more.
#[derive(Clone, Copy)]
pub(super) struct Projected<'a> {
    pub(super) tensor: Tensor<'a>,
    /// The tensor's place among the inputs.
    pub(super) input: usize,
    /// Elements before the first row.
    pub(super) offset: usize,
    /// Elements from one row to the next.
    pub(super) stride: usize,
}

impl<'a> AttentionRun<'a> {
    /// Checks the inputs with the schema, and makes the outputs.
    pub(super) fn new(context: &Context<'a>, attributes: &Attributes) -> Result<Self, OperatorError> {
        let required = |index: usize| required(context, &FLASH_ATTENTION, index);
        let (q, k, v) = (required(Q)?, context.input(K)?, context.input(V)?);
        let (past, mask) = ([required(PAST_KEY)?, required(PAST_VALUE)?], required(MASK)?);
        let [past_key, past_value] = past;
        let inputs = [Some(q), k, v, Some(past_key), Some(past_value), Some(mask)];
        let arguments = inputs.map(|tensor| tensor.map(|tensor| tensor.argument()));
        let outputs = FLASH_ATTENTION.infer(attributes, &arguments)?;

        let y_shape: [usize; 3] = sizes(outputs[0].shape.as_deref());
        let present_shape: [usize; 4] = sizes(outputs[1].shape.as_deref());
        let [batch, queries, width] = y_shape;
        let kv_width = present_shape[1] * present_shape[3];
        let projected = projected(q, k, v, [width, kv_width]);
        let sequence = k.unwrap_or(q).shape()[1];
        let total = mask.shape()[1];
        let past_capacity = past_key.shape()[2];
        let sizes = AttentionSizes {
            batch,
            queries,
            sequence,
            past: total - sequence,
            past_capacity,
            present_capacity: present_shape[2],
        };

        let y = context.output(0, &y_shape)?;
        let key = context.output(1, &present_shape)?;
        let value = context.output(2, &present_shape)?;
        let in_place = [is_at(&past_key, key.0), is_at(&past_value, value.0)];
        if key.1 > 0 && (in_place[0] != in_place[1] || in_place[0] && past_capacity != present_shape[2]) {
            return Err(OperatorError::Runtime(format!(
                "FlashAttention: past and present are bound to one buffer, whose shape is {:?} as past and {present_shape:?} as \
                 present; bind keys and values both, with room for past + sequence = {total} points",
                past_key.shape()
            )));
        }
        let [in_place, _] = in_place;
        Ok(Self {
            projected,
            past,
            mask,
            sizes,
            head_dim: present_shape[3],
            y,
            present: [key, value],
            cache_type: past_key.element_type(),
            in_place,
        })
    }
}

/// Where queries, keys and values lie in the inputs `q`, `k` and `v`, which the schema has accepted.
fn projected<'a>(
    q: Tensor<'a>,
    k: Option<Tensor<'a>>,
    v: Option<Tensor<'a>>,
    [width, kv_width]: [usize; 2],
) -> [Projected<'a>; 3] {
    let part = |tensor, input, offset, stride| Projected { tensor, input, offset, stride };
    let all = width + 2 * kv_width;
    match (k, v) {
        (Some(k), Some(v)) => [part(q, Q, 0, width), part(k, K, 0, kv_width), part(v, V, 0, kv_width)],
        (Some(k), None) => {
            [part(q, Q, 0, width), part(k, K, 0, 2 * kv_width), part(k, K, kv_width, 2 * kv_width)]
        }
        (None, _) => [part(q, Q, 0, all), part(q, Q, width, all), part(q, Q, width + kv_width, all)],
    }
}

/// A node's attributes as the kernels of every device take them.
pub(super) fn attention_shape(attributes: FlashAttentionAttributes, head_dim: usize) -> FlashAttentionShape {
    let FlashAttentionAttributes { heads, kv_heads, rope_theta, scale, rounding, .. } = attributes;
    let scale = if scale == 0.0 { (head_dim as f64).powf(-0.5) as f32 } else { scale };
    FlashAttentionShape { heads, kv_heads, head_dim, rope_theta: f64::from(rope_theta), rounding, scale }
}

/// Sizes that are all known, as they are of a node that runs.
fn sizes<const N: usize>(shape: Option<&[Dimension]>) -> [usize; N] {
    let size = |size: &Dimension| size.fixed().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    let mut sizes = [0; N];
    for (target, dimension) in sizes.iter_mut().zip(shape.unwrap_or_default()) {
        *target = size(dimension);
    }
    sizes
}

fn is_at(tensor: &Tensor<'_>, address: *const c_void) -> bool {
    tensor.shape().iter().all(|&size| size > 0) && tensor.address() == address
}
