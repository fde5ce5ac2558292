//! One run of a `FlashAttention` node on any device: its inputs and outputs, once they are known to fit.

use super::super::context::{Context, Tensor};
use super::super::error::OperatorError;
use super::required;
use crate::cpu::{AttentionSizes, FlashAttentionShape};
use crate::schema::{Attributes, Dimension, FLASH_ATTENTION, FlashAttentionAttributes};

pub(super) const Q: usize = 0;
pub(super) const K: usize = 1;
pub(super) const V: usize = 2;
pub(super) const PAST_KEY: usize = 3;
pub(super) const PAST_VALUE: usize = 4;
pub(super) const MASK: usize = 5;

pub(super) struct AttentionRun<'a> {
    /// By the places above.
    pub(super) inputs: Vec<Tensor<'a>>,
    pub(super) sizes: AttentionSizes,
    pub(super) head_dim: usize,
    /// y, the present's keys, its values: where they are, and their elements.
    pub(super) outputs: [(*mut f32, usize); 3],
    /// The past lies in the present's memory already.
    pub(super) in_place: bool,
}

impl<'a> AttentionRun<'a> {
    /// Checks the inputs with the schema, and makes the outputs.
    pub(super) fn new(context: &Context<'a>, attributes: &Attributes) -> Result<Self, OperatorError> {
        let mut inputs = Vec::with_capacity(6);
        for index in [Q, K, V, PAST_KEY, PAST_VALUE, MASK] {
            inputs.push(required(context, &FLASH_ATTENTION, index)?);
        }
        let arguments: Vec<_> = inputs.iter().map(|tensor| Some(tensor.argument())).collect();
        let outputs = FLASH_ATTENTION.infer(attributes, &arguments)?;

        let (queries, sequence) = (inputs[Q].shape()[1], inputs[K].shape()[1]);
        let total = inputs[MASK].shape()[1];
        let present_shape = sizes(outputs[1].shape.as_deref());
        let past_capacity = inputs[PAST_KEY].shape()[2];
        let sizes = AttentionSizes {
            batch: inputs[Q].shape()[0],
            queries,
            sequence,
            past: total - sequence,
            past_capacity,
            present_capacity: present_shape[2],
        };

        let y = context.output(0, inputs[Q].shape())?;
        let key = context.output(1, &present_shape)?;
        let value = context.output(2, &present_shape)?;
        let in_place = [is_at(&inputs[PAST_KEY], key.0), is_at(&inputs[PAST_VALUE], value.0)];
        if key.1 > 0 && (in_place[0] != in_place[1] || in_place[0] && past_capacity != present_shape[2]) {
            return Err(OperatorError::Runtime(format!(
                "FlashAttention: past and present are bound to one buffer, whose shape is {:?} as past and {present_shape:?} as \
                 present; bind keys and values both, with room for past + sequence = {total} points",
                inputs[PAST_KEY].shape()
            )));
        }
        let [in_place, _] = in_place;
        Ok(Self { inputs, sizes, head_dim: present_shape[3], outputs: [y, key, value], in_place })
    }
}

/// A node's attributes as the kernels of every device take them.
pub(super) fn attention_shape(attributes: FlashAttentionAttributes, head_dim: usize) -> FlashAttentionShape {
    let FlashAttentionAttributes { heads, kv_heads, rope_theta, scale, rounding, .. } = attributes;
    let scale = if scale == 0.0 { (head_dim as f64).powf(-0.5) as f32 } else { scale };
    FlashAttentionShape { heads, kv_heads, head_dim, rope_theta: f64::from(rope_theta), rounding, scale }
}

/// Sizes that are all known, as they are of a node that runs.
fn sizes(shape: Option<&[Dimension]>) -> [usize; 4] {
    let size = |size: &Dimension| size.fixed().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    let mut sizes = [0; 4];
    for (target, dimension) in sizes.iter_mut().zip(shape.unwrap_or_default()) {
        *target = size(dimension);
    }
    sizes
}

fn is_at(tensor: &Tensor<'_>, address: *const f32) -> bool {
    tensor.shape().iter().all(|&size| size > 0) && tensor.address() == address.cast()
}
