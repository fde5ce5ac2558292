//! Kernels for the processor.
//!
//! Kernels take slices and shapes, and a [`Parallel`] to share work with; they never start threads, so that a host's
//! own thread pool stays the only one.

mod activation;
mod add_rms_norm;
mod flash_attention;
mod linear;
mod matmul;
mod parallel;
mod peak;
mod rotary;
pub(crate) mod simd;
mod sparse_moe;

pub use self::activation::Activation;
pub use self::add_rms_norm::AddRmsNorm;
pub use self::flash_attention::{
    AttentionInputs, AttentionOutputs, AttentionSizes, CacheElement, FlashAttention, FlashAttentionShape,
    Strided,
};
pub use self::linear::Linear;
pub use self::matmul::Weights;
pub use self::parallel::{Parallel, ScopedThreads, Sequential};
pub use self::peak::peak_gflops;
pub use self::rotary::RotaryRounding;
pub use self::sparse_moe::{Scoring, SparseMoe, SparseMoeShape};
