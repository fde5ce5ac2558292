//! Provider `tensorrt`: ONNX Runtime's TensorRT provider, from the same shared library as `cuda`.
//!
//! A package is two sessions here, since ONNX Runtime runs whatever it is given in an engine's first profile: one of them has the
//! profile of prefill, the other one that of decode. Each builds its engine when it is opened first, which takes minutes, and finds
//! it again in the package's folder afterwards.
//!
//! ```text
//! ready      whether this machine can run it: error says why not
//! folder     where the engines of a package are kept
//! shapes     the profiles in ONNX Runtime's words
//! session    a graph on a device
//! ```

mod error;
mod folder;
mod ready;
mod session;
mod shapes;

pub use self::error::TensorRtError;
pub(crate) use self::session::TensorRtBackend;
use super::Availability;

/// Looks for everything that the provider needs, and loads it.
pub(crate) fn availability() -> Availability {
    match ready::ready() {
        Ok(found) => {
            Availability::Ready { detail: format!("{}; {}", found.library, found.devices.join(", ")) }
        }
        Err(error) => Availability::Missing { reason: error.to_string() },
    }
}
