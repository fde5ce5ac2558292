//! The device and the libraries that engines are chosen for.

use std::sync::Arc;

use tmoe_driver::{Device, Driver, DriverError};
use tmoe_package::{Flavour, OpSet, Package};
use tmoe_tensorrt::Library;

use super::choose::Machine;
use super::error::EngineError;
use crate::error::Error;
use crate::graph::GraphChoice;
use crate::provider::ProviderOptions;

/// The bindings' word for a flavour.
pub(super) fn library(flavour: Flavour) -> Result<Library, tmoe_tensorrt::LibraryError> {
    Library::find(match flavour {
        Flavour::TensorRt => tmoe_tensorrt::Flavour::TensorRt,
        Flavour::TensorRtRtx => tmoe_tensorrt::Flavour::TensorRtRtx,
    })
}

impl Machine {
    /// A device of this machine, with the libraries that are installed.
    pub(super) fn of(device: &Device) -> Self {
        let version = |flavour| match library(flavour) {
            Ok(library) => Ok(library.version().to_string()),
            Err(error) => Err(error.to_string()),
        };
        Self {
            device: device.name().to_owned(),
            architecture: device.architecture(),
            libraries: Flavour::ALL.map(|flavour| (flavour, version(flavour))).into(),
        }
    }
}

/// The device of a number.
pub(super) fn device(index: usize) -> Result<Arc<Device>, DriverError> {
    Device::open(Driver::of_this_machine()?, index)
}

/// The libraries and devices that were found. A driver comes first: a machine without one need not be told to install TensorRT.
pub(super) fn found() -> Result<String, EngineError> {
    let devices = Driver::of_this_machine()?.devices()?;
    let (mut libraries, mut reasons) = (Vec::new(), Vec::new());
    for flavour in Flavour::ALL {
        match library(flavour) {
            Ok(library) => libraries.push(library.to_string()),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    match libraries.is_empty() {
        true => Err(EngineError::NoLibrary { reasons }),
        false => Ok(format!("{}; {}", libraries.join("; "), devices.join(", "))),
    }
}

/// The graph of the engine that runs a package here.
pub(super) fn graph(package: &Package, options: &ProviderOptions) -> Result<OpSet, Error> {
    let device = device(options.device).map_err(EngineError::from)?;
    Ok(Machine::of(&device).choose(package, GraphChoice::Auto)?.manifest().op_set)
}
