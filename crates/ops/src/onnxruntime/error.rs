//! What a node reports to ONNX Runtime.

use thiserror::Error;

use super::api::NEEDED_VERSION;
#[cfg(feature = "cuda")]
use crate::cuda::CudaError;
use crate::schema::{ElementType, SchemaError};

/// Why a node cannot be created or run.
#[derive(Clone, Debug, PartialEq, Error)]
pub(super) enum OperatorError {
    /// Types, shapes or attributes do not fit.
    #[error("{0}")]
    Schema(#[from] SchemaError),
    /// A weight is computed by the graph.
    #[error(
        "{operator}: the input `{input}` is computed by the graph, expected an initializer: weights are packed once"
    )]
    NotConstant {
        /// The operator.
        operator: &'static str,
        /// The input.
        input: &'static str,
    },
    /// An element type that this library's kernels do not compute with.
    #[error("{operator}: the input `{input}` has {found} elements, which the CPU kernel does not take")]
    Unsupported {
        /// The operator.
        operator: &'static str,
        /// The input.
        input: &'static str,
        /// Its type.
        found: ElementType,
    },
    /// An element type that the kernels on CUDA do not compute with.
    #[cfg(feature = "cuda")]
    #[error(
        "{operator}: the input `{input}` has {found} elements, which CUDA does not compute with; export with --precision fp32, \
         fp16 or bf16, or run on the CPU"
    )]
    UnsupportedOnCuda {
        /// The operator.
        operator: &'static str,
        /// The input.
        input: &'static str,
        /// Its type.
        found: ElementType,
    },
    /// The kernels or the CUDA runtime refused.
    #[cfg(feature = "cuda")]
    #[error("{0}")]
    Cuda(#[from] CudaError),
    /// The host's ONNX Runtime lacks functions that are needed.
    #[error("the operators of tmoe need ONNX Runtime 1.{NEEDED_VERSION} or newer")]
    TooOld,
    /// ONNX Runtime refused a call.
    #[error("{0}")]
    Runtime(String),
    /// A defect of this library.
    #[error("tmoe_ops failed: {0}; please report it")]
    Panic(String),
}
