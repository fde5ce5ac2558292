//! An engine: what it computes, and what it needs.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use cxx::UniquePtr;

use crate::bridge::ffi;
use crate::context::ExecutionContext;
use crate::description::ProfileShapes;
use crate::error::{Error, int32};
use crate::library::Library;
use crate::memory::HostMemory;
use crate::refitter::Refitter;
use crate::runtime::RuntimeInner;
use crate::types::{Allocation, DataType, HardwareCompatibility};

/// An engine that is loaded. It keeps its runtime alive, and its contexts keep it alive.
///
/// ```no_run
/// use tmoe_tensorrt::{Allocation, Flavour, Library, Runtime};
///
/// let runtime = Runtime::new(Library::find(Flavour::TensorRt)?)?;
/// let engine = runtime.deserialize(&std::fs::read("model.engine")?)?;
/// for tensor in engine.tensors() {
///     println!("{} {:?} {:?} {:?}", tensor.name, tensor.data_type, tensor.shape, tensor.profiles);
/// }
/// println!("{} bytes of device memory", engine.device_memory());
/// println!("{}", engine.information(true)?); // JSON
/// let context = engine.context(Allocation::Static)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<EngineInner>);

pub(crate) struct EngineInner {
    shim: Mutex<UniquePtr<ffi::Engine>>,
    pub(crate) tensors: Vec<EngineTensor>,
    pub(crate) profiles: usize,
    // After the engine, which it loaded.
    runtime: Arc<RuntimeInner>,
}

// SAFETY: an engine belongs to no thread, and the lock lets one at a time use it.
unsafe impl Send for EngineInner {}
// SAFETY: as above.
unsafe impl Sync for EngineInner {}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("tensors", &self.0.tensors).finish_non_exhaustive()
    }
}

/// An input or output of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineTensor {
    /// Its name.
    pub name: String,
    /// Or an output.
    pub is_input: bool,
    /// The type of its elements.
    pub data_type: DataType,
    /// Its shape; -1 for dimensions that are not known before run time.
    pub shape: Vec<i64>,
    /// Whether its address is one on the host: so are shapes.
    pub on_host: bool,
    /// Whether its value is needed for the shapes of others.
    pub is_shape: bool,
    /// The input whose memory this output has to share.
    pub aliased_input: Option<String>,
    /// The shapes that each profile allows; none for outputs.
    pub profiles: Vec<ProfileShapes>,
}

impl EngineInner {
    pub(crate) fn library(&self) -> Library {
        self.runtime.library
    }

    pub(crate) fn with<T>(&self, call: impl FnOnce(Pin<&mut ffi::Engine>) -> T) -> T {
        call(self.shim.lock().unwrap_or_else(PoisonError::into_inner).pin_mut())
    }

    /// The index of a tensor.
    pub(crate) fn find(&self, name: &str, inputs_only: bool) -> Result<usize, Error> {
        let wanted = |tensor: &EngineTensor| tensor.is_input || !inputs_only;
        let found = self.tensors.iter().position(|tensor| tensor.name == name && wanted(tensor));
        found.ok_or_else(|| Error::UnknownTensor {
            role: if inputs_only { "input" } else { "input or output" },
            name: name.to_owned(),
            known: self.tensors.iter().filter(|t| wanted(t)).map(|t| t.name.clone()).collect(),
        })
    }

    pub(crate) fn check_profile(&self, profile: usize) -> Result<i32, Error> {
        match profile < self.profiles {
            true => int32("the profile", profile),
            false => Err(Error::UnknownProfile { profile, count: self.profiles }),
        }
    }
}

impl Engine {
    pub(crate) fn new(shim: UniquePtr<ffi::Engine>, runtime: Arc<RuntimeInner>) -> Result<Self, Error> {
        let tensors = runtime.library.ask("to list the engine's tensors", || shim.tensors())?;
        let profiles = usize::try_from(shim.profile_count()).unwrap_or(0);
        let tensors = tensors.into_iter().map(EngineTensor::new).collect();
        Ok(Self(Arc::new(EngineInner { shim: Mutex::new(shim), tensors, profiles, runtime })))
    }

    /// The library that it runs in.
    pub fn library(&self) -> Library {
        self.0.library()
    }

    /// The network's name.
    pub fn name(&self) -> String {
        self.0.with(|shim| shim.name())
    }

    /// Its inputs and outputs.
    pub fn tensors(&self) -> &[EngineTensor] {
        &self.0.tensors
    }

