//! TensorRT engines of a package: parse a graph, build, write beside the graphs.
//!
//! ```text
//! <package>/model.{dense,plugin}.onnx ─ narrow ─ parser ─ network ─┐
//! shapes of prefill and decode ─ profiles ─────────────────────────┼─ builder ─ <package>/engines/<flavour>-<version>-sm<architecture>/
//! timing cache of the engine before ───────────────────────────────┘
//! ```

mod error;
mod monitor;
mod narrow;
mod profiles;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tmoe_model::staging::StagedFolder;
use tmoe_onnx::Model;
use tmoe_package::{
    Engine, EngineManifest, FileEntry, Flavour, OpSet, Package, PluginLibrary, Precision, Tool, files,
    hash_bytes, hash_file,
};
use tmoe_tensorrt::{
    Builder, BuilderConfig, BuilderFlag, EngineDescription, HardwareCompatibility, Library, MemoryPool,
    NetworkDefinition, OnnxParser, Verbosity,
};

pub use self::error::EngineBuildError;
use self::monitor::Monitor;
pub use self::narrow::{Products, narrow};
pub use self::profiles::EngineShapes;
use crate::progress::{Observer, Stage};

/// What to build.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// With which TensorRT.
    pub flavour: Flavour,
    /// For which compute capabilities, times ten: one engine each. TensorRT builds for the GPU at hand only.
    pub architectures: Vec<u32>,
    /// Of which graph: `dense`, or `plugin` with TensorRT.
    pub op_set: OpSet,
    /// What the products of `dense` are computed in; if not given, what the package stores its weights in.
    pub precision: Option<Precision>,
    /// The shapes that it must take.
    pub shapes: EngineShapes,
    /// Most device memory that layers may use while they run; TensorRT's default is all there is.
    pub workspace_bytes: Option<u64>,
    /// TensorRT's library, or the folder in which it is; found by itself if not given.
    pub library: Option<PathBuf>,
    /// The library of plugins that the graph `plugin` needs.
    pub plugins: Option<PathBuf>,
    /// Replace engines that are there.
    pub force: bool,
}

/// An engine that was built.
#[derive(Debug)]
pub struct BuiltEngine {
    /// Its folder in the package.
    pub folder: PathBuf,
    /// What it needs, and what it takes.
    pub manifest: EngineManifest,
    /// Its layers, inputs, outputs and profiles, in TensorRT's words.
    pub description: Option<EngineDescription>,
}

/// The first compute capability, times ten, that multiplies bfloat16, and for which TensorRT-RTX has products of float32.
const WITH_BFLOAT16: u32 = 80;

/// Builds engines of a package, one after another; each appears complete or not at all.
///
/// # Errors
///
/// See [`EngineBuildError`]; engines that were complete by then stay.
pub fn build_engines(
    package: &Package,
    options: &EngineOptions,
    observer: &Arc<dyn Observer + Send>,
    cancelled: &Arc<AtomicBool>,
) -> Result<Vec<BuiltEngine>, EngineBuildError> {
    check(package, options)?;
    let flavour = match options.flavour {
        Flavour::TensorRt => tmoe_tensorrt::Flavour::TensorRt,
        Flavour::TensorRtRtx => tmoe_tensorrt::Flavour::TensorRtRtx,
    };
    let library = match &options.library {
        Some(path) => Library::open(flavour, path)?,
        None => Library::find(flavour)?,
    };
    let plugins = options.plugins.as_deref().map(|path| load_plugins(library, path)).transpose()?;
    let architectures = match options.flavour {
        Flavour::TensorRtRtx => options.architectures.clone(),
        Flavour::TensorRt => vec![at_hand(&options.architectures)?],
    };
    let mut built = Vec::new();
    for architecture in architectures {
        if cancelled.load(Ordering::Relaxed) {
            return Err(EngineBuildError::Cancelled);
        }
        let monitor = Monitor::new(Arc::clone(observer), Arc::clone(cancelled), architecture);
        let job = Job { package, options, library, plugins: plugins.as_ref(), architecture };
        built.push(job.run(monitor)?);
    }
    Ok(built)
}

