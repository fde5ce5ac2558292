//! Running an engine.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use cxx::{UniquePtr, let_cxx_string};

use crate::bridge::ffi;
use crate::engine::{Engine, EngineInner};
use crate::error::{Error, checked_text};
use crate::types::Allocation;

/// Where an engine runs: with one profile, shapes and addresses at a time. It keeps the engine alive.
///
/// Names, shapes and profiles are checked before TensorRT sees them. Addresses and streams are CUDA's and cannot be checked:
/// what takes them is unsafe.
///
/// ```no_run
/// use std::ffi::c_void;
/// # use tmoe_tensorrt::{Allocation, Engine, Error};
/// # fn f(engine: Engine, stream: *mut c_void, x: *mut c_void, y: *mut c_void) -> Result<(), Error> {
/// let mut context = engine.context(Allocation::Static)?;
/// context.set_input_shape("x", &[4, 8])?; // an error if the profile does not allow it
/// assert_eq!(context.shape("y")?, [4, 8]);
/// // SAFETY: `x` and `y` are device memory of 128 bytes each, and `stream` a stream; all outlive the work.
/// unsafe {
///     context.set_address("x", x)?;
///     context.set_address("y", y)?;
///     context.enqueue(stream)?;
/// }
/// # Ok(()) }
/// ```
pub struct ExecutionContext {
    shim: UniquePtr<ffi::Context>,
    // After the context, which it made.
    engine: Arc<EngineInner>,
    allocation: Allocation,
    /// By tensor: whether it has a shape (inputs) and an address.
    shaped: Vec<bool>,
    addressed: Vec<bool>,
    has_memory: bool,
}

// SAFETY: a context belongs to no thread; it is changed through `&mut` only.
unsafe impl Send for ExecutionContext {}

impl fmt::Debug for ExecutionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionContext").field("profile", &self.profile()).finish_non_exhaustive()
    }
}

impl ExecutionContext {
    pub(crate) fn new(
        shim: UniquePtr<ffi::Context>,
        engine: Arc<EngineInner>,
        allocation: Allocation,
    ) -> Self {
        let shaped = engine.tensors.iter().map(|tensor| has_fixed_shape(&tensor.shape)).collect();
        let addressed = vec![false; engine.tensors.len()];
        Self { shim, engine, allocation, shaped, addressed, has_memory: false }
    }

    /// Its engine.
    pub fn engine(&self) -> Engine {
        Engine(Arc::clone(&self.engine))
    }

    /// The profile that is chosen; at first the engine's first, in the first context of an engine.
    pub fn profile(&self) -> Option<usize> {
        usize::try_from(self.shim.profile()).ok()
    }

    /// Chooses a profile. Shapes, and device memory that the caller manages, have to be set anew.
    ///
    /// # Safety
    /// `stream` is a CUDA stream of the engine's device that lives until its work is done.
    ///
    /// # Errors
    /// The engine has no such profile, or TensorRT refuses.
    pub unsafe fn set_profile(&mut self, profile: usize, stream: *mut c_void) -> Result<(), Error> {
        let index = self.engine.check_profile(profile)?;
        let (library, shim) = (self.engine.library(), self.shim.pin_mut());
        // SAFETY: the caller promises it.
        library.demand("the optimization profile", || unsafe { shim.set_profile(index, stream as usize) })?;
        for (shaped, tensor) in self.shaped.iter_mut().zip(&self.engine.tensors) {
            *shaped = has_fixed_shape(&tensor.shape);
        }
        // It may need more than the one before.
        self.has_memory = false;
        Ok(())
    }

