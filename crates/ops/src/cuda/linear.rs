//! `Linear` on the device.

use std::ffi::c_void;

use super::CudaError;
use super::ffi::{self, LinearShape};
use super::launch::{FloatType, Products, Stream, Workspace, require, rows, size_i32};

const OPERATOR: &str = "Linear";

/// A matrix product with bias, with float32 inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    shape: LinearShape,
}

/// Inputs and output of a run, all in device memory.
#[derive(Clone, Copy, Debug)]
pub struct DeviceLinear {
    /// float32 [rows, input]
    pub x: *const c_void,
    /// [input, output] of the weights' type
    pub weight: *const c_void,
    /// [output], or null
    pub bias: *const f32,
    /// float32 [rows, output], overwritten
    pub y: *mut c_void,
}

impl Linear {
    /// A product with weights [input, output] of the given type.
    ///
    /// # Errors
    ///
    /// [`CudaError::Size`] where the kernels are not made for the shape.
    pub fn new(
        input: usize,
        output: usize,
        weights: FloatType,
        products: Products,
    ) -> Result<Self, CudaError> {
        require(input.is_multiple_of(8), OPERATOR, "in", input, "a multiple of 8")?;
        let shape = LinearShape {
            rows: 0,
            input: size_i32(OPERATOR, "in", input)?,
            output: size_i32(OPERATOR, "out", output)?,
            io_type: FloatType::Float32.number(),
            weight_type: weights.number(),
            options: products.options(),
        };
        Ok(Self { shape })
    }

    /// Bytes of scratch memory for a number of rows.
    pub fn workspace(&self, count: usize) -> usize {
        let shape = self.of(count);
        // SAFETY: a shape, which is only read.
        unsafe { ffi::tmoe_linear_workspace(&shape) }
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
    pub unsafe fn run(
        &self,
        count: usize,
        memory: DeviceLinear,
        workspace: Workspace,
        stream: Stream,
    ) -> Result<(), CudaError> {
        let shape = self.of(count);
        let DeviceLinear { x, weight, bias, y } = memory;
        let Workspace { address, bytes } = workspace;
        // SAFETY: the caller's.
        let status = unsafe { ffi::tmoe_linear(&shape, x, weight, bias, y, address, bytes, stream.0) };
        CudaError::check(OPERATOR, status)
    }

    fn of(&self, count: usize) -> LinearShape {
        LinearShape { rows: rows(count), ..self.shape }
    }
}
