//! One pass: its tensors are bound to memory, and queued are their copy to the device, TensorRT's work, and the copy back.

use tmoe_driver::{CallError, Device};

use super::cache::CacheMemory;
use super::context::Context;
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::provider::Provider;
use crate::provider::cuda::memory_error::{device_memory, is_out_of_memory};
use crate::provider::step::{LayoutError, StepLayout, StepMemory};

/// Why a pass, or what it needs, failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassError {
    #[error(transparent)]
    TensorRt(#[from] tmoe_tensorrt::Error),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{error}")]
    Memory { error: CallError, bytes: usize, purpose: &'static str },
    #[error("{error}")]
    CacheMemory { error: CallError, bytes: usize, batch: usize, capacity: usize },
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("TensorRT says that `{output}` comes out as {found:?}, expected {expected:?}")]
    Output { output: String, found: Vec<i64>, expected: Vec<usize> },
    #[error("the pass cannot be captured as a CUDA graph: {0}; leave --cuda-graph out")]
    Capture(Box<PassError>),
}

impl PassError {
    /// As an error of a graph.
    pub(super) fn of(self, graph: &GraphSource, device: &Device) -> Error {
        match self {
            Self::Memory { error, bytes, purpose } if error.is_out_of_memory() => {
                device_memory(graph, device, Some(bytes as u64), purpose.to_owned())
            }
            Self::CacheMemory { error, bytes, batch, capacity } if error.is_out_of_memory() => {
                let purpose = format!("the cache of {batch} series of {capacity} points");
                device_memory(graph, device, Some(bytes as u64), purpose)
            }
            other => {
                let message = other.to_string();
                match says_out_of_memory(&message) {
                    true => device_memory(graph, device, None, "what TensorRT needs".to_owned()),
                    false => Error::run(Provider::Engine, graph, message),
                }
            }
        }
    }
}

/// How TensorRT says that the device's memory is too small.
pub(super) fn says_out_of_memory(message: &str) -> bool {
    let message = message.to_lowercase();
    is_out_of_memory(&message) || message.contains("outofmemory")
}

/// The cache as one pass sees it.
pub(super) struct PassCache<'a> {
    pub(super) layout: &'a CacheLayout,
    pub(super) memory: &'a CacheMemory,
    /// Points before the pass.
    pub(super) past: usize,
    /// Points after it.
    pub(super) total: usize,
}

/// Binds the tensors of a pass to their memory.
///
/// # Safety
///
/// The memory lives until all work is done that is queued with the context.
pub(super) unsafe fn bind(
    context: &mut dyn Context,
    step: &StepLayout,
    memory: &StepMemory,
    cache: Option<&PassCache<'_>>,
) -> Result<(), PassError> {
    for part in &step.inputs {
        context.set_shape(&part.name, &part.shape)?;
    }
    for part in step.inputs.iter().chain(&step.outputs) {
        // SAFETY: the memory was reserved for the layout; the rest is the caller's.
        unsafe { context.set_address(&part.name, memory.device.address(part.bytes.start)) }?;
    }
    let mut outputs: Vec<(&str, Vec<usize>)> =
        step.outputs.iter().map(|part| (part.name.as_str(), part.shape.clone())).collect();
    if let Some(PassCache { layout, memory, past, total }) = cache {
        for (index, entry) in layout.entries.iter().enumerate() {
            context.set_shape(&entry.past, &layout.shape(memory.batch(), *past))?;
            // SAFETY: both sides have room for the pass; the rest is the caller's.
            unsafe {
                context.set_address(&entry.past, memory.past(index))?;
                context.set_address(&entry.present, memory.present(index))?;
            }
            outputs.push((&entry.present, layout.shape(memory.batch(), *total).to_vec()));
        }
    }
    // TensorRT writes as much as it thinks right, whatever there is room for.
    for (output, expected) in outputs {
        let found = context.output_shape(output)?;
        let same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(&found, &expected)| usize::try_from(found) == Ok(expected));
        if !same {
            return Err(PassError::Output { output: output.to_owned(), found, expected });
        }
    }
    Ok(())
}

/// Queues a pass that is bound.
///
/// # Safety
///
/// The memory is what the context is bound to, and lives until the stream was waited for; while a graph is captured, until that was
/// launched last.
pub(super) unsafe fn queue(
    device: &Device,
    context: &mut dyn Context,
    step: &StepLayout,
    memory: &mut StepMemory,
) -> Result<(), PassError> {
    // SAFETY: the caller's.
    unsafe {
        memory.queue_upload(step)?;
        context.enqueue(device.stream())?;
        memory.queue_download(step)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tmoe_driver::testing;

    use super::*;

    #[test]
    fn memory_that_tensorrt_does_not_get_is_told_with_what_is_free() {
        let Some(driver) = testing::driver(1, 0) else { return };
        let device = Device::open(driver.unwrap(), 0).unwrap();
        let said = |message: &str| {
            let error = tmoe_tensorrt::Error::Refused { operation: "the pass", message: message.to_owned() };
            PassError::from(error).of(&GraphSource::Memory, &device)
        };
        for message in
            ["Error Code 2: OutOfMemory (Requested size was 4096 bytes.)", "CUDA error: out of memory"]
        {
            let error = said(message);
            assert!(matches!(error, Error::DeviceMemory { .. }), "{error}");
            assert!(error.to_string().contains("what TensorRT needs: 64.0 of 64.0 MiB are free"), "{error}");
        }
        let error = said("Error Code 1: Cuda Runtime (an illegal memory access was encountered)");
        assert!(matches!(error, Error::Provider { provider: Provider::Engine, .. }), "{error}");
    }
}