    /// An input or output.
    ///
    /// # Errors
    /// It has none of this name.
    pub fn tensor(&self, name: &str) -> Result<&EngineTensor, Error> {
        Ok(&self.0.tensors[self.0.find(name, false)?])
    }

    /// How many layers it has.
    pub fn layer_count(&self) -> usize {
        usize::try_from(self.0.with(|shim| shim.layer_count())).unwrap_or(0)
    }

    /// How many profiles it has.
    pub fn profile_count(&self) -> usize {
        self.0.profiles
    }

    /// How many streams of its own a context can use.
    pub fn aux_stream_count(&self) -> usize {
        usize::try_from(self.0.with(|shim| shim.aux_stream_count())).unwrap_or(0)
    }

    /// Bytes of device memory that a context needs for any profile, without weights, inputs and outputs.
    pub fn device_memory(&self) -> u64 {
        u64::try_from(self.0.with(|shim| shim.device_memory())).unwrap_or(0)
    }

    /// Bytes of device memory that a context needs for one profile.
    ///
    /// # Errors
    /// It has no such profile.
    pub fn device_memory_of_profile(&self, profile: usize) -> Result<u64, Error> {
        let profile = self.0.check_profile(profile)?;
        Ok(u64::try_from(self.0.with(|shim| shim.device_memory_of_profile(profile))).unwrap_or(0))
    }

    /// Whether its weights can be replaced.
    pub fn is_refittable(&self) -> bool {
        self.0.with(|shim| shim.is_refittable())
    }

    /// Which other GPUs it runs on; `None` for a level of a newer TensorRT.
    pub fn hardware_compatibility(&self) -> Option<HardwareCompatibility> {
        HardwareCompatibility::from_code(self.0.with(|shim| shim.hardware_compatibility()))
    }

    /// All that the inspector tells, as JSON or as lines of text; how much was chosen when the engine was built.
    ///
    /// # Errors
    /// TensorRT does not tell.
    pub fn information(&self, json: bool) -> Result<String, Error> {
        self.library().ask("to describe the engine", || self.0.with(|shim| shim.information(json)))
    }

    /// What the inspector tells of one layer.
    ///
    /// # Errors
    /// There is no such layer, or TensorRT does not tell.
    pub fn layer_information(&self, layer: usize, json: bool) -> Result<String, Error> {
        let layer = int32("the layer", layer)?;
        let tell = || self.0.with(|shim| shim.layer_information(layer, json));
        self.library().ask("to describe the layer", tell)
    }

    /// The engine for its file, with or without the weights that can be replaced.
    ///
    /// # Errors
    /// TensorRT refuses.
    pub fn serialize(&self, exclude_weights: bool) -> Result<HostMemory, Error> {
        let write = || self.0.with(|shim| shim.serialize(exclude_weights));
        Ok(HostMemory(self.library().ask("to write the engine", write)?))
    }

    /// A context to run it in. Each can run on its own, at the same time.
    ///
    /// # Errors
    /// TensorRT refuses, for want of device memory for example.
    pub fn context(&self, allocation: Allocation) -> Result<ExecutionContext, Error> {
        let make = || self.0.with(|shim| shim.context(allocation as i32));
        let shim = self.library().ask("to make an execution context", make)?;
        Ok(ExecutionContext::new(shim, Arc::clone(&self.0), allocation))
    }

    /// Replaces weights.
    ///
    /// # Errors
    /// The engine was not built for it, or something else uses it.
    pub fn refitter<'e, 'w>(&'e mut self) -> Result<Refitter<'e, 'w>, Error> {
        if !self.is_refittable() {
            return Err(Error::NotRefittable);
        }
        let library = self.library();
        let inner = Arc::get_mut(&mut self.0).ok_or(Error::InUse)?;
        let shim = library.ask("to make a refitter", || inner.with(|shim| shim.refitter()))?;
        Ok(Refitter::new(shim, inner))
    }
}

impl EngineTensor {
    fn new(tensor: ffi::EngineTensor) -> Self {
        let profile = |ffi::ProfileShapes { min, opt, max }| ProfileShapes { min, opt, max };
        Self {
            name: tensor.name,
            is_input: tensor.is_input,
            data_type: DataType::from_code(tensor.data_type),
            shape: tensor.shape,
            on_host: tensor.on_host,
            is_shape: tensor.is_shape,
            aliased_input: Some(tensor.aliased_input).filter(|name| !name.is_empty()),
            profiles: tensor.profiles.into_iter().map(profile).collect(),
        }
    }
}
