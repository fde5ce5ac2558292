//! `AddRmsNorm` on the device.

use std::ffi::c_void;

use super::CudaError;
use super::ffi::{self, RmsNormShape};
use super::launch::{FloatType, Stream, require, rows, size_i32};

const OPERATOR: &str = "AddRmsNorm";

/// A residual sum and its norm, with float32 inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct AddRmsNorm {
    shape: RmsNormShape,
}

/// Inputs and outputs of a run, all in device memory.
#[derive(Clone, Copy, Debug)]
pub struct DeviceNorm {
    /// float32 [rows, hidden]
    pub x: *const c_void,
    /// float32 [rows, hidden]
    pub residual: *const c_void,
    /// [hidden]
    pub weight: *const f32,
    /// float32 [rows, hidden], overwritten
    pub y: *mut c_void,
    /// float32 [rows, hidden], overwritten
    pub sum: *mut c_void,
}

impl AddRmsNorm {
    /// A norm over rows of `hidden` elements.
    ///
    /// # Errors
    ///
    /// [`CudaError::Size`] where the kernels are not made for the shape.
    pub fn new(hidden: usize, epsilon: f32) -> Result<Self, CudaError> {
        require((1..=8192).contains(&hidden), OPERATOR, "hidden", hidden, "1 to 8192")?;
        let shape = RmsNormShape {
            rows: 0,
            hidden: size_i32(OPERATOR, "hidden", hidden)?,
            io_type: FloatType::Float32.number(),
            epsilon,
        };
        Ok(Self { shape })
    }

    /// Launches the work.
    ///
    /// # Errors
    ///
    /// What the kernels or the CUDA runtime report; nothing waits for the work itself.
    ///
    /// # Safety
    ///
    /// Everything is memory of the current device, as long as its field says, until the stream has done the work.
    pub unsafe fn run(&self, count: usize, memory: DeviceNorm, stream: Stream) -> Result<(), CudaError> {
        let shape = RmsNormShape { rows: rows(count), ..self.shape };
        let DeviceNorm { x, residual, weight, y, sum } = memory;
        // SAFETY: the caller's.
        let status = unsafe { ffi::tmoe_add_rms_norm(&shape, x, residual, weight, sum, y, stream.0) };
        CudaError::check(OPERATOR, status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_the_kernels_are_not_made_for_are_named() {
        let error = AddRmsNorm::new(8193, 1e-6).unwrap_err().to_string();
        assert_eq!(error, "AddRmsNorm on CUDA: hidden is 8193, expected 1 to 8192");
    }
}
