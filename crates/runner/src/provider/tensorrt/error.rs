//! Why the provider `tensorrt` cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tmoe_driver::DriverError;

use crate::error::one_line;
use crate::provider::cuda::CudaError;
use crate::provider::onnxruntime::{ENVIRONMENT_VARIABLE, LibraryError, NoProvider};

/// Why the provider `tensorrt` cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TensorRtError {
    /// There is no ONNX Runtime.
    #[error("{0}; the one with TensorRT is `pip install onnxruntime-gpu`")]
    Library(#[source] LibraryError),
    /// ONNX Runtime was built without TensorRT.
    #[error(
        "{} is ONNX Runtime {version} without TensorRT; install onnxruntime-gpu with pip in place of onnxruntime, or set \
         {ENVIRONMENT_VARIABLE} to a library with TensorRT",
        path.display()
    )]
    WithoutTensorRt {
        /// The library.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// ONNX Runtime was built with TensorRT, and the part that holds it is not there.
    #[error(
        "{} is missing, which belongs to the ONNX Runtime beside it; reinstall onnxruntime-gpu with pip, or set \
         {ENVIRONMENT_VARIABLE} to a library that has it beside it",
        path.display()
    )]
    WithoutProviderLibrary {
        /// Where the file should be.
        path: PathBuf,
    },
    /// There is no driver, or no device.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// What ONNX Runtime needs of CUDA is missing.
    #[error(transparent)]
    Cuda(#[from] CudaError),
    /// One of TensorRT's libraries cannot be loaded.
    #[error(
        "ONNX Runtime's provider needs {library}, which cannot be loaded: {reason}; install it with `pip install \
         tensorrt-cu13=={major}.*` (or tensorrt-cu12, for a driver of CUDA 12), or set TMOE_TENSORRT to the folder with \
         TensorRT's libraries"
    )]
    WithoutTensorRtLibrary {
        /// The library.
        library: String,
        /// Its major version.
        major: String,
        /// What the loader said.
        reason: String,
    },
    /// The weights are not for TensorRT.
    #[error(
        "{} has int8 weights, which TensorRT does not take in this form; export the checkpoint with --precision bf16 or fp16",
        package.display()
    )]
    Int8 {
        /// The package.
        package: PathBuf,
    },
    /// The library of plugins is not there.
    #[error("the plugin library {} cannot be read: {source}; --plugins names it", path.display())]
    NoPlugins {
        /// The library.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A path that ONNX Runtime would read as two.
    #[error("the path {} has a semicolon, which ONNX Runtime reads as the end of a path; move the file", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// There is no place for engines in the package.
    #[error(
        "engines are kept in {}, which cannot be made: {source}; let this user write there, or use the provider engine, whose \
         engines are built beforehand",
        path.display()
    )]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// ONNX Runtime's provider does not start on the device.
    #[error(
        "ONNX Runtime's TensorRT provider does not start: {reason}; choose another --provider, or another onnxruntime-gpu"
    )]
    NotStarted {
        /// What it said, in one line.
        reason: String,
    },
}

impl From<NoProvider> for TensorRtError {
    fn from(reason: NoProvider) -> Self {
        match reason {
            NoProvider::NotBuiltIn { path, version } => Self::WithoutTensorRt { path, version },
            NoProvider::Missing { path } => Self::WithoutProviderLibrary { path },
        }
    }
}

impl TensorRtError {
    pub(super) fn not_started(error: ort::Error) -> Self {
        Self::NotStarted { reason: one_line(error) }
    }
}
