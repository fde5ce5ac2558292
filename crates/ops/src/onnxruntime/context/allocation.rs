//! Memory of an allocator that belongs to ONNX Runtime.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;

use ort_sys::{OrtAllocator, OrtMemoryInfo};

use super::Context;
use crate::onnxruntime::api::{Api, call};
use crate::onnxruntime::error::OperatorError;

/// An allocator of the session, and memory of it; both are given back when dropped.
pub(super) struct Allocation<'a> {
    api: Api,
    pub(super) allocator: *mut OrtAllocator,
    /// Of the allocator, or null as long as nothing was allocated.
    pub(super) data: *mut c_void,
    _context: PhantomData<&'a ()>,
}

impl<'a> Allocation<'a> {
    /// The session's allocator for the memory that is described, and nothing of it yet.
    ///
    /// # Safety
    ///
    /// The description is valid during this call. Whoever sets `data` sets it once, to memory of the allocator.
    pub(super) unsafe fn none(
        context: &'a Context<'_>,
        memory: *const OrtMemoryInfo,
    ) -> Result<Self, OperatorError> {
        let Context { api, context, .. } = *context;
        let mut allocator = ptr::null_mut();
        // SAFETY: the context is valid; the rest is the caller's. The result goes to a place of its type.
        unsafe { call!(api, KernelContext_GetAllocator(context, memory, &mut allocator))? };
        Ok(Self { api, allocator, data: ptr::null_mut(), _context: PhantomData })
    }
}

impl Drop for Allocation<'_> {
    fn drop(&mut self) {
        let Self { api, allocator, data, .. } = *self;
        // SAFETY: the memory, if any, came from this allocator and is given back once; so is the allocator.
        unsafe {
            if !data.is_null() {
                // Nothing can be done about memory that its own allocator does not take back.
                let _ = call!(api, AllocatorFree(allocator, data));
            }
            ((*api.table()).ReleaseAllocator)(allocator);
        }
    }
}
