//! `Linear` on CUDA devices.

use std::ptr;

use super::super::super::context::Context;
use super::super::super::error::OperatorError;
use super::super::super::info::Info;
use super::super::super::operator::Kernel;
use super::super::linear::{BIAS, WEIGHT, X, output};
use super::super::required;
use super::{address, products, weight, weight_address};
use crate::cuda::{DeviceLinear, Linear};
use crate::schema::LINEAR;

pub(in crate::onnxruntime) struct LinearKernel {
    linear: Linear,
    input: usize,
    output: usize,
}

impl Kernel for LinearKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        info.check()?;
        let (weights, tensor) = weight(info, &LINEAR, "weight")?;
        let &[input, output] = tensor.shape() else {
            unreachable!("the schema has checked the axes of weight");
        };
        Ok(Self { linear: Linear::new(input, output, weights, products())?, input, output })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let x = required(context, &LINEAR, X)?;
        let (rows, shape) = output(&x, self.input, self.output)?;
        let (y, y_len) = context.output::<f32>(0, &shape)?;
        if y_len == 0 {
            return Ok(());
        }
        let memory = DeviceLinear {
            x: address::<f32>(&x, &LINEAR, X)?.cast(),
            weight: weight_address(context, &LINEAR, WEIGHT)?,
            bias: match context.input(BIAS)? {
                Some(bias) => address(&bias, &LINEAR, BIAS)?,
                None => ptr::null(),
            },
            y: y.cast(),
        };
        let stream = context.stream()?;
        let mut scratch = context.device_scratch(X, self.linear.workspace(rows))?;
        // SAFETY: inputs and the output were checked and lie on the session's device, which is current; the scratch memory
        // stays with the stream.
        unsafe { self.linear.run(rows, memory, scratch.workspace(), stream) }?;
        Ok(())
    }
}
