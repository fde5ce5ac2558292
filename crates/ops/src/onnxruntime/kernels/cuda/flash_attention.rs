//! `FlashAttention` on CUDA devices.

use std::ptr;

use super::super::super::context::Context;
use super::super::super::error::OperatorError;
use super::super::super::info::Info;
use super::super::super::operator::Kernel;
use super::super::attention_run::{AttentionRun, K, MASK, PAST_KEY, PAST_VALUE, Q, V, attention_shape};
use super::{address, float_type, products};
use crate::cuda::{DeviceAttention, FlashAttention, FloatType, Products};
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
        let attention = FlashAttention::new(shape, self.compute_type, self.products)?;
        let float = |index: usize| {
            address::<f32>(&run.inputs[index], &FLASH_ATTENTION, index).map(|address| address.cast())
        };
        let (past_key, past_value) = match run.in_place {
            true => (ptr::null(), ptr::null()),
            false => (float(PAST_KEY)?, float(PAST_VALUE)?),
        };
        let [(y, _), (present_key, _), (present_value, _)] = run.outputs;
        let memory = DeviceAttention {
            q: float(Q)?,
            k: float(K)?,
            v: float(V)?,
            past_key,
            past_value,
            mask: address(&run.inputs[MASK], &FLASH_ATTENTION, MASK)?,
            y: y.cast(),
            present_key: present_key.cast(),
            present_value: present_value.cast(),
        };
        let stream = context.stream()?;
        let mut scratch = context.device_scratch(Q, attention.workspace(run.sizes))?;
        // SAFETY: inputs and outputs were checked and lie on the session's device, which is current; the past is not in the
        // present's memory, or is left out; the scratch memory stays with the stream.
        unsafe { attention.run(run.sizes, memory, scratch.workspace(), stream) }?;
        Ok(())
    }
}
