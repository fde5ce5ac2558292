//! How an engine is built.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use cxx::{UniquePtr, let_cxx_string};

use crate::bridge::ffi;
use crate::builder::BuilderInner;
use crate::error::{Error, checked_text, int32};
use crate::memory::HostMemory;
use crate::profile::OptimizationProfile;
use crate::progress::{Outcome, ProgressMonitor, ProgressSink};
use crate::types::{BuilderFlag, HardwareCompatibility, MemoryPool, PreviewFeature, Verbosity};

/// How an engine is built.
///
/// ```no_run
/// use tmoe_tensorrt::{BuilderFlag, Builder, Flavour, Library, MemoryPool, Verbosity};
///
/// let builder = Builder::new(Library::find(Flavour::TensorRt)?)?;
/// let mut config = builder.config()?;
/// config.set_flag(BuilderFlag::Bf16, true)?;
/// config.set_memory_pool_limit(MemoryPool::Workspace, 1 << 30)?;
/// config.set_verbosity(Verbosity::Detailed)?;
/// // What was timed before is not timed again.
/// config.set_timing_cache(&std::fs::read("timing.cache").unwrap_or_default(), false)?;
/// // ... build, then keep what was timed:
/// std::fs::write("timing.cache", config.timing_cache()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BuilderConfig {
    shim: UniquePtr<ffi::Config>,
    outcome: Arc<Outcome>,
    // After the configuration, which it made.
    builder: Arc<BuilderInner>,
}

// SAFETY: a configuration belongs to no thread; it is changed through `&mut` only.
unsafe impl Send for BuilderConfig {}

impl fmt::Debug for BuilderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuilderConfig").finish_non_exhaustive()
    }
}

impl BuilderConfig {
    pub(crate) fn new(shim: UniquePtr<ffi::Config>, builder: Arc<BuilderInner>) -> Self {
        Self { shim, outcome: Arc::default(), builder }
    }

    pub(crate) fn builder(&self) -> &Arc<BuilderInner> {
        &self.builder
    }

    pub(crate) fn shim(&mut self) -> Pin<&mut ffi::Config> {
        self.shim.pin_mut()
    }

    pub(crate) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// # Errors
    /// The flavour has no such flag.
    pub fn set_flag(&mut self, flag: BuilderFlag, on: bool) -> Result<(), Error> {
        let is_there = self.shim.pin_mut().set_flag(flag.name(), on);
        self.builder.library.supports(is_there, format!("builder flag {}", flag.name()))
    }

    /// Whether a flag is set; false for those that the flavour does not have.
    pub fn flag(&self, flag: BuilderFlag) -> bool {
        self.shim.flag(flag.name())
    }

    /// # Errors
    /// The flavour has no such feature.
    pub fn set_preview_feature(&mut self, feature: PreviewFeature, on: bool) -> Result<(), Error> {
        let is_there = self.shim.pin_mut().set_preview_feature(feature.name(), on);
        self.builder.library.supports(is_there, format!("preview feature {}", feature.name()))
    }

    /// The most memory of a kind, in bytes.
    ///
    /// # Errors
    /// TensorRT refuses the number.
    pub fn set_memory_pool_limit(&mut self, pool: MemoryPool, bytes: usize) -> Result<(), Error> {
        let shim = self.shim.pin_mut();
        self.builder.library.demand("the memory pool's limit", || shim.set_pool_limit(pool as i32, bytes))
    }

    /// The most memory of a kind, in bytes.
    pub fn memory_pool_limit(&self, pool: MemoryPool) -> usize {
        self.shim.pool_limit(pool as i32)
    }

    /// How long the builder may look for faster engines: 0 to 5.
    ///
    /// # Errors
    /// TensorRT refuses the number.
    pub fn set_optimization_level(&mut self, level: usize) -> Result<(), Error> {
        let level = int32("the optimization level", level)?;
        let shim = self.shim.pin_mut();
        self.builder.library.demand("the optimization level", || shim.set_optimization_level(level))
    }

    /// Which other GPUs the engine has to run on.
    ///
    /// # Errors
    /// The flavour cannot do that.
    pub fn set_hardware_compatibility(&mut self, level: HardwareCompatibility) -> Result<(), Error> {
        let shim = self.shim.pin_mut();
        let set = || shim.set_hardware_compatibility(level as i32);
        self.builder.library.demand("the hardware compatibility level", set)
    }

