//! Whether a GPU is there.
//!
//! Without a driver, `createInferRuntime` was seen to log an error and still return a pointer, to no runtime: nothing that
//! needs a GPU is asked of TensorRT before this.

use tmoe_driver::{Device, Driver, DriverError};

/// `Err` says why there is no GPU to use.
pub(crate) fn check() -> Result<(), DriverError> {
    Driver::of_this_machine()?.devices().map(|_| ())
}

/// The compute capability of the first GPU, major and minor.
pub(crate) fn compute_capability() -> Result<(u32, u32), DriverError> {
    let architecture = Device::open(Driver::of_this_machine()?, 0)?.architecture();
    Ok((architecture / 10, architecture % 10))
}
