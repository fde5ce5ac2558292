//! `Linear` on the CPU.

use super::super::context::{Context, Tensor};
use super::super::error::OperatorError;
use super::super::info::Info;
use super::super::operator::Kernel;
use super::{elements, required, rows, weights};
use crate::cpu::Linear;
use crate::schema::LINEAR;

pub(in crate::onnxruntime) struct LinearKernel {
    linear: Linear,
    input: usize,
    output: usize,
}

pub(super) const X: usize = 0;
#[cfg(feature = "cuda")]
pub(super) const WEIGHT: usize = 1;
#[cfg(feature = "cuda")]
pub(super) const BIAS: usize = 2;

impl Kernel for LinearKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        info.check()?;
        let (weight, tensor) = weights(info, &LINEAR, "weight", "scale")?;
        let bias = info.weight("bias")?;
        let &[input, output] = tensor.shape() else {
            unreachable!("the schema has checked the axes of weight");
        };
        let bias = bias.map(|bias| bias.elements().unwrap_or_default());
        Ok(Self { linear: Linear::new(input, output, weight, bias), input, output })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let x = required(context, &LINEAR, X)?;
        let values = elements(x, &LINEAR, X)?;
        let (rows, shape) = output(&x, self.input, self.output)?;
        let (y, y_len) = context.output::<f32>(0, &shape)?;
        if y_len == 0 {
            return Ok(());
        }
        let threads = context.threads();
        let mut scratch = context.scratch(self.linear.scratch_len(rows))?;
        // SAFETY: an output of its own, with as many elements; the kernel writes all before it reads any.
        let y = unsafe { std::slice::from_raw_parts_mut(y, y_len) };
        self.linear.run(values, y, scratch.elements(), &threads);
        Ok(())
    }
}

/// The rows of x, and the shape of what is computed of it.
pub(super) fn output(
    x: &Tensor<'_>,
    input: usize,
    output: usize,
) -> Result<(usize, Vec<usize>), OperatorError> {
    let rows = rows(x, &LINEAR, X, "in", input)?;
    let mut shape = x.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = output;
    }
    Ok((rows, shape))
}
