//! What ONNX Runtime's own functions return.

use std::ffi::CStr;

use ort::sys::OrtStatusPtr;

/// Reads and releases a status.
///
/// # Errors
///
/// What it says.
///
/// # Safety
///
/// The status is what a function of `ort::api()` returned, and was not yet released.
pub(crate) unsafe fn check(status: OrtStatusPtr) -> ort::Result<()> {
    if status.0.is_null() {
        return Ok(());
    }
    let api = ort::api();
    // SAFETY: a status that is not null is valid until it is released, and so is its message.
    let message = unsafe {
        let message = CStr::from_ptr((api.GetErrorMessage)(status.0)).to_string_lossy().into_owned();
        (api.ReleaseStatus)(status.0);
        message
    };
    Err(ort::Error::new(message))
}
