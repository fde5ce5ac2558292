//! Kernels for the processor.
//!
//! Kernels take slices and shapes, and a [`Parallel`] to share work with; they never start threads, so that a host's
//! own thread pool stays the only one.

mod flash_attention;
mod parallel;
mod rotary;
pub(crate) mod simd;

pub use self::flash_attention::{
    AttentionInputs, AttentionOutputs, AttentionSizes, FlashAttention, FlashAttentionShape,
};
pub use self::parallel::{Parallel, ScopedThreads, Sequential};
pub use self::rotary::RotaryRounding;
