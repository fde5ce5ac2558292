//! Whether this machine can run the provider, step by step, so that the first thing that is missing is what is said.

use std::path::{Path, PathBuf};

use tmoe_driver::Driver;

use super::error::TensorRtError;
use crate::provider::cuda::libraries;
use crate::provider::onnxruntime::{self, Library};

/// ONNX Runtime's name for its TensorRT provider.
pub(super) const EXECUTION_PROVIDER: &str = "TensorrtExecutionProvider";

/// Libraries of TensorRT, by the beginning of their names.
const OF_TENSORRT: [&str; 3] = ["libnvinfer.so.", "libnvinfer_plugin.so.", "libnvonnxparser.so."];

/// The folder of TensorRT's libraries, for all providers that need them.
const ENVIRONMENT_VARIABLE: &str = "TMOE_TENSORRT";

/// All that was found.
pub(super) struct Ready {
    pub(super) library: &'static Library,
    pub(super) driver: &'static Driver,
    /// The devices' names.
    pub(super) devices: Vec<String>,
}

/// Looks for ONNX Runtime with TensorRT, NVIDIA's driver, a device, CUDA's libraries and TensorRT's, and loads them.
pub(super) fn ready() -> Result<Ready, TensorRtError> {
    let library = onnxruntime::find().map_err(TensorRtError::Library)?;
    let provider = library.provider_library(EXECUTION_PROVIDER, "tensorrt")?;
    let driver = Driver::of_this_machine()?;
    let devices = driver.devices()?;
    if let Some(provider) = provider {
        libraries::load(&provider, &libraries::needed(&provider))?;
        load_tensorrt(&provider)?;
    }
    Ok(Ready { library, driver, devices })
}

/// Loads TensorRT's libraries that the provider needs: what is in memory is found by its name, wherever it lies.
fn load_tensorrt(provider: &Path) -> Result<(), TensorRtError> {
    let folders = folders(provider);
    for library in libraries::needed_of(provider, &OF_TENSORRT) {
        libraries::load_one(&library, &folders).map_err(|reason| TensorRtError::WithoutTensorRtLibrary {
            major: library.rsplit('.').next().unwrap_or_default().to_owned(),
            library,
            reason,
        })?;
    }
    Ok(())
}

/// The folder that the variable names, or that of its file; and Python's package beside ONNX Runtime's.
fn folders(provider: &Path) -> Vec<PathBuf> {
    let named = tmoe_libraries::named_by(ENVIRONMENT_VARIABLE);
    let named = named.and_then(|path| match path.is_dir() {
        true => Some(path),
        false => path.parent().map(Path::to_owned),
    });
    let beside = provider.ancestors().nth(3).map(|packages| packages.join("tensorrt_libs"));
    named.into_iter().chain(beside).collect()
}
