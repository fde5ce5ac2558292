//! The operators of the domain `tmoe`, for every provider.
//!
//! ```text
//! schema         what the operators are: inputs, attributes, type and shape rules
//! cpu            kernels for the processor; they know nothing of ONNX
//! cuda           kernels for CUDA devices, with the feature `cuda`
//! onnxruntime    all behind ONNX Runtime's custom-op interface: `RegisterCustomOps`
//! ```

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
pub mod schema;
