//! `FlashAttention` on the CPU.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use super::super::context::{Context, Tensor};
use super::super::error::OperatorError;
use super::super::info::Info;
use super::super::operator::Kernel;
use super::{elements, required};
use crate::cpu::{AttentionInputs, AttentionOutputs, AttentionSizes, FlashAttention, FlashAttentionShape};
use crate::schema::{Attributes, Dimension, FLASH_ATTENTION, FlashAttentionAttributes};

pub(in crate::onnxruntime) struct FlashAttentionKernel {
    attributes: Attributes,
    parameters: FlashAttentionAttributes,
    /// By head_dim, which is known when the node first runs: one, but for graphs that leave the width open.
    attentions: RwLock<BTreeMap<usize, Arc<FlashAttention>>>,
}

const Q: usize = 0;
const K: usize = 1;
const V: usize = 2;
const PAST_KEY: usize = 3;
const PAST_VALUE: usize = 4;
const MASK: usize = 5;

impl Kernel for FlashAttentionKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        let attributes = info.check()?;
        let parameters = FlashAttentionAttributes::read(&attributes)?;
        Ok(Self { attributes, parameters, attentions: RwLock::default() })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let mut tensors = Vec::with_capacity(6);
        for index in [Q, K, V, PAST_KEY, PAST_VALUE, MASK] {
            tensors.push(required(context, &FLASH_ATTENTION, index)?);
        }
        let arguments: Vec<_> = tensors.iter().map(|tensor| Some(tensor.argument())).collect();
        let outputs = FLASH_ATTENTION.infer(&self.attributes, &arguments)?;
        let float = |index: usize| elements::<f32>(tensors[index], &FLASH_ATTENTION, index);

        let (queries, sequence) = (tensors[Q].shape()[1], tensors[K].shape()[1]);
        let total = tensors[MASK].shape()[1];
        let present_shape = sizes(outputs[1].shape.as_deref());
        let past_capacity = tensors[PAST_KEY].shape()[2];
        let head_dim = present_shape[3];
        let sizes = AttentionSizes {
            batch: tensors[Q].shape()[0],
            queries,
            sequence,
            past: total - sequence,
            past_capacity,
            present_capacity: present_shape[2],
        };

        let (y, y_len) = context.output(0, tensors[Q].shape())?;
        let (key, key_len) = context.output(1, &present_shape)?;
        let (value, value_len) = context.output(2, &present_shape)?;
        let in_place = [is_at(&tensors[PAST_KEY], key), is_at(&tensors[PAST_VALUE], value)];
        if key_len > 0 && (in_place[0] != in_place[1] || in_place[0] && past_capacity != present_shape[2]) {
            return Err(OperatorError::Runtime(format!(
                "FlashAttention: past and present are bound to one buffer, whose shape is {:?} as past and {present_shape:?} as \
                 present; bind keys and values both, with room for past + sequence = {total} points",
                tensors[PAST_KEY].shape()
            )));
        }
        let past = match in_place[0] {
            true => None,
            false => Some((float(PAST_KEY)?, float(PAST_VALUE)?)),
        };
        let inputs = AttentionInputs {
            sizes,
            q: float(Q)?,
            k: float(K)?,
            v: float(V)?,
            past,
            mask: elements(tensors[MASK], &FLASH_ATTENTION, MASK)?,
        };
        // SAFETY: three outputs of their own, with as many elements. Where one is also the past, no slice of the past exists,
        // and its elements were written by whoever bound it.
        let outputs = unsafe {
            AttentionOutputs {
                y: slice(y, y_len),
                present_key: slice(key, key_len),
                present_value: slice(value, value_len),
            }
        };
        let attention = self.attention(head_dim);
        let threads = context.threads();
        let mut scratch = context.scratch(attention.scratch_len(sizes))?;
        attention.run(inputs, outputs, scratch.elements(), &threads);
        Ok(())
    }
}

impl FlashAttentionKernel {
    fn attention(&self, head_dim: usize) -> Arc<FlashAttention> {
        let known = self.attentions.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(attention) = known.get(&head_dim) {
            return Arc::clone(attention);
        }
        drop(known);
        let FlashAttentionAttributes { heads, kv_heads, rope_theta, scale, rounding } = self.parameters;
        let scale = if scale == 0.0 { (head_dim as f64).powf(-0.5) as f32 } else { scale };
        let shape = FlashAttentionShape {
            heads,
            kv_heads,
            head_dim,
            rope_theta: f64::from(rope_theta),
            rounding,
            scale,
        };
        let mut known = self.attentions.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        Arc::clone(known.entry(head_dim).or_insert_with(|| Arc::new(FlashAttention::new(shape))))
    }
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

/// # Safety
///
/// As many elements from the address on are writable, and nobody else's during `'a`.
unsafe fn slice<'a>(address: *mut f32, elements: usize) -> &'a mut [f32] {
    if elements == 0 {
        return &mut [];
    }
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts_mut(address, elements) }
}