    /// The GPUs that the engine is built for, by compute capability (major, minor). TensorRT-RTX only; without this, the GPU at
    /// hand. For Turing (7, 5) it has no products of float32: such a model has to be float16.
    ///
    /// # Errors
    /// The flavour is TensorRT, or the library does not know a capability.
    pub fn set_compute_capabilities(&mut self, capabilities: &[(u32, u32)]) -> Result<(), Error> {
        let number = |&(major, minor): &(u32, u32)| match (major, minor) {
            (0..1000, 0..10) => (10 * major + minor) as i32,
            _ => -1,
        };
        let numbers: Vec<i32> = capabilities.iter().map(number).collect();
        let shim = self.shim.pin_mut();
        let library = self.builder.library;
        let is_there =
            library.ask("these compute capabilities", || shim.set_compute_capabilities(&numbers))?;
        library.supports(is_there, "choice of compute capabilities: it builds for the GPU at hand")
    }

    /// How much the engine tells of its layers.
    ///
    /// # Errors
    /// TensorRT refuses.
    pub fn set_verbosity(&mut self, verbosity: Verbosity) -> Result<(), Error> {
        let shim = self.shim.pin_mut();
        self.builder.library.demand("the profiling verbosity", || shim.set_verbosity(verbosity as i32))
    }

    /// How many more streams than its caller's an engine may use at once.
    ///
    /// # Errors
    /// TensorRT refuses the number.
    pub fn set_max_aux_streams(&mut self, streams: usize) -> Result<(), Error> {
        let streams = int32("the number of streams", streams)?;
        let shim = self.shim.pin_mut();
        self.builder.library.demand("the number of auxiliary streams", || shim.set_max_aux_streams(streams))
    }

    /// Adds a profile and returns its index.
    ///
    /// # Errors
    /// Its shapes contradict each other. That they fit the network is seen when the engine is built.
    pub fn add_profile(&mut self, profile: &OptimizationProfile) -> Result<usize, Error> {
        profile.check()?;
        let library = self.builder.library;
        let make = || self.builder.lock().pin_mut().profile();
        let mut shim = library.ask("to make an optimization profile", make)?;
        for (input, range) in profile.inputs() {
            let_cxx_string!(name = checked_text(input)?);
            let watch = library.watch();
            for (selector, values) in (0..).zip(&range.values) {
                let set = match range.of_values {
                    true => shim.pin_mut().set_values(&name, selector, values),
                    false => shim.pin_mut().set_shape(&name, selector, values),
                };
                if !matches!(set, Ok(true)) {
                    let reason =
                        set.err().map_or_else(|| "TensorRT refused it".to_owned(), |e| e.to_string());
                    return Err(Error::Profile { input: input.to_owned(), reason: watch.errors(reason) });
                }
            }
        }
        library.demand("the optimization profile", || shim.is_valid())?;
        let config = self.shim.pin_mut();
        library.ask("the optimization profile", || {
            usize::try_from(config.add_profile(shim.pin_mut())).map_err(|_| "it gave no reason")
        })
    }

    /// Who hears of builds with this configuration.
    pub fn set_progress_monitor(&mut self, monitor: Arc<dyn ProgressMonitor>) {
        let sink = ProgressSink::new(monitor, Arc::clone(&self.outcome));
        self.shim.pin_mut().set_progress(Box::new(sink));
    }

    /// Starts with a timing cache that was kept; an empty slice is an empty cache. `ignore_mismatch`: even if it is of another
    /// GPU.
    ///
    /// # Errors
    /// TensorRT refuses the bytes: they are not a cache, or one of another version or GPU. TensorRT-RTX, which times nothing,
    /// starts with an empty cache instead.
    pub fn set_timing_cache(&mut self, bytes: &[u8], ignore_mismatch: bool) -> Result<(), Error> {
        let shim = self.shim.pin_mut();
        self.builder.library.ask("the timing cache", || shim.set_timing_cache(bytes, ignore_mismatch))
    }

    /// The timing cache, with what builds added to it.
    ///
    /// # Errors
    /// None was set.
    pub fn timing_cache(&self) -> Result<HostMemory, Error> {
        Ok(HostMemory(self.builder.library.ask("to write its timing cache", || self.shim.timing_cache())?))
    }
}
