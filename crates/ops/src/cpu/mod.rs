//! Kernels for the processor.
//!
//! Kernels take slices and shapes, and a [`Parallel`] to share work with; they never start threads, so that a host's
//! own thread pool stays the only one.

mod parallel;
pub(crate) mod simd;

pub use self::parallel::{Parallel, ScopedThreads, Sequential};
