//! Provider `cpu`: ONNX Runtime on the CPU, from a shared library that is found at run time.

mod cache;
mod session;

pub(crate) use self::session::CpuBackend;
use super::{Availability, onnxruntime};

/// Looks for ONNX Runtime's library and loads it.
pub(crate) fn availability() -> Availability {
    match onnxruntime::find() {
        Ok(library) => Availability::Ready { detail: library.to_string() },
        Err(error) => Availability::Missing { reason: error.to_string() },
    }
}
