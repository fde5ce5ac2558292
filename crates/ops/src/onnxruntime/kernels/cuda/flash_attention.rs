//! `FlashAttention` on CUDA devices.

use std::ptr;

use super::super::super::context::Context;
use super::super::super::error::OperatorError;
use super::super::super::info::Info;
use super::super::super::operator::Kernel;
use super::super::attention_run::{AttentionRun, MASK, Projected, Q, attention_shape};
use super::{address, float_type, products};
use crate::cuda::{DeviceAttention, DeviceRows, FlashAttention, FloatType, Products};
use crate::schema::{Attributes, FLASH_ATTENTION, FlashAttentionAttributes};

pub(in crate::onnxruntime) struct FlashAttentionKernel {
    attributes: Attributes,
    parameters: FlashAttentionAttributes,
    compute_type: FloatType,
    products: Products,
}

impl Kernel for FlashAttentionKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        let attributes = info.check()?;
        let parameters = FlashAttentionAttributes::read(&attributes)?;
        let compute_type = float_type(parameters.compute_type).unwrap_or(FloatType::Float32);
        Ok(Self { attributes, parameters, compute_type, products: products() })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let run = AttentionRun::new(context, &self.attributes)?;
        let shape = attention_shape(self.parameters, run.head_dim);
        // The schema lets no other type pass.
        let cache_type = float_type(run.cache_type).unwrap_or(FloatType::Float32);
        let attention = FlashAttention::new(shape, cache_type, self.compute_type, self.products)?;
        let rows = |Projected { tensor, input, offset, stride }: Projected<'_>| {
            let address = address::<f32>(&tensor, &FLASH_ATTENTION, input)?.wrapping_add(offset).cast();
            Ok::<_, OperatorError>(DeviceRows { address, stride })
        };
        let (past_key, past_value) = match run.in_place {
            true => (ptr::null(), ptr::null()),
            false => (run.past[0].address(), run.past[1].address()),
        };
        let [q, k, v] = run.projected;
        let ((y, _), [(present_key, _), (present_value, _)]) = (run.y, run.present);
        let memory = DeviceAttention {
            q: rows(q)?,
            k: rows(k)?,
            v: rows(v)?,
            past_key,
            past_value,
            mask: address(&run.mask, &FLASH_ATTENTION, MASK)?,
            y: y.cast(),
            present_key,
            present_value,
        };
        let stream = context.stream()?;
        let mut scratch = context.device_scratch(Q, attention.workspace(run.sizes))?;
        // SAFETY: inputs and outputs were checked and lie on the session's device, which is current; the past is not in the
        // present's memory, or is left out; the scratch memory stays with the stream.
        unsafe { attention.run(run.sizes, memory, scratch.workspace(), stream) }?;
        Ok(())
    }
}
