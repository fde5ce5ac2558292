//! The error object.

use std::ffi::{CString, c_char};

use crate::boundary;
use crate::failure::{Code, Failure};

/// What went wrong in a call: a code, and a message of one line that says where and what to do.
#[derive(Debug)]
pub struct ErrorObject {
    code: Code,
    message: CString,
}

impl ErrorObject {
    pub(crate) fn new(failure: &Failure) -> Self {
        // A text from C has none, but what a provider says may.
        let message = failure.to_string().replace('\0', "\u{fffd}");
        Self { code: failure.code(), message: CString::new(message).unwrap_or_default() }
    }
}

/// The code of an error; TMOE_OK for NULL.
///
/// # Safety
///
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_error_code(error: *const ErrorObject) -> Code {
    // SAFETY: the caller's.
    let error = unsafe { boundary::borrow(error, "error") };
    error.map_or(Code::TMOE_OK, |error| error.code)
}

/// The message of an error, valid until the error is freed; the empty text for NULL.
///
/// # Safety
///
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_error_message(error: *const ErrorObject) -> *const c_char {
    // SAFETY: the caller's.
    let error = unsafe { boundary::borrow(error, "error") };
    error.map_or(c"".as_ptr(), |error| error.message.as_ptr())
}

/// Frees an error.
///
/// # Safety
///
/// `error` is NULL or an error that was not freed, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_error_free(error: *mut ErrorObject) {
    // SAFETY: the caller's.
    unsafe { boundary::free(error) };
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::ptr;

    use super::*;

    #[test]
    fn an_error_has_a_code_and_a_message() {
        let error = Box::into_raw(Box::new(ErrorObject::new(&Failure::Null("series"))));
        // SAFETY: the error is there until it is freed.
        unsafe {
            assert_eq!(tmoe_error_code(error), Code::TMOE_ERROR_POINTER);
            assert_eq!(CStr::from_ptr(tmoe_error_message(error)).to_str(), Ok("`series` is NULL"));
            tmoe_error_free(error);
        }
    }

    #[test]
    fn no_error_is_ok_and_has_no_message() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert_eq!(tmoe_error_code(ptr::null()), Code::TMOE_OK);
            assert!(CStr::from_ptr(tmoe_error_message(ptr::null())).is_empty());
            tmoe_error_free(ptr::null_mut());
        }
    }

    #[test]
    fn a_zero_in_a_message_does_not_end_it() {
        let error = ErrorObject::new(&Failure::Panic("a\0b".to_owned()));
        assert!(error.message.to_str().unwrap().contains("a\u{fffd}b"));
    }
}
