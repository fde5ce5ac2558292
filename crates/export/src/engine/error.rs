//! Why an engine was not built.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tmoe_model::staging::StagingError;
use tmoe_onnx::ModelError;
use tmoe_package::{PackageError, Precision};

/// Why an engine was not built. Engines that were there before are as before.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineBuildError {
    /// The graph is not for TensorRT.
    #[error(
        "TensorRT cannot take the graph `standard`, whose shapes depend on the data; build from `dense`, or from `plugin` with TensorRT"
    )]
    Standard,
    /// The flavour has no plugins.
    #[error("TensorRT-RTX takes no plugins; build from the graph `dense`, or with --flavour tensorrt")]
    NoPlugins,
    /// The plugins are not said.
    #[error(
        "the graph `plugin` needs the library libtmoe_trt_plugins.so: give it with --plugins, or build from the graph `dense`"
    )]
    PluginLibraryNeeded,
    /// The precision is not for TensorRT.
    #[error(
        "{} has int8 weights, which TensorRT does not take in this form; export the checkpoint with --precision bf16 or fp16",
        package.display()
    )]
    Int8 {
        /// The package.
        package: PathBuf,
    },
    /// Engines have no 8-bit products.
    #[error("engines are built with --precision fp32, fp16 or bf16, not int8")]
    NoInt8,
    /// The graph's plugins compute in the type of their weights.
    #[error(
        "the graph `plugin` computes in {stored}, the type of the package's weights, and not in {asked}; export the checkpoint with --precision {asked}, or build from the graph `dense`"
    )]
    PluginPrecision {
        /// Of the package.
        stored: Precision,
        /// As asked for.
        asked: Precision,
    },
    /// The GPU has no bfloat16.
    #[error("GPUs of compute capability {}.{} have no bfloat16; build with --precision fp16", architecture / 10, architecture % 10)]
    NoBfloat16 {
        /// The compute capability, times ten.
        architecture: u32,
    },
    /// The package has bfloat16 weights, and the GPU has no bfloat16.
    #[error("the package's weights are bfloat16, which GPUs of compute capability {}.{} do not have; export the checkpoint with --precision fp16", architecture / 10, architecture % 10)]
    StoredBfloat16 {
        /// The compute capability, times ten.
        architecture: u32,
    },
    /// TensorRT-RTX has no products of float32 for the GPU.
    #[error("TensorRT-RTX has no products of float32 for GPUs of compute capability {}.{}; build with --precision fp16", architecture / 10, architecture % 10)]
    NoFloat32 {
        /// The compute capability, times ten.
        architecture: u32,
    },
    /// The graph's file is no model.
    #[error("{}: {source}; export the checkpoint again", path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ModelError,
    },
    /// TensorRT builds for the GPU at hand.
    #[error(
        "TensorRT builds for the GPU at hand, which is sm{found}, and sm{asked} was asked for; leave --architecture out, or build with --flavour tensorrt-rtx"
    )]
    OtherGpu {
        /// As asked for.
        asked: u32,
        /// As found.
        found: u32,
    },
    /// The shapes are not in order, or beyond the model.
    #[error("--{option} {found}: expected {expected}")]
    Shapes {
        /// Which dimension.
        option: &'static str,
        /// As given.
        found: String,
        /// What would do.
        expected: String,
    },
    /// The layers need more memory than they may use.
    #[error("the layers need more than the {} MB of --workspace: {source}; allow more, or leave --workspace out", bytes / 1_000_000)]
    Workspace {
        /// As allowed.
        bytes: u64,
        /// TensorRT's words.
        source: tmoe_tensorrt::Error,
    },
    /// TensorRT is missing, or refused.
    #[error(transparent)]
    TensorRt(#[from] tmoe_tensorrt::Error),
    /// The package has no such graph.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The engine's folder cannot be written.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The file system refused.
    #[error("cannot {action} {}: {source}; the engine was not written", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Interrupted.
    #[error("interrupted; the engine was not written")]
    Cancelled,
}

impl From<tmoe_tensorrt::LibraryError> for EngineBuildError {
    fn from(error: tmoe_tensorrt::LibraryError) -> Self {
        Self::TensorRt(error.into())
    }
}
