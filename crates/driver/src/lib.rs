//! NVIDIA's driver, `libcuda`, found and called at run time: nothing of CUDA is linked, and a program that has this crate
//! starts, and says clearly what is missing, where there is no driver or no GPU.
//!
//! ```no_run
//! use tmoe_driver::{Device, DeviceMemory, Driver};
//!
//! let driver = Driver::of_this_machine()?;
//! println!("{:?}", driver.devices()?);
//! let device = Device::open(driver, 0)?;
//! let mut memory = DeviceMemory::reserve(&device, 4)?;
//! memory.upload(&[1, 2, 3, 4])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Device`] works in the device's primary context, which ONNX Runtime and TensorRT share: addresses mean the same to all.

mod device;
mod driver;
mod error;
mod graph;
#[cfg(feature = "testing")]
pub mod testing;

pub use self::device::{Address, Device, DeviceMemory, PinnedMemory, Stream};
pub use self::driver::{DRIVER, Driver};
pub use self::error::{CallError, DriverError};
pub use self::graph::Graph;