/// What can be refused before anything is opened.
fn check(package: &Package, options: &EngineOptions) -> Result<(), EngineBuildError> {
    let manifest = package.manifest();
    match (options.op_set, options.flavour) {
        (OpSet::Standard, _) => return Err(EngineBuildError::Standard),
        (OpSet::Plugin, Flavour::TensorRtRtx) => return Err(EngineBuildError::NoPlugins),
        (OpSet::Plugin, Flavour::TensorRt) if options.plugins.is_none() => {
            return Err(EngineBuildError::PluginLibraryNeeded);
        }
        _ => {}
    }
    if manifest.precision == Precision::Int8 {
        return Err(EngineBuildError::Int8 { package: package.folder().to_owned() });
    }
    let precision = options.precision.unwrap_or(manifest.precision);
    if precision == Precision::Int8 {
        return Err(EngineBuildError::NoInt8);
    }
    if options.op_set == OpSet::Plugin && precision != manifest.precision {
        let stored = manifest.precision;
        return Err(EngineBuildError::PluginPrecision { stored, asked: precision });
    }
    let old = options.architectures.iter().find(|&&architecture| architecture < WITH_BFLOAT16);
    if let (Precision::Bf16, Some(&architecture)) = (manifest.precision, old) {
        // Such a GPU cannot even convert from it.
        return Err(EngineBuildError::StoredBfloat16 { architecture });
    }
    match (precision, options.flavour, old) {
        (Precision::Bf16, _, Some(&architecture)) => Err(EngineBuildError::NoBfloat16 { architecture }),
        (Precision::Fp32, Flavour::TensorRtRtx, Some(&architecture)) => {
            Err(EngineBuildError::NoFloat32 { architecture })
        }
        _ => options.shapes.check(manifest),
    }
}

/// The compute capability of the GPU that TensorRT builds for, if it is what was asked for.
fn at_hand(asked: &[u32]) -> Result<u32, EngineBuildError> {
    let (major, minor) = tmoe_tensorrt::compute_capability()?;
    let found = major * 10 + minor;
    match asked.iter().find(|&&architecture| architecture != found) {
        Some(&asked) => Err(EngineBuildError::OtherGpu { asked, found }),
        None => Ok(found),
    }
}

fn load_plugins(library: Library, path: &Path) -> Result<PluginLibrary, EngineBuildError> {
    library.load_plugins(path)?;
    let (sha256, _) = hash_file(path).map_err(|source| EngineBuildError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(PluginLibrary { file, sha256 })
}

/// One engine.
struct Job<'a> {
    package: &'a Package,
    options: &'a EngineOptions,
    library: Library,
    plugins: Option<&'a PluginLibrary>,
    architecture: u32,
}

