#![doc = include_str!("README.md")]

#[cfg(feature = "tensorrt")]
mod cache;
#[cfg(feature = "tensorrt")]
mod choose;
#[cfg(feature = "tensorrt")]
mod context;
mod error;
#[cfg(feature = "tensorrt")]
mod generation;
#[cfg(feature = "tensorrt")]
mod loaded;
#[cfg(feature = "tensorrt")]
mod machine;
#[cfg(feature = "tensorrt")]
mod pass;
#[cfg(feature = "tensorrt")]
mod session;
#[cfg(all(test, feature = "tensorrt"))]
mod testing;

use tmoe_package::{OpSet, Package};

pub use self::error::{EngineError, Unfit};
use super::{Availability, Backend, GraphContent, ProviderOptions};
use crate::error::Error;

/// Looks for NVIDIA's driver, a device, and TensorRT of either flavour.
pub(crate) fn availability() -> Availability {
    match found() {
        Ok(detail) => Availability::Ready { detail },
        Err(error) => Availability::Missing { reason: error.to_string() },
    }
}

/// The libraries and devices that were found.
#[cfg(feature = "tensorrt")]
fn found() -> Result<String, EngineError> {
    machine::found()
}

#[cfg(not(feature = "tensorrt"))]
fn found() -> Result<String, EngineError> {
    Err(EngineError::NotBuiltIn)
}

/// The graph from which the engine was built that runs a package on this machine.
#[cfg(feature = "tensorrt")]
pub(crate) fn graph(package: &Package, options: &ProviderOptions) -> Result<OpSet, Error> {
    machine::graph(package, options)
}

#[cfg(not(feature = "tensorrt"))]
pub(crate) fn graph(_: &Package, _: &ProviderOptions) -> Result<OpSet, Error> {
    Err(EngineError::NotBuiltIn.into())
}

/// Loads the engine of a package's graph that runs on this machine.
#[cfg(feature = "tensorrt")]
pub(crate) fn load(content: GraphContent<'_>, options: &ProviderOptions) -> Result<Box<dyn Backend>, Error> {
    match content {
        GraphContent::Graph { package, op_set, .. } => Ok(Box::new(loaded::load(package, op_set, options)?)),
        GraphContent::File(_) | GraphContent::Bytes { .. } => Err(EngineError::NoPackage.into()),
    }
}

#[cfg(not(feature = "tensorrt"))]
pub(crate) fn load(_: GraphContent<'_>, _: &ProviderOptions) -> Result<Box<dyn Backend>, Error> {
    Err(EngineError::NotBuiltIn.into())
}
