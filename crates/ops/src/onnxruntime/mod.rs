//! The operators as ONNX Runtime custom ops.
//!
//! `libtmoe_ops.so` exports [`RegisterCustomOps`], which every host of ONNX Runtime can call: Python's
//! `SessionOptions.register_custom_ops_library`, C's `RegisterCustomOpsLibrary`, Triton's `--model-op-library`. A Rust program that
//! links this crate calls [`register`].
//!
//! ```text
//! operator       a schema as the table of functions that ONNX Runtime calls
//! kernels        one file per operator: a node's attributes and weights to a kernel of `crate::cpu` or `crate::cuda`, and its run
//! info, context  what ONNX Runtime says of a node when it is created, and when it runs
//! api            calls through ONNX Runtime's table of functions
//! ```

mod api;
mod context;
mod error;
mod info;
mod kernels;
mod operator;

use std::sync::OnceLock;

use ort_sys::{OrtApi, OrtApiBase, OrtCustomOpDomain, OrtSessionOptions, OrtStatusPtr};

use self::api::{Api, NEEDED_VERSION, call};
use self::error::OperatorError;

/// Adds the operators to the options of a session that is going to be created. This is the function that ONNX Runtime calls
/// when it loads the library.
///
/// # Safety
///
/// `options` and `base` are what ONNX Runtime hands to a custom-op library: valid pointers that outlive the call.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn RegisterCustomOps(
    options: *mut OrtSessionOptions,
    base: *const OrtApiBase,
) -> OrtStatusPtr {
    // SAFETY: the caller's.
    let api = unsafe { ((*base).GetApi)(NEEDED_VERSION) };
    if api.is_null() {
        // The first version of the table can at least say why.
        // SAFETY: the caller's; that version is in every library.
        let oldest = unsafe { Api::new(((*base).GetApi)(1)) };
        return oldest.status(Err(OperatorError::TooOld));
    }
    // SAFETY: the table is ONNX Runtime's own and static; `options` are the caller's.
    unsafe {
        let table = Api::new(api);
        table.guard(|| add_domain(table, options))
    }
}

/// [`RegisterCustomOps`] for a program that has the table of functions at hand.
///
/// # Errors
///
/// What ONNX Runtime said.
///
/// # Safety
///
/// `api` is the table of functions of ONNX Runtime 1.18 or newer and lives as long as the process; `options` are valid.
pub unsafe fn register(api: *const OrtApi, options: *mut OrtSessionOptions) -> Result<(), String> {
    // SAFETY: the caller's.
    unsafe { add_domain(Api::new(api), options) }.map_err(|error| error.to_string())
}

/// # Safety
///
/// `options` are valid.
unsafe fn add_domain(api: Api, options: *mut OrtSessionOptions) -> Result<(), OperatorError> {
    let domain = domain(api)?;
    // SAFETY: the options are the caller's; the domain is never released.
    unsafe { call!(api, AddCustomOpDomain(options, domain)) }
}

/// The domain with all operators, made once; ONNX Runtime keeps pointers to it in every session.
fn domain(api: Api) -> Result<*mut OrtCustomOpDomain, OperatorError> {
    struct Shared(*mut OrtCustomOpDomain);
    // SAFETY: ONNX Runtime only reads a domain once its operators are added.
    unsafe impl Send for Shared {}
    // SAFETY: as above.
    unsafe impl Sync for Shared {}
    static DOMAIN: OnceLock<Shared> = OnceLock::new();
    if let Some(shared) = DOMAIN.get() {
        return Ok(shared.0);
    }
    let domain = operator::create_domain(api)?;
    // Where two threads got here at once, one of two equal domains stays unused.
    Ok(DOMAIN.get_or_init(|| Shared(domain)).0)
}
