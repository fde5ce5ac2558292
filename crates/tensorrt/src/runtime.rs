//! From an engine's file to an engine.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cxx::UniquePtr;

use crate::bridge::ffi;
use crate::driver;
use crate::engine::Engine;
use crate::error::{Error, int32};
use crate::library::Library;
use crate::plan::PlanHeader;

/// Loads engines. They keep it alive.
///
/// ```no_run
/// use tmoe_tensorrt::{Flavour, Library, Runtime};
///
/// let runtime = Runtime::new(Library::find(Flavour::TensorRt)?)?;
/// let engine = runtime.deserialize(&std::fs::read("model.engine")?)?;
/// println!("{} layers", engine.layer_count());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Runtime(Arc<RuntimeInner>);

pub(crate) struct RuntimeInner {
    shim: Mutex<UniquePtr<ffi::Runtime>>,
    pub(crate) library: Library,
}

// SAFETY: a runtime belongs to no thread, and the lock lets one at a time use it.
unsafe impl Send for RuntimeInner {}
// SAFETY: as above.
unsafe impl Sync for RuntimeInner {}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("library", &self.0.library).finish_non_exhaustive()
    }
}

impl Runtime {
    /// A runtime of a library's, on the GPU that is the calling thread's current one.
    ///
    /// # Errors
    /// There is no driver or no GPU, or TensorRT refuses.
    pub fn new(library: Library) -> Result<Self, Error> {
        driver::check()?;
        let shim = library.ask("to make a runtime", || library.shim().runtime())?;
        Ok(Self(Arc::new(RuntimeInner { shim: Mutex::new(shim), library })))
    }

    /// The library that it is of.
    pub fn library(&self) -> Library {
        self.0.library
    }

    fn with<T>(&self, call: impl FnOnce(std::pin::Pin<&mut ffi::Runtime>) -> T) -> T {
        call(self.0.shim.lock().unwrap_or_else(PoisonError::into_inner).pin_mut())
    }

    /// How many threads loading may use.
    ///
    /// # Errors
    /// TensorRT refuses the number.
    pub fn set_max_threads(&self, threads: usize) -> Result<(), Error> {
        let threads = int32("the number of threads", threads)?;
        self.0.library.demand("the number of threads", || self.with(|shim| shim.set_max_threads(threads)))
    }

    /// Lets engines run code on the host that they carry, as version compatible ones do. Only for files that are trusted.
    pub fn set_host_code_allowed(&self, allowed: bool) {
        self.with(|shim| shim.set_host_code_allowed(allowed));
    }

    /// Loads an engine onto the GPU.
    ///
    /// # Errors
    /// The bytes are not a whole engine of this flavour, or TensorRT refuses them, for its version or GPU.
    pub fn deserialize(&self, plan: &[u8]) -> Result<Engine, Error> {
        let header = PlanHeader::read(plan)?;
        let library = self.0.library;
        header.check_flavour(&library)?;
        let loaded = library.ask("the engine", || self.with(|shim| shim.deserialize(plan)));
        let shim = loaded.map_err(|error| match error {
            Error::Refused { message, .. } if header.version != library.version() => Error::OtherVersion {
                flavour: header.flavour,
                found: header.version,
                library: library.version(),
                message,
            },
            other => other,
        })?;
        Engine::new(shim, Arc::clone(&self.0))
    }
}
