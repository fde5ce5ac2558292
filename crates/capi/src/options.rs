//! How a forecaster is opened.

use std::ffi::c_char;
use std::num::NonZeroUsize;

use tmoe_package::Integrity;
use tmoe_runner::{Normalization, SessionOptions};

use crate::boundary;
use crate::error::ErrorObject;
use crate::failure::{Code, Failure};

/// How a forecaster is opened. One thread at a time may use it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) session: SessionOptions,
    pub(crate) normalization: Normalization,
    pub(crate) context: Option<NonZeroUsize>,
    pub(crate) token_budget: Option<NonZeroUsize>,
    pub(crate) integrity: Integrity,
}

/// Options that are all at their defaults; NULL only if there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn tmoe_options_new() -> *mut Options {
    boundary::value(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Frees options. Forecasters that were opened with them go on.
///
/// # Safety
///
/// `options` is NULL or options that were not freed, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_free(options: *mut Options) {
    // SAFETY: the caller's.
    unsafe { boundary::free(options) };
}

/// Sets an option.
///
/// # Safety
///
/// As of [`boundary::call`] and [`boundary::borrow_mut`].
unsafe fn set(
    options: *mut Options,
    error: *mut *mut ErrorObject,
    set: impl FnOnce(&mut Options) -> Result<(), Failure>,
) -> Code {
    // SAFETY: the caller's.
    unsafe { boundary::call(error, || set(boundary::borrow_mut(options, "options")?)) }
}

/// The provider: `auto` (the default: the fastest that the machine can run), `cpu`, `tract`, `cuda`, `tensorrt` or `engine`. One
/// that is named is used, or opening fails.
///
/// # Safety
///
/// `options` was not freed; `name` is text; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_provider(
    options: *mut Options,
    name: *const c_char,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.session.provider = boundary::text(name, "name")?.parse()?;
            Ok(())
        })
    }
}

/// The graph of the package: `auto` (the default: the fastest that the provider runs), `standard`, `dense` or `plugin`.
///
/// # Safety
///
/// `options` was not freed; `name` is text; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_graph(
    options: *mut Options,
    name: *const c_char,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.session.graph = boundary::text(name, "name")?.parse()?;
            Ok(())
        })
    }
}

/// How series are scaled: `window` (the default: each context by its own mean and standard deviation) or `none` (the caller has
/// done it; what streams need).
///
/// # Safety
///
/// `options` was not freed; `name` is text; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_normalization(
    options: *mut Options,
    name: *const c_char,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.normalization = boundary::text(name, "name")?.parse()?;
            Ok(())
        })
    }
}

/// Threads that compute one pass, heeded by `cpu`; 0, the default, is one per core.
///
/// # Safety
///
/// `options` was not freed; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_threads(
    options: *mut Options,
    threads: usize,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.session.resources.threads = NonZeroUsize::new(threads);
            Ok(())
        })
    }
}

/// Whether idle threads wait for the next operator by spinning, which is faster and takes processor time (the default is true).
///
/// # Safety
///
/// `options` was not freed; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_spinning(
    options: *mut Options,
    spinning: bool,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.session.resources.spinning = spinning;
            Ok(())
        })
    }
}

/// Which of the machine's GPUs, counted from 0 (the default), heeded by `cuda`, `tensorrt` and `engine`.
///
/// # Safety
///
/// `options` was not freed; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_device(
    options: *mut Options,
    device: usize,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.session.resources.device = device;
            Ok(())
        })
    }
}

/// The path of a library with the operators of the graph `plugin`, libtmoe_ops.so, in place of those built in. Like every library
/// it can do whatever the process can.
///
/// # Safety
///
/// `options` was not freed; `path` is text; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_operators(
    options: *mut Options,
    path: *const c_char,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.session.resources.operators = Some(boundary::text(path, "path")?.into());
            Ok(())
        })
    }
}

/// The most points of a series that the model sees, the newest ones, and that a stream holds; 0, the default, is as many as the
/// model holds.
///
/// # Safety
///
/// `options` was not freed; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_context(
    options: *mut Options,
    points: usize,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.context = NonZeroUsize::new(points);
            Ok(())
        })
    }
}

/// Series of one call run together as long as their contexts have at most that many points in all; 0 is the default, 16384.
///
/// # Safety
///
/// `options` was not freed; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_token_budget(
    options: *mut Options,
    points: usize,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.token_budget = NonZeroUsize::new(points);
            Ok(())
        })
    }
}

/// Whether opening reads the whole package to compare every file with its hash (the default is true), or looks at lengths only.
///
/// # Safety
///
/// `options` was not freed; `error` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tmoe_options_set_check_hashes(
    options: *mut Options,
    check: bool,
    error: *mut *mut ErrorObject,
) -> Code {
    // SAFETY: the caller's.
    unsafe {
        set(options, error, |options| {
            options.integrity = if check { Integrity::Hashes } else { Integrity::Lengths };
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use tmoe_runner::{GraphChoice, OpSet, Provider, ProviderChoice};

    use super::*;

    #[test]
    fn options_are_what_was_set() {
        let options = tmoe_options_new();
        let none = ptr::null_mut();
        // SAFETY: the options are there until they are freed, and the texts are static.
        unsafe {
            assert_eq!(tmoe_options_set_provider(options, c"tract".as_ptr(), none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_graph(options, c"dense".as_ptr(), none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_normalization(options, c"none".as_ptr(), none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_threads(options, 3, none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_spinning(options, false, none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_device(options, 1, none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_operators(options, c"ops.so".as_ptr(), none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_context(options, 512, none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_token_budget(options, 0, none), Code::TMOE_OK);
            assert_eq!(tmoe_options_set_check_hashes(options, false, none), Code::TMOE_OK);
            let set = (*options).clone();
            tmoe_options_free(options);
            assert_eq!(set.session.provider, ProviderChoice::Only(Provider::Tract));
            assert_eq!(set.session.graph, GraphChoice::Only(OpSet::Dense));
            assert_eq!(set.normalization, Normalization::None);
            assert_eq!(set.session.resources.threads, NonZeroUsize::new(3));
            assert!(!set.session.resources.spinning);
            assert_eq!(set.session.resources.device, 1);
            assert_eq!(set.session.resources.operators, Some("ops.so".into()));
            assert_eq!((set.context, set.token_budget), (NonZeroUsize::new(512), None));
            assert_eq!(set.integrity, Integrity::Lengths);
        }
    }

    #[test]
    fn a_value_that_an_option_cannot_have_changes_nothing() {
        let options = tmoe_options_new();
        let none = ptr::null_mut();
        // SAFETY: the options are there until they are freed, and the texts are static.
        unsafe {
            for set in [tmoe_options_set_provider, tmoe_options_set_graph, tmoe_options_set_normalization] {
                assert_eq!(set(options, c"gpu".as_ptr(), none), Code::TMOE_ERROR_OPTION);
                assert_eq!(set(options, c"\xc3".as_ptr(), none), Code::TMOE_ERROR_UTF8);
                assert_eq!(set(options, ptr::null(), none), Code::TMOE_ERROR_POINTER);
                assert_eq!(set(ptr::null_mut(), c"auto".as_ptr(), none), Code::TMOE_ERROR_POINTER);
            }
            assert_eq!((*options).session.provider, ProviderChoice::Auto);
            tmoe_options_free(options);
        }
    }
}
