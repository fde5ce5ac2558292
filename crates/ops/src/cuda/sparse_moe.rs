//! `SparseMoe` on the device.

use std::ffi::c_void;

use super::CudaError;
use super::ffi::{self, MoeShape};
use super::launch::{FloatType, Products, Stream, Workspace, require, rows, size_i32};
use crate::cpu::{Activation, Scoring, SparseMoeShape};

const OPERATOR: &str = "SparseMoe";

/// Top-k routed experts with float32 inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct SparseMoe {
    shape: MoeShape,
}

/// Inputs and output of a run, all in device memory.
#[derive(Clone, Copy, Debug)]
pub struct DeviceExperts {
    /// float32 [tokens, hidden]
    pub x: *const c_void,
    /// [tokens, experts]
    pub router_logits: *const f32,
    /// [experts, hidden, 2 x ffn] of the weights' type
    pub gate_up: *const c_void,
    /// [experts, ffn, hidden] of the weights' type
    pub down: *const c_void,
    /// float32 [tokens, hidden], or null
    pub addend: *const c_void,
    /// float32 [tokens, hidden], overwritten
    pub y: *mut c_void,
}

impl SparseMoe {
    /// Experts of the given shape and type of weights.
    ///
    /// # Errors
    ///
    /// [`CudaError::Size`] where the kernels are not made for the shape.
    pub fn new(shape: SparseMoeShape, weights: FloatType, products: Products) -> Result<Self, CudaError> {
        let SparseMoeShape { experts, hidden, ffn, top_k, activation, scoring, normalize_top_k } = shape;
        require((1..=256).contains(&experts), OPERATOR, "experts", experts, "1 to 256")?;
        require(hidden.is_multiple_of(8), OPERATOR, "hidden", hidden, "a multiple of 8")?;
        require(ffn.is_multiple_of(8), OPERATOR, "ffn", ffn, "a multiple of 8")?;
        let shape = MoeShape {
            tokens: 0,
            hidden: size_i32(OPERATOR, "hidden", hidden)?,
            ffn: size_i32(OPERATOR, "ffn", ffn)?,
            experts: size_i32(OPERATOR, "experts", experts)?,
            top_k: size_i32(OPERATOR, "top_k", top_k)?,
            normalize_top_k: normalize_top_k.into(),
            scoring: scoring_number(scoring),
            activation: activation_number(activation),
            io_type: FloatType::Float32.number(),
            weight_type: weights.number(),
            options: products.options(),
        };
        Ok(Self { shape })
    }

    /// Bytes of scratch memory for a number of tokens.
    pub fn workspace(&self, tokens: usize) -> usize {
        let shape = self.of(tokens);
        // SAFETY: a shape, which is only read.
        unsafe { ffi::tmoe_sparse_moe_workspace(&shape) }
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
        tokens: usize,
        memory: DeviceExperts,
        workspace: Workspace,
        stream: Stream,
    ) -> Result<(), CudaError> {
        let shape = self.of(tokens);
        let DeviceExperts { x, router_logits, gate_up, down, addend, y } = memory;
        let Workspace { address, bytes } = workspace;
        // SAFETY: the caller's.
        let status = unsafe {
            ffi::tmoe_sparse_moe(&shape, x, router_logits, gate_up, down, addend, y, address, bytes, stream.0)
        };
        CudaError::check(OPERATOR, status)
    }

    fn of(&self, tokens: usize) -> MoeShape {
        MoeShape { tokens: rows(tokens), ..self.shape }
    }
}

/// Its `tmoe_scoring`.
pub(super) fn scoring_number(scoring: Scoring) -> i32 {
    match scoring {
        Scoring::Softmax => 0,
        Scoring::Sigmoid => 1,
    }
}

/// Its `tmoe_activation`.
pub(super) fn activation_number(activation: Activation) -> i32 {
    match activation {
        Activation::Silu => 0,
        Activation::Gelu => 1,
        Activation::GeluTanh => 2,
        Activation::Relu => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: SparseMoeShape = SparseMoeShape {
        experts: 8,
        hidden: 384,
        ffn: 768,
        top_k: 2,
        activation: Activation::Silu,
        scoring: Scoring::Softmax,
        normalize_top_k: false,
    };

    #[test]
    fn sizes_that_the_kernels_are_not_made_for_are_named() {
        let error =
            |shape| SparseMoe::new(shape, FloatType::Float32, Products::Exact).unwrap_err().to_string();
        assert_eq!(
            error(SparseMoeShape { hidden: 380, ..SHAPE }),
            "SparseMoe on CUDA: hidden is 380, expected a multiple of 8"
        );
        assert!(error(SparseMoeShape { ffn: 12, ..SHAPE }).contains("ffn is 12"));
        assert!(
            error(SparseMoeShape { experts: 257, ..SHAPE }).contains("experts is 257, expected 1 to 256")
        );
        assert!(error(SparseMoeShape { ffn: 1 << 31, ..SHAPE }).contains("less than 2^31"));
    }
}
