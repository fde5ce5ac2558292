//! What a node on a CUDA device is given beside its inputs and outputs: the session's stream, and scratch memory.

use std::ptr;

use ort_sys::{OrtMemoryInfo, OrtValue};

use super::Context;
use super::allocation::Allocation;
use crate::cuda::{Stream, Workspace};
use crate::onnxruntime::api::call;
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
    memory: Allocation<'a>,
    bytes: usize,
}

impl<'a> DeviceScratch<'a> {
    fn new(context: &'a Context<'_>, input: usize, bytes: usize) -> Result<Self, OperatorError> {
        let api = context.api;
        let mut value: *const OrtValue = ptr::null();
        let mut info: *const OrtMemoryInfo = ptr::null();
        // SAFETY: the context is valid, and the input one that was read before; results go to places of their types. The memory
        // info belongs to the tensor. The scratch buffer, which is none for no bytes, is the allocator's; the allocator itself
        // would not know the stream, and could hand memory that is still in use to another one.
        let memory = unsafe {
            call!(api, KernelContext_GetInput(context.context, input, &mut value))?;
            call!(api, GetTensorMemoryInfo(value, &mut info))?;
            let mut memory = Allocation::none(context, info)?;
            call!(api, KernelContext_GetScratchBuffer(context.context, info, bytes, &mut memory.data))?;
            memory
        };
        Ok(Self { memory, bytes })
    }

    /// The memory.
    pub(in crate::onnxruntime) fn workspace(&mut self) -> Workspace {
        Workspace { address: self.memory.data, bytes: self.bytes }
    }
}