    /// The shape of an input.
    ///
    /// # Errors
    /// There is no such input, or the profile does not allow the shape.
    pub fn set_input_shape(&mut self, input: &str, shape: &[i64]) -> Result<(), Error> {
        let index = self.engine.find(input, true)?;
        let tensor = &self.engine.tensors[index];
        let profile = self.profile().unwrap_or(0);
        let allowed = tensor.profiles.get(profile);
        // The ranges of shape tensors are of their values.
        if let Some(range) = allowed.filter(|_| !tensor.is_shape) {
            let dims = shape.iter().zip(&range.min).zip(&range.max);
            let inside = dims.clone().all(|((dim, min), max)| min <= dim && dim <= max);
            if !inside || shape.len() != range.min.len() {
                return Err(Error::OutsideProfile {
                    tensor: input.to_owned(),
                    shape: shape.to_vec(),
                    profile,
                    min: range.min.clone(),
                    max: range.max.clone(),
                });
            }
        }
        let_cxx_string!(name = checked_text(input)?);
        let (library, shim) = (self.engine.library(), self.shim.pin_mut());
        let set = || match shim.set_input_shape(&name, shape) {
            Ok(true) => Ok(()),
            Ok(false) => Err("it gave no reason".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        library.ask("the input's shape", set)?;
        self.shaped[index] = true;
        Ok(())
    }

    /// The shape of an input or output, for the inputs' shapes; -1 for dimensions that only running tells.
    ///
    /// # Errors
    /// There is no such tensor, or shapes of inputs are missing.
    pub fn shape(&self, tensor: &str) -> Result<Vec<i64>, Error> {
        self.engine.find(tensor, false)?;
        self.check_shapes()?;
        let_cxx_string!(name = checked_text(tensor)?);
        Ok(self.shim.tensor_shape(&name))
    }

    /// The most bytes that an output can have, for the inputs' shapes.
    ///
    /// # Errors
    /// There is no such output, shapes of inputs are missing, or it has no bound.
    pub fn max_output_bytes(&self, output: &str) -> Result<u64, Error> {
        self.engine.find(output, false)?;
        self.check_shapes()?;
        let_cxx_string!(name = checked_text(output)?);
        self.engine.library().ask("to bound the output", || {
            u64::try_from(self.shim.max_output_size(&name)).map_err(|_| "it gave no reason")
        })
    }

    /// The names of inputs that have yet to be set before shapes of outputs are known; works them out if there are none.
    ///
    /// # Errors
    /// TensorRT cannot: the inputs contradict each other.
    pub fn infer_shapes(&mut self) -> Result<Vec<String>, Error> {
        let library = self.engine.library();
        library.ask("to infer the shapes", || self.shim.pin_mut().infer_shapes())
    }

    /// Bytes of device memory for the inputs' shapes, for [`Allocation::UserManaged`].
    ///
    /// # Errors
    /// Shapes of inputs are missing.
    pub fn update_device_memory(&mut self) -> Result<u64, Error> {
        self.check_shapes()?;
        Ok(self.shim.pin_mut().update_device_memory() as u64)
    }

    /// Waits after each layer, so that errors are told where they happen.
    pub fn set_debug_sync(&mut self, on: bool) {
        self.shim.pin_mut().set_debug_sync(on);
    }

    /// Where a tensor is.
    ///
    /// # Safety
    /// `address` is memory of the engine's device (of the host for tensors [`on_host`](crate::EngineTensor::on_host)), large
    /// enough for every shape that is set, aligned to 256 bytes, and lives until the work that is enqueued with it is done.
    ///
    /// # Errors
    /// There is no such tensor, or TensorRT refuses.
    pub unsafe fn set_address(&mut self, tensor: &str, address: *mut c_void) -> Result<(), Error> {
        let index = self.engine.find(tensor, false)?;
        let_cxx_string!(name = checked_text(tensor)?);
        let (library, shim) = (self.engine.library(), self.shim.pin_mut());
        // SAFETY: the caller promises it.
        library.demand("the tensor's address", || unsafe { shim.set_address(&name, address as usize) })?;
        // A null pointer takes the address away.
        self.addressed[index] = !address.is_null();
        Ok(())
    }

    /// Device memory to work in, with [`Allocation::UserManaged`].
    ///
    /// # Safety
    /// `address` is `bytes` of the engine's device memory, aligned to 256 bytes, that nothing else uses until the work that is
    /// enqueued with it is done.
    ///
    /// # Errors
    /// These are fewer than [`Engine::device_memory_of_profile`] of the chosen profile.
    pub unsafe fn set_device_memory(&mut self, address: *mut c_void, bytes: u64) -> Result<(), Error> {
        let needed = self.engine().device_memory_of_profile(self.profile().unwrap_or(0))?;
        let size = i64::try_from(bytes).map_err(|_| Error::Number { what: "the size", value: bytes })?;
        if bytes < needed {
            return Err(Error::TooLittleDeviceMemory { needed, given: bytes });
        }
        // SAFETY: the caller promises it.
        unsafe { self.shim.pin_mut().set_device_memory(address as usize, size) };
        self.has_memory = needed == 0 || !address.is_null();
        Ok(())
    }

    /// Enqueues the engine's work on a stream and returns at once.
    ///
    /// # Safety
    /// `stream` is a CUDA stream of the engine's device, and what the addresses point to is as they promised; the context is
    /// not dropped, nor enqueued on another stream, before this work is done.
    ///
    /// # Errors
    /// A shape, an address or the device memory is missing, or TensorRT refuses.
    pub unsafe fn enqueue(&mut self, stream: *mut c_void) -> Result<(), Error> {
        self.check_shapes()?;
        let without = self.addressed.iter().position(|&addressed| !addressed);
        if let Some(index) = without {
            let tensor = self.engine.tensors[index].name.clone();
            return Err(Error::NotSet { what: "the address", tensor });
        }
        if self.allocation == Allocation::UserManaged && !self.has_memory {
            return Err(Error::NotSet { what: "the device memory", tensor: "the context".to_owned() });
        }
        let (library, shim) = (self.engine.library(), self.shim.pin_mut());
        // SAFETY: the caller promises it, and every tensor has an address.
        library.demand("to enqueue the engine", || unsafe { shim.enqueue(stream as usize) })
    }

    fn check_shapes(&self) -> Result<(), Error> {
        let mut tensors = self.engine.tensors.iter().zip(&self.shaped);
        match tensors.find(|(tensor, shaped)| tensor.is_input && !*shaped) {
            Some((tensor, _)) => Err(Error::NotSet { what: "the shape", tensor: tensor.name.clone() }),
            None => Ok(()),
        }
    }
}

fn has_fixed_shape(shape: &[i64]) -> bool {
    shape.iter().all(|&dim| dim >= 0)
}
