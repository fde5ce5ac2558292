//! `FlashAttention` on the CPU.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use half::{bf16, f16};

use super::super::context::{Context, Element};
use super::super::error::OperatorError;
use super::super::info::Info;
use super::super::operator::Kernel;
use super::attention_run::{AttentionRun, MASK, PAST_KEY, PAST_VALUE, Projected, attention_shape};
use super::elements;
use crate::cpu::{AttentionInputs, AttentionOutputs, CacheElement, FlashAttention, Strided};
use crate::schema::{Attributes, ElementType, FLASH_ATTENTION, FlashAttentionAttributes};

pub(in crate::onnxruntime) struct FlashAttentionKernel {
    attributes: Attributes,
    parameters: FlashAttentionAttributes,
    /// By head_dim, which is known when the node first runs: one, but for graphs that leave the width open.
    attentions: RwLock<BTreeMap<usize, Arc<FlashAttention>>>,
}

impl Kernel for FlashAttentionKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        let attributes = info.check()?;
        let parameters = FlashAttentionAttributes::read(&attributes)?;
        Ok(Self { attributes, parameters, attentions: RwLock::default() })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let run = AttentionRun::new(context, &self.attributes)?;
        match run.cache_type {
            ElementType::Float16 => self.run::<f16>(context, &run),
            ElementType::BFloat16 => self.run::<bf16>(context, &run),
            // The schema lets no other type pass; reading the past would say so.
            _ => self.run::<f32>(context, &run),
        }
    }
}

impl FlashAttentionKernel {
    /// Runs with a cache of `E`, which is that of the run.
    fn run<E: CacheElement + Element>(
        &self,
        context: &Context<'_>,
        run: &AttentionRun<'_>,
    ) -> Result<(), OperatorError> {
        let past = match run.in_place {
            true => None,
            false => Some((
                elements(run.past[0], &FLASH_ATTENTION, PAST_KEY)?,
                elements(run.past[1], &FLASH_ATTENTION, PAST_VALUE)?,
            )),
        };
        let [q, k, v] = run.projected;
        let inputs = AttentionInputs {
            sizes: run.sizes,
            q: rows(q)?,
            k: rows(k)?,
            v: rows(v)?,
            past,
            mask: elements(run.mask, &FLASH_ATTENTION, MASK)?,
        };
        let ((y, y_len), [(key, key_len), (value, value_len)]) = (run.y, run.present);
        // SAFETY: three outputs of their own, with as many elements of these types. Where one is also the past, no slice of the past exists,
        // and its elements were written by whoever bound it.
        let outputs = unsafe {
            AttentionOutputs {
                y: slice(y, y_len),
                present_key: slice::<E>(key.cast(), key_len),
                present_value: slice::<E>(value.cast(), value_len),
            }
        };
        let attention = self.attention(run.head_dim);
        let threads = context.threads();
        let mut scratch = context.scratch(attention.scratch_len(run.sizes))?;
        attention.run(inputs, outputs, scratch.elements(), &threads);
        Ok(())
    }

    fn attention(&self, head_dim: usize) -> Arc<FlashAttention> {
        let known = self.attentions.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(attention) = known.get(&head_dim) {
            return Arc::clone(attention);
        }
        drop(known);
        let shape = attention_shape(self.parameters, head_dim);
        let mut known = self.attentions.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        Arc::clone(known.entry(head_dim).or_insert_with(|| Arc::new(FlashAttention::new(shape))))
    }
}

/// Queries, keys or values where the node's inputs hold them.
fn rows(projected: Projected<'_>) -> Result<Strided<'_>, OperatorError> {
    let Projected { tensor, input, offset, stride } = projected;
    let values = elements::<f32>(tensor, &FLASH_ATTENTION, input)?;
    // No points, no columns.
    Ok(Strided::new(values.get(offset..).unwrap_or_default(), stride))
}

/// # Safety
///
/// As many elements from the address on are writable, and nobody else's during `'a`.
unsafe fn slice<'a, T>(address: *mut T, elements: usize) -> &'a mut [T] {
    if elements == 0 {
        return &mut [];
    }
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts_mut(address, elements) }
}
