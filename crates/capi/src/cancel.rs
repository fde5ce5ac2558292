//! Stopping a call from another thread.

use crate::boundary;

/// Stops calls that it was given to.
#[derive(Debug, Default)]
pub struct CancelToken(pub(crate) tmoe_runner::CancelToken);

/// A token that is not cancelled; NULL only if there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn tmoe_cancel_token_new() -> *mut CancelToken {
    boundary::value(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Asks all calls with this token to stop before their next pass: they return TMOE_ERROR_CANCELLED. It stays cancelled. NULL does
/// nothing. This takes no lock and no memory: a signal handler may call it.
///
/// # Safety
///
/// `token` is NULL or a token that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_cancel_token_cancel(token: *const CancelToken) {
    // SAFETY: the caller's.
    if let Ok(token) = unsafe { boundary::borrow(token, "token") } {
        token.0.cancel();
    }
}

/// Whether the token was cancelled; NULL never was.
///
/// # Safety
///
/// `token` is NULL or a token that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_cancel_token_is_cancelled(token: *const CancelToken) -> bool {
    // SAFETY: the caller's.
    unsafe { boundary::borrow(token, "token") }.is_ok_and(|token| token.0.is_cancelled())
}

/// Frees a token.
///
/// # Safety
///
/// `token` is NULL or a token that was not freed, and neither used again nor in use by a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_cancel_token_free(token: *mut CancelToken) {
    // SAFETY: the caller's.
    unsafe { boundary::free(token) };
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    #[test]
    fn a_token_is_cancelled_once_and_for_all() {
        // SAFETY: the token is there until it is freed.
        unsafe {
            let token = tmoe_cancel_token_new();
            assert!(!tmoe_cancel_token_is_cancelled(token));
            tmoe_cancel_token_cancel(token);
            tmoe_cancel_token_cancel(token);
            assert!(tmoe_cancel_token_is_cancelled(token));
            tmoe_cancel_token_free(token);
        }
    }

    #[test]
    fn no_token_is_never_cancelled() {
        // SAFETY: NULL is allowed.
        unsafe {
            tmoe_cancel_token_cancel(ptr::null());
            assert!(!tmoe_cancel_token_is_cancelled(ptr::null()));
            tmoe_cancel_token_free(ptr::null_mut());
        }
    }
}
