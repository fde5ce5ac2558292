//! Whether this machine can run the provider, step by step, so that the first thing that is missing is what is said.

use tmoe_driver::Driver;

use super::error::CudaError;
use super::libraries;
use crate::provider::onnxruntime::{self, Library};

/// ONNX Runtime's name for its CUDA provider.
pub(super) const EXECUTION_PROVIDER: &str = "CUDAExecutionProvider";

/// All that was found.
pub(super) struct Ready {
    pub(super) library: &'static Library,
    pub(super) driver: &'static Driver,
    /// The devices' names.
    pub(super) devices: Vec<String>,
}

/// Looks for ONNX Runtime with CUDA, NVIDIA's driver, a device, and CUDA's libraries, and loads them.
pub(super) fn ready() -> Result<Ready, CudaError> {
    let library = onnxruntime::find().map_err(CudaError::Library)?;
    let provider = library.provider_library(EXECUTION_PROVIDER, "cuda")?;
    let driver = Driver::of_this_machine()?;
    let devices = driver.devices()?;
    if let Some(provider) = provider {
        let needed = libraries::needed(&provider);
        check_version(driver.version()?, libraries::cuda_version(&needed))?;
        libraries::load(&provider, &needed)?;
    }
    Ok(Ready { library, driver, devices })
}

/// Whether there is a device, whatever else is missing.
pub(super) fn has_device() -> bool {
    Driver::of_this_machine().is_ok_and(|driver| driver.devices().is_ok())
}

/// A driver runs programs of its own major version of CUDA and of older ones.
fn check_version((major, minor): (u32, u32), needed: Option<u32>) -> Result<(), CudaError> {
    match needed {
        Some(needed) if major < needed => {
            Err(CudaError::OldDriver { driver_major: major, driver_minor: minor, needed })
        }
        _ => Ok(()),
    }
}
