//! `AddRmsNorm` on CUDA devices.

use super::super::super::context::Context;
use super::super::super::error::OperatorError;
use super::super::super::info::Info;
use super::super::super::operator::Kernel;
use super::super::add_rms_norm::{Inputs, RESIDUAL, WEIGHT, X};
use super::address;
use crate::cuda::{AddRmsNorm, DeviceNorm};
use crate::schema::{ADD_RMS_NORM, AddRmsNormAttributes};

pub(in crate::onnxruntime) struct AddRmsNormKernel {
    epsilon: f32,
}

impl Kernel for AddRmsNormKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        let AddRmsNormAttributes { epsilon } = AddRmsNormAttributes::read(&info.check()?)?;
        Ok(Self { epsilon })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let Inputs { x, residual, weight, rows, hidden } = Inputs::new(context)?;
        let [(y, len), (sum, _)] = [context.output::<f32>(0, x.shape())?, context.output(1, x.shape())?];
        if len == 0 {
            return Ok(());
        }
        let memory = DeviceNorm {
            x: address::<f32>(&x, &ADD_RMS_NORM, X)?.cast(),
            residual: address::<f32>(&residual, &ADD_RMS_NORM, RESIDUAL)?.cast(),
            weight: address(&weight, &ADD_RMS_NORM, WEIGHT)?,
            y: y.cast(),
            sum: sum.cast(),
        };
        let norm = AddRmsNorm::new(hidden, self.epsilon)?;
        // SAFETY: inputs and outputs were checked and lie on the session's device, which is current.
        unsafe { norm.run(rows, memory, context.stream()?) }?;
        Ok(())
    }
}
