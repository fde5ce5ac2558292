//! TensorRT's execution contexts, as far as passes need them.

use std::ffi::c_void;
use std::sync::Arc;

use tmoe_driver::{Address, CallError, Device, DeviceMemory, Stream};
use tmoe_tensorrt::{Allocation, Engine, Error, ExecutionContext};

use super::pass::PassError;

/// Makes contexts. Passes of one maker run one after the other: all its contexts work in the same memory.
pub(super) trait Contexts: Send + Sync {
    /// A context for one of the engine's profiles. Within the device.
    fn context(&self, profile: usize) -> Result<Box<dyn Context>, PassError>;
}

/// One execution context. It is used within the device.
pub(super) trait Context: Send {
    fn set_shape(&mut self, input: &str, shape: &[usize]) -> Result<(), Error>;

    /// The shape of an output, for the inputs' shapes.
    fn output_shape(&self, output: &str) -> Result<Vec<i64>, Error>;

    /// # Safety
    ///
    /// There is room for the shape that is set at the address, until the work is done that is queued with it.
    unsafe fn set_address(&mut self, tensor: &str, address: Address) -> Result<(), Error>;

    /// Queues a pass.
    ///
    /// # Safety
    ///
    /// The stream is the device's, and what was promised of addresses holds.
    unsafe fn enqueue(&mut self, stream: Stream) -> Result<(), Error>;
}

/// An engine that is loaded, with the memory that its passes work in.
pub(super) struct EngineContexts {
    engine: OnDevice<Engine>,
    workspace: Arc<DeviceMemory>,
}

impl EngineContexts {
    /// Reserves as much memory as the profile needs that needs most. Within the device.
    pub(super) fn new(engine: Engine, device: &Arc<Device>) -> Result<Self, PassError> {
        let engine = OnDevice::new(engine, device);
        let sizes =
            (0..engine.get().profile_count()).map(|profile| engine.get().device_memory_of_profile(profile));
        let bytes = sizes.collect::<Result<Vec<u64>, Error>>()?.into_iter().max().unwrap_or(0);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let workspace = DeviceMemory::reserve(device, bytes).map_err(|error| PassError::Memory {
            error,
            bytes,
            purpose: "the results within a pass",
        })?;
        Ok(Self { engine, workspace: Arc::new(workspace) })
    }
}

impl Contexts for EngineContexts {
    fn context(&self, profile: usize) -> Result<Box<dyn Context>, PassError> {
        let device = &self.engine.device;
        let mut context = self.engine.get().context(Allocation::UserManaged)?;
        device.finish(|| {
            // SAFETY: the stream is the device's, and is waited for.
            unsafe { context.set_profile(profile, device.stream()) }?;
            Ok::<_, PassError>(())
        })?;
        let (address, bytes) = (self.workspace.address(0), self.workspace.bytes());
        // SAFETY: the context keeps the memory alive, and passes run one after the other.
        unsafe { context.set_device_memory(address as *mut c_void, bytes as u64) }?;
        let context = OnDevice::new(context, device);
        Ok(Box::new(EngineContext { context, _workspace: Arc::clone(&self.workspace) }))
    }
}

struct EngineContext {
    context: OnDevice<ExecutionContext>,
    _workspace: Arc<DeviceMemory>,
}

impl Context for EngineContext {
    fn set_shape(&mut self, input: &str, shape: &[usize]) -> Result<(), Error> {
        let shape: Vec<i64> = shape.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        self.context.get_mut().set_input_shape(input, &shape)
    }

    fn output_shape(&self, output: &str) -> Result<Vec<i64>, Error> {
        self.context.get().shape(output)
    }

    unsafe fn set_address(&mut self, tensor: &str, address: Address) -> Result<(), Error> {
        // SAFETY: the caller's.
        unsafe { self.context.get_mut().set_address(tensor, address as *mut c_void) }
    }

    unsafe fn enqueue(&mut self, stream: Stream) -> Result<(), Error> {
        // SAFETY: the caller's.
        unsafe { self.context.get_mut().enqueue(stream) }
    }
}

/// Something of TensorRT's that must be dropped on the device that it is on.
pub(super) struct OnDevice<T> {
    /// Taken only when it is dropped.
    value: Option<T>,
    device: Arc<Device>,
}

impl<T> OnDevice<T> {
    pub(super) fn new(value: T, device: &Arc<Device>) -> Self {
        Self { value: Some(value), device: Arc::clone(device) }
    }

    fn get(&self) -> &T {
        self.value.as_ref().unwrap_or_else(|| unreachable!("taken only when it is dropped"))
    }

    fn get_mut(&mut self) -> &mut T {
        self.value.as_mut().unwrap_or_else(|| unreachable!("taken only when it is dropped"))
    }
}

impl<T> Drop for OnDevice<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        // Where the device cannot be entered any more, it is dropped all the same.
        let _ = self.device.within(|| {
            drop(value);
            Ok::<_, CallError>(())
        });
    }
}
