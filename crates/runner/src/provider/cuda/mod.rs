//! Provider `cuda`: ONNX Runtime's CUDA provider, from the same shared library as `cpu`.
//!
//! ```text
//! ready         whether this machine can run it: error says why not
//! libraries     CUDA's own, loaded before ONNX Runtime wants them
//! session       a graph on a device
//! cache         what a generation keeps on the device
//! //! capture       CUDA graphs
//! memory_error  what is said when memory is too small
//! ```

mod cache;
mod capture;
mod error;
pub(in crate::provider) mod libraries;
pub(in crate::provider) mod memory_error;
mod ready;
pub(in crate::provider) mod session;

pub use self::error::CudaError;
pub(crate) use self::session::CudaBackend;
use super::Availability;

/// Whether the operators of the op set `plugin` are built in.
pub(crate) const HAS_OPERATORS: bool = cfg!(feature = "cuda");

/// Looks for everything that the provider needs, and loads it.
pub(crate) fn availability() -> Availability {
    match ready::ready() {
        Ok(found) => {
            let devices = found.devices.join(", ");
            Availability::Ready { detail: format!("{}; {devices}", found.library) }
        }
        Err(error) => Availability::Missing { reason: error.to_string() },
    }
}

/// Whether there is a device that the provider would run on, were everything else there.
pub(crate) fn has_device() -> bool {
    ready::has_device()
}
