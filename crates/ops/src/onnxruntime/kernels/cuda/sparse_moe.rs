//! `SparseMoe` on CUDA devices.

use std::ptr;

use super::super::super::context::Context;
use super::super::super::error::OperatorError;
use super::super::super::info::Info;
use super::super::super::operator::Kernel;
use super::super::required;
use super::super::sparse_moe::{ADDEND, DOWN, GATE_UP, ROUTER_LOGITS, X, addend, moe_shape, tokens};
use super::{address, products, weight, weight_address};
use crate::cuda::{DeviceExperts, SparseMoe};
use crate::schema::{SPARSE_MOE, SparseMoeAttributes};

pub(in crate::onnxruntime) struct SparseMoeKernel {
    moe: SparseMoe,
    experts: usize,
    hidden: usize,
}

impl Kernel for SparseMoeKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        let attributes = info.check()?;
        let (weights, gate_up) = weight(info, &SPARSE_MOE, "gate_up")?;
        weight(info, &SPARSE_MOE, "down")?;
        let &[experts, hidden, both] = gate_up.shape() else {
            unreachable!("the schema has checked the axes of gate_up");
        };
        let shape = moe_shape([experts, hidden, both], SparseMoeAttributes::read(&attributes)?);
        Ok(Self { moe: SparseMoe::new(shape, weights, products())?, experts, hidden })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let x = required(context, &SPARSE_MOE, X)?;
        let logits = required(context, &SPARSE_MOE, ROUTER_LOGITS)?;
        let tokens = tokens(&x, &logits, self.hidden, self.experts)?;
        let addend = addend(context, &x)?;
        let (y, y_len) = context.output::<f32>(0, x.shape())?;
        if y_len == 0 {
            return Ok(());
        }
        let memory = DeviceExperts {
            x: address::<f32>(&x, &SPARSE_MOE, X)?.cast(),
            router_logits: address(&logits, &SPARSE_MOE, ROUTER_LOGITS)?,
            gate_up: weight_address(context, &SPARSE_MOE, GATE_UP)?,
            down: weight_address(context, &SPARSE_MOE, DOWN)?,
            addend: match &addend {
                Some(addend) => address::<f32>(addend, &SPARSE_MOE, ADDEND)?.cast(),
                None => ptr::null(),
            },
            y: y.cast(),
        };
        let stream = context.stream()?;
        let mut scratch = context.device_scratch(X, self.moe.workspace(tokens))?;
        // SAFETY: inputs and the output were checked and lie on the session's device, which is current; the scratch memory
        // stays with the stream.
        unsafe { self.moe.run(tokens, memory, scratch.workspace(), stream) }?;
        Ok(())
    }
}
