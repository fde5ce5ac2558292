//! `AddRmsNorm` on the CPU.

use super::super::context::{Context, Tensor};
use super::super::error::OperatorError;
use super::super::info::Info;
use super::super::operator::Kernel;
use super::{elements, require_shape, required, rows, shape_error};
use crate::cpu::AddRmsNorm;
use crate::schema::{ADD_RMS_NORM, AddRmsNormAttributes};

pub(in crate::onnxruntime) struct AddRmsNormKernel {
    norm: AddRmsNorm,
}

pub(super) const X: usize = 0;
pub(super) const RESIDUAL: usize = 1;
pub(super) const WEIGHT: usize = 2;

impl Kernel for AddRmsNormKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        let AddRmsNormAttributes { epsilon } = AddRmsNormAttributes::read(&info.check()?)?;
        Ok(Self { norm: AddRmsNorm { epsilon } })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let Inputs { x, residual, weight, .. } = Inputs::new(context)?;
        let [(y, len), (sum, _)] = [context.output::<f32>(0, x.shape())?, context.output(1, x.shape())?];
        if len == 0 {
            return Ok(());
        }
        // SAFETY: outputs of their own, each with as many elements; the kernel writes all before it reads any.
        let (y, sum) =
            unsafe { (std::slice::from_raw_parts_mut(y, len), std::slice::from_raw_parts_mut(sum, len)) };
        self.norm.run(
            elements(x, &ADD_RMS_NORM, X)?,
            elements(residual, &ADD_RMS_NORM, RESIDUAL)?,
            elements(weight, &ADD_RMS_NORM, WEIGHT)?,
            y,
            sum,
            &context.threads(),
        );
        Ok(())
    }
}

/// The inputs of a run, whose shapes agree.
pub(super) struct Inputs<'a> {
    pub(super) x: Tensor<'a>,
    pub(super) residual: Tensor<'a>,
    pub(super) weight: Tensor<'a>,
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "slices know their lengths"))]
    pub(super) rows: usize,
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "as above"))]
    pub(super) hidden: usize,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(context: &Context<'a>) -> Result<Self, OperatorError> {
        let [x, residual, weight] = [
            required(context, &ADD_RMS_NORM, X)?,
            required(context, &ADD_RMS_NORM, RESIDUAL)?,
            required(context, &ADD_RMS_NORM, WEIGHT)?,
        ];
        let &[hidden] = weight.shape() else {
            return Err(shape_error(&ADD_RMS_NORM, WEIGHT, &weight, "[hidden]".to_owned()));
        };
        let rows = rows(&x, &ADD_RMS_NORM, X, "hidden", hidden)?;
        require_shape(&residual, x.shape(), "x", &ADD_RMS_NORM, RESIDUAL)?;
        Ok(Self { x, residual, weight, rows, hidden })
    }
}
