//! Provider `cpu`: ONNX Runtime on the CPU, from a shared library that is found at run time.

mod generation;
mod library;
mod places;
mod python;
mod session;

pub use self::library::LibraryError;
pub(crate) use self::session::CpuBackend;
use super::Availability;

/// Looks for ONNX Runtime's library and loads it.
pub(crate) fn availability() -> Availability {
    match library::find() {
        Ok(library) => Availability::Ready {
            detail: format!("ONNX Runtime {}, {}", library.version(), library.path().display()),
        },
        Err(error) => Availability::Missing { reason: error.to_string() },
    }
}
