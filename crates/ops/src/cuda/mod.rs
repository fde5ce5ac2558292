//! The operators on CUDA devices: the kernels of `plugins/kernels`, behind types that check sizes.
//!
//! Inputs and outputs are device memory, which only the caller can vouch for: computing is `unsafe`, everything else is not.
//! Nothing here allocates or waits: scratch memory is the caller's, and work is put on the caller's stream, so calls can be
//! captured in a CUDA graph.
//!
//! ```text
//! ffi        tmoe_kernels.h in Rust
//! error      what a status means
//! launch     element types, streams, workspaces
//! the rest   one operator per file
//! ```

mod add_rms_norm;
mod error;
mod ffi;
mod flash_attention;
mod launch;
mod linear;
mod sparse_moe;

pub use self::add_rms_norm::{AddRmsNorm, DeviceNorm};
pub use self::error::CudaError;
pub use self::flash_attention::{DeviceAttention, DeviceRows, FlashAttention};
pub use self::launch::{FloatType, Products, Stream, Workspace};
pub use self::linear::{DeviceLinear, Linear};
pub use self::sparse_moe::{DeviceExperts, SparseMoe};
