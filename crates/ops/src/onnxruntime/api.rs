//! Calls through ONNX Runtime's table of functions.

use std::any::Any;
use std::ffi::{CStr, CString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use ort_sys::{OrtApi, OrtErrorCode, OrtStatusPtr};

use super::error::OperatorError;
#[cfg(feature = "cuda")]
use crate::cuda::CudaError;

/// The version of the table that is asked for: the oldest that has every function used here.
pub(super) const NEEDED_VERSION: u32 = 18;

/// ONNX Runtime's table of functions.
///
/// The host may be older than the crate that describes the table, so only functions of version 18 are called, each read
/// through the pointer by [`call!`]: there is no reference to a table that may be shorter than its description.
#[derive(Clone, Copy)]
pub(super) struct Api(*const OrtApi);

// SAFETY: the table is static and its functions may be called from any thread.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

/// Calls a function of the table that returns a status, and turns that into a `Result`.
///
/// The caller says why the arguments are valid.
macro_rules! call {
    ($api:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        let api: $crate::onnxruntime::api::Api = $api;
        api.check(((*api.table()).$function)($($argument),*))
    }};
}
pub(super) use call;

impl Api {
    /// # Safety
    ///
    /// The table is ONNX Runtime's, of version 18 or newer, and static.
    pub(super) unsafe fn new(table: *const OrtApi) -> Self {
        Self(table)
    }

    /// The table.
    pub(super) fn table(self) -> *const OrtApi {
        self.0
    }

    /// Reads and releases a status.
    pub(super) fn check(self, status: OrtStatusPtr) -> Result<(), OperatorError> {
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: a status that is not null is valid until it is released, and so is its message.
        let message = unsafe {
            let message = ((*self.0).GetErrorMessage)(status.0);
            let message = CStr::from_ptr(message).to_string_lossy().into_owned();
            ((*self.0).ReleaseStatus)(status.0);
            message
        };
        Err(OperatorError::Runtime(message))
    }

    /// Makes a status for ONNX Runtime.
    pub(super) fn status(self, result: Result<(), OperatorError>) -> OrtStatusPtr {
        let Err(error) = result else { return OrtStatusPtr(ptr::null_mut()) };
        let code = match error {
            #[cfg(feature = "cuda")]
            OperatorError::Cuda(CudaError::Launch { .. }) => OrtErrorCode::ORT_FAIL,
            OperatorError::Panic(_) | OperatorError::Runtime(_) => OrtErrorCode::ORT_FAIL,
            _ => OrtErrorCode::ORT_INVALID_ARGUMENT,
        };
        let message = CString::new(error.to_string().replace('\0', " ")).unwrap_or_default();
        // SAFETY: the message is a string, which ONNX Runtime copies.
        unsafe { ((*self.0).CreateStatus)(code, message.as_ptr()) }
    }

    /// Runs what ONNX Runtime asked for; a panic, which must not reach it, becomes an error.
    pub(super) fn guard(self, work: impl FnOnce() -> Result<(), OperatorError>) -> OrtStatusPtr {
        let result = catch_unwind(AssertUnwindSafe(work));
        self.status(result.unwrap_or_else(|panic| Err(OperatorError::Panic(panic_text(panic.as_ref())))))
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
