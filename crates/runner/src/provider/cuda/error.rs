//! Why the provider `cuda` cannot be used.

use std::path::PathBuf;

use thiserror::Error;
use tmoe_driver::DriverError;

use crate::error::one_line;
use crate::provider::onnxruntime::{ENVIRONMENT_VARIABLE, LibraryError, NoProvider};

/// Why the provider `cuda` cannot be used on this machine.
#[derive(Clone, Debug, Error)]
pub enum CudaError {
    /// There is no ONNX Runtime.
    #[error("{0}; the one with CUDA is `pip install onnxruntime-gpu`")]
    Library(#[source] LibraryError),
    /// ONNX Runtime was built without CUDA.
    #[error(
        "{} is ONNX Runtime {version} without CUDA; install onnxruntime-gpu with pip in place of onnxruntime, or set \
         {ENVIRONMENT_VARIABLE} to a library with CUDA",
        path.display()
    )]
    WithoutCuda {
        /// The library.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// ONNX Runtime was built with CUDA, and the part that holds it is not there.
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
    /// The driver is older than the CUDA that ONNX Runtime was built with.
    #[error(
        "NVIDIA's driver is for CUDA {driver_major}.{driver_minor}, and ONNX Runtime needs CUDA {needed}; install a newer \
         driver, or an onnxruntime-gpu for CUDA {driver_major}"
    )]
    OldDriver {
        /// Major version of CUDA that the driver supports.
        driver_major: u32,
        /// Minor version of the same.
        driver_minor: u32,
        /// Major version of CUDA that is needed.
        needed: u32,
    },
    /// ONNX Runtime's provider does not start on the device.
    #[error(
        "ONNX Runtime's CUDA provider does not start: {reason}; choose another --provider, or another onnxruntime-gpu"
    )]
    NotStarted {
        /// What it said, in one line.
        reason: String,
    },
    /// One of CUDA's libraries cannot be loaded.
    #[error(
        "ONNX Runtime's provider needs {library}, which cannot be loaded: {reason}; install it with `pip install \
         'onnxruntime-gpu[cuda,cudnn]'`, or put the folder of CUDA's libraries into LD_LIBRARY_PATH"
    )]
    WithoutCudaLibrary {
        /// The library.
        library: String,
        /// What the loader said.
        reason: String,
    },
}

impl From<NoProvider> for CudaError {
    fn from(reason: NoProvider) -> Self {
        match reason {
            NoProvider::NotBuiltIn { path, version } => Self::WithoutCuda { path, version },
            NoProvider::Missing { path } => Self::WithoutProviderLibrary { path },
        }
    }
}

impl CudaError {
    pub(super) fn not_started(error: ort::Error) -> Self {
        Self::NotStarted { reason: one_line(error) }
    }
}
