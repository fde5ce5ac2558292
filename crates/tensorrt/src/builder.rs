//! From a network to an engine.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cxx::{UniquePtr, let_cxx_string};

use crate::bridge::ffi;
use crate::config::BuilderConfig;
use crate::description::EngineDescription;
use crate::error::{Error, int32};
use crate::library::Library;
use crate::memory::HostMemory;
use crate::network::NetworkDefinition;

/// Makes networks and configurations, and builds engines of them. What it makes keeps it alive.
///
/// ```no_run
/// use tmoe_tensorrt::{Builder, Flavour, Library, OnnxParser, OptimizationProfile};
///
/// let builder = Builder::new(Library::find(Flavour::TensorRtRtx)?)?;
/// let mut network = builder.network(true)?;
/// OnnxParser::new(&mut network)?.parse_file("model.dense.onnx")?;
///
/// let mut config = builder.config()?;
/// config.add_profile(&OptimizationProfile::new().shapes("x", &[1, 8], &[4, 8], &[64, 8]))?;
/// config.set_compute_capabilities(&[(8, 6)])?; // TensorRT-RTX builds for GPUs that are not there.
/// let plan = builder.build(&mut network, &mut config)?;
/// std::fs::write("model.engine", &plan.memory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Builder(pub(crate) Arc<BuilderInner>);

pub(crate) struct BuilderInner {
    shim: Mutex<UniquePtr<ffi::Builder>>,
    pub(crate) library: Library,
}

// SAFETY: a builder belongs to no thread, and the lock lets one at a time use it.
unsafe impl Send for BuilderInner {}
// SAFETY: as above.
unsafe impl Sync for BuilderInner {}

impl BuilderInner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, UniquePtr<ffi::Builder>> {
        self.shim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("library", &self.0.library).finish_non_exhaustive()
    }
}

/// An engine as it was built.
#[derive(Debug)]
pub struct Plan {
    /// The engine, for its file.
    pub memory: HostMemory,
    /// Its layers, inputs, outputs and profiles: with [`Verbosity::Detailed`](crate::Verbosity::Detailed), TensorRT tells them
    /// as it builds, so that they can be looked at where there is no GPU to load the engine.
    pub description: Option<EngineDescription>,
}

impl Builder {
    /// A builder of a library's.
    ///
    /// # Errors
    /// TensorRT refuses.
    pub fn new(library: Library) -> Result<Self, Error> {
        let shim = library.ask("to make a builder", || library.shim().builder())?;
        Ok(Self(Arc::new(BuilderInner { shim: Mutex::new(shim), library })))
    }

    /// The library that it is of.
    pub fn library(&self) -> Library {
        self.0.library
    }

    /// An empty network. In a strongly typed one, types of tensors are those of the model; else the flags of the configuration
    /// let TensorRT choose among precisions. TensorRT-RTX has strongly typed ones only.
    ///
    /// # Errors
    /// TensorRT refuses.
    pub fn network(&self, strongly_typed: bool) -> Result<NetworkDefinition, Error> {
        let make = || self.0.lock().pin_mut().network(strongly_typed);
        Ok(NetworkDefinition::new(self.0.library.ask("to make a network", make)?, Arc::clone(&self.0)))
    }

    /// A configuration with TensorRT's defaults.
    ///
    /// # Errors
    /// TensorRT refuses.
    pub fn config(&self) -> Result<BuilderConfig, Error> {
        let make = || self.0.lock().pin_mut().config();
        Ok(BuilderConfig::new(self.0.library.ask("to make a configuration", make)?, Arc::clone(&self.0)))
    }

    /// How many threads a build may use.
    ///
    /// # Errors
    /// TensorRT refuses the number.
    pub fn set_max_threads(&self, threads: usize) -> Result<(), Error> {
        let threads = int32("the number of threads", threads)?;
        let set = || self.0.lock().pin_mut().set_max_threads(threads);
        self.0.library.demand("the number of threads", set)
    }

    /// Builds an engine. Seconds to many minutes. A library builds one engine at a time: other threads wait.
    ///
    /// # Errors
    /// TensorRT cannot: its message says why. The monitor ended the build. The network or the configuration is another
    /// builder's.
    pub fn build(&self, network: &mut NetworkDefinition, config: &mut BuilderConfig) -> Result<Plan, Error> {
        for (what, builder) in [("network", network.builder()), ("configuration", config.builder())] {
            if !Arc::ptr_eq(builder, &self.0) {
                return Err(Error::OtherBuilder { what });
            }
        }
        let _building = self.0.library.build_lock();
        let watch = self.0.library.watch();
        config.outcome().take_cancelled();
        let built = self.0.lock().pin_mut().build(network.shim(), config.shim());
        if let Some(panic) = config.outcome().take_panic() {
            std::panic::resume_unwind(panic);
        }
        match built {
            // A build that was over before it heard of it is not a whole one either: the caller does not want it.
            _ if config.outcome().take_cancelled() => Err(Error::Cancelled),
            Ok(memory) => Ok(Plan {
                memory: HostMemory(memory),
                description: watch.description().map(EngineDescription::new),
            }),
            Err(error) => Err(Error::Refused {
                operation: "to build the engine",
                message: watch.errors(error.to_string()),
            }),
        }
    }
}

/// A path for C++.
pub(crate) fn path_text(path: &Path) -> Result<&str, Error> {
    path.to_str()
        .ok_or_else(|| Error::Text { text: path.display().to_string() })
        .and_then(crate::error::checked_text)
}

/// A plugin that networks can have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginCreator {
    /// The operator's name; empty for plugins of a form that this crate does not know.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its namespace, mostly empty.
    pub namespace: String,
    /// The form, in TensorRT's words.
    pub kind: String,
}

impl Library {
    /// Loads a library with plugins into TensorRT, for all that is built and run afterwards. It stays loaded.
    ///
    /// ```no_run
    /// use tmoe_tensorrt::{Flavour, Library};
    ///
    /// let library = Library::find(Flavour::TensorRt)?;
    /// library.load_plugins("libtmoe_trt_plugins.so".as_ref())?;
    /// assert!(library.plugins()?.iter().any(|plugin| plugin.name == "SparseMoe"));
    /// # Ok::<(), tmoe_tensorrt::Error>(())
    /// ```
    ///
    /// # Errors
    /// The file is missing, or TensorRT refuses it.
    pub fn load_plugins(&self, path: &Path) -> Result<(), Error> {
        if let Err(source) = std::fs::metadata(path) {
            return Err(Error::File { path: path.to_owned(), source });
        }
        let_cxx_string!(text = path_text(path)?);
        self.ask("the plugin library", || self.shim().load_plugins(&text))
    }

    /// The plugins that are there.
    ///
    /// # Errors
    /// The library has no registry of them.
    pub fn plugins(&self) -> Result<Vec<PluginCreator>, Error> {
        let plugins = self.ask("to list its plugins", || self.shim().plugins())?;
        let plugin = |ffi::PluginCreator { name, version, plugin_namespace, kind }| PluginCreator {
            name,
            version,
            namespace: plugin_namespace,
            kind,
        };
        Ok(plugins.into_iter().map(plugin).collect())
    }
}
