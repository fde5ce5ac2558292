//! What a node on a CUDA device is given beside its inputs and outputs: the session's stream, and scratch memory.

use std::ffi::c_void;
use std::ptr;

use ort_sys::{OrtAllocator, OrtMemoryInfo, OrtValue};

use super::Context;
use crate::cuda::{Stream, Workspace};
use crate::onnxruntime::api::{Api, call};
use crate::onnxruntime::error::OperatorError;

impl Context<'_> {
    /// The stream of this run.
    pub(in crate::onnxruntime) fn stream(&self) -> Result<Stream, OperatorError> {
        let Self { api, context, .. } = *self;
        let mut stream = ptr::null_mut();
        // SAFETY: the context is valid; the result goes to a place of its type.
        unsafe { call!(api, KernelContext_GetGPUComputeStream(context, &mut stream))? };
        Ok(Stream(stream))
    }

    /// Scratch memory on the device where an input lies, given back when dropped: work on the run's stream may still use it
    /// then, since the session's allocator hands it to that stream only.
    pub(in crate::onnxruntime) fn device_scratch(
        &self,
        input: usize,
        bytes: usize,
    ) -> Result<DeviceScratch<'_>, OperatorError> {
        DeviceScratch::new(self, input, bytes)
    }
}

/// Memory of the session's allocator for a device.
pub(in crate::onnxruntime) struct DeviceScratch<'a> {
    api: Api,
    allocator: *mut OrtAllocator,
    data: *mut c_void,
    bytes: usize,
    _context: std::marker::PhantomData<&'a ()>,
}

impl<'a> DeviceScratch<'a> {
    fn new(context: &'a Context<'_>, input: usize, bytes: usize) -> Result<Self, OperatorError> {
        let Context { api, context, .. } = *context;
        let mut value: *const OrtValue = ptr::null();
        let mut memory: *const OrtMemoryInfo = ptr::null();
        let mut allocator: *mut OrtAllocator = ptr::null_mut();
        // SAFETY: the context is valid, and the input one that was read before; results go to places of their types. The memory
        // info belongs to the tensor.
        unsafe {
            call!(api, KernelContext_GetInput(context, input, &mut value))?;
            call!(api, GetTensorMemoryInfo(value, &mut memory))?;
            call!(api, KernelContext_GetAllocator(context, memory, &mut allocator))?;
        }
        let mut scratch =
            Self { api, allocator, data: ptr::null_mut(), bytes, _context: std::marker::PhantomData };
        // The allocator itself would not know the stream, and could hand memory that is still in use to another one.
        // SAFETY: as above. No bytes are no memory.
        unsafe { call!(api, KernelContext_GetScratchBuffer(context, memory, bytes, &mut scratch.data))? };
        Ok(scratch)
    }

    /// The memory.
    pub(in crate::onnxruntime) fn workspace(&mut self) -> Workspace {
        Workspace { address: self.data, bytes: self.bytes }
    }
}

impl Drop for DeviceScratch<'_> {
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
