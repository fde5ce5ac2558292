//! The operators of the domain `tmoe`, for every provider.
//!
//! ```text
//! schema         what the operators are: inputs, attributes, type and shape rules
//! cpu            kernels for the processor; they know nothing of ONNX
//! onnxruntime    both behind ONNX Runtime's custom-op interface: `RegisterCustomOps`
//! ```

pub mod cpu;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
pub mod schema;