impl Job<'_> {
    fn run(&self, monitor: Monitor) -> Result<BuiltEngine, EngineBuildError> {
        let engines = self.package.path(files::ENGINES);
        fs::create_dir_all(&engines).map_err(|source| EngineBuildError::Io {
            action: "create",
            path: engines.clone(),
            source,
        })?;
        let version = self.library.version().to_string();
        let folder = engines.join(Engine::folder_name(self.options.flavour, &version, self.architecture));
        let staged = StagedFolder::new(&folder, self.options.force, files::ENGINE_MANIFEST)?;

        let builder = Builder::new(self.library)?;
        // The types of the graph are those of the engine: what its precision promises, holds.
        let mut network = builder.network(true)?;
        self.parse(&mut network)?;
        let mut config = builder.config()?;
        self.configure(&mut config, &folder)?;
        let profiles = self.options.shapes.profiles(self.package.manifest());
        let inputs = network.inputs()?;
        for profile in &profiles {
            config.add_profile(&profiles::optimization_profile(profile, &inputs))?;
        }
        config.set_progress_monitor(Arc::new(monitor));
        let plan = builder.build(&mut network, &mut config).map_err(|error| match error {
            tmoe_tensorrt::Error::Cancelled => EngineBuildError::Cancelled,
            other => self.refusal(other),
        })?;

        let bytes: &[u8] = plan.memory.as_ref();
        let manifest = EngineManifest {
            schema: EngineManifest::SCHEMA,
            tool: Tool { name: "tmoe-export".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            package: self.package_digest()?,
            flavour: self.options.flavour,
            version,
            architecture: self.architecture,
            op_set: self.options.op_set,
            precision: self.precision(),
            profiles,
            plugins: self.plugins.cloned(),
            engine: FileEntry { bytes: bytes.len() as u64, sha256: hash_bytes(bytes) },
        };
        let write = |name: &str, bytes: &[u8]| {
            fs::write(staged.path().join(name), bytes).map_err(|source| EngineBuildError::Io {
                action: "write",
                path: folder.join(name),
                source,
            })
        };
        write(files::ENGINE, bytes)?;
        if self.options.flavour == Flavour::TensorRt {
            write(files::TIMING_CACHE, config.timing_cache()?.as_ref())?;
        }
        write(files::ENGINE_MANIFEST, manifest.to_json().as_bytes())?;
        staged.commit()?;
        Ok(BuiltEngine { folder, manifest, description: plan.description })
    }

    /// TensorRT has no code for a workspace that is too small, only words.
    fn refusal(&self, error: tmoe_tensorrt::Error) -> EngineBuildError {
        let text = error.to_string();
        match self.options.workspace_bytes {
            Some(bytes) if ["workspace", "OutOfMemory"].iter().any(|word| text.contains(word)) => {
                EngineBuildError::Workspace { bytes, source: error }
            }
            _ => error.into(),
        }
    }

    fn precision(&self) -> Precision {
        self.options.precision.unwrap_or(self.package.manifest().precision)
    }

    fn parse(&self, network: &mut NetworkDefinition) -> Result<(), EngineBuildError> {
        let path = self.package.graph_path(self.options.op_set)?;
        let mut parser = OnnxParser::new(network)?;
        let precision = self.precision();
        if self.options.op_set != OpSet::Dense || precision == Precision::Fp32 {
            return Ok(parser.parse_file(path)?);
        }
        let bytes = fs::read(&path).map_err(|source| EngineBuildError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let invalid = |source| EngineBuildError::Graph { path: path.clone(), source };
        let model = Model::decode(&bytes).map_err(invalid)?;
        let products = match (self.options.flavour, self.architecture < WITH_BFLOAT16) {
            (Flavour::TensorRtRtx, true) => Products::All,
            _ => Products::AllButRouter,
        };
        // The path says where the weights are.
        Ok(parser.parse(&narrow(&model, precision, products).encode(), &path)?)
    }

    fn configure(&self, config: &mut BuilderConfig, folder: &Path) -> Result<(), EngineBuildError> {
        // Without it TensorRT does not tell of the layers.
        config.set_verbosity(Verbosity::Detailed)?;
        // Products of float32 stay exact, as on every other provider.
        config.set_flag(BuilderFlag::Tf32, false)?;
        if let Some(bytes) = self.options.workspace_bytes {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            config.set_memory_pool_limit(MemoryPool::Workspace, bytes)?;
        }
        match self.options.flavour {
            Flavour::TensorRtRtx => {
                config.set_compute_capabilities(&[(self.architecture / 10, self.architecture % 10)])?;
            }
            Flavour::TensorRt => {
                config.set_hardware_compatibility(HardwareCompatibility::SameComputeCapability)?;
                if let Ok(bytes) = fs::read(folder.join(files::TIMING_CACHE)) {
                    config.set_timing_cache(&bytes, true)?;
                }
            }
        }
        Ok(())
    }

    fn package_digest(&self) -> Result<tmoe_package::Sha256Hex, EngineBuildError> {
        let path = self.package.path(files::MANIFEST);
        let digest = hash_file(&path).map(|(digest, _)| digest);
        digest.map_err(|source| EngineBuildError::Io { action: "read", path, source })
    }
}
