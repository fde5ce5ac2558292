//! Writing a repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde_json::json;
use tmoe_model::staging::StagedFolder;
use tmoe_package::{OpSet, Package, files as package_files, hash_file};

use super::config::{self, Executable, GRAPH_FILE, Model, VERSION};
use super::engines::{self, Engines};
use super::error::TritonError;
use super::files::{copy, create_folder, place, write};
use super::kubernetes::Placement;
use super::options::{Device, TritonBackend, TritonOptions};
use super::{kserve, kubernetes, ports, readme, warmup};

/// By this file `--force` knows a repository.
const MARKER: &str = "repository.json";

/// What was written.
#[derive(Clone, Debug)]
pub struct TritonRepository {
    /// The model's name.
    pub model: String,
    /// The graph that it executes, or that its engines were built from.
    pub graph: OpSet,
    /// The model's folder in the repository.
    pub folder: PathBuf,
    /// Most series in one execution.
    pub max_batch_size: u32,
    /// Names of the inputs.
    pub inputs: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// The cases that warm it up.
    pub warm_up: Vec<String>,
    /// Whether there is a manifest for KServe; none where the operators' path would not be KServe's.
    pub kserve: bool,
}

/// Writes a model repository with one model to the folder `output`, which appears complete or not at all.
///
/// Weights are hard links to the package's where the file system has them. Setting `cancelled` ends a copy with
/// [`TritonError::Cancelled`].
///
/// # Errors
///
/// See [`TritonError`].
pub fn write_repository(
    package: &Package,
    output: &Path,
    options: &TritonOptions,
    cancelled: &AtomicBool,
) -> Result<TritonRepository, TritonError> {
    let plan = Plan::new(package, options)?;
    let staged = StagedFolder::new(output, options.force, MARKER)?;
    plan.write(staged.path(), cancelled).map_err(|error| error.moved(staged.path(), output))?;
    staged.commit()?;
    let names = |ports: &[ports::Port]| ports.iter().map(|port| port.name.clone()).collect();
    let model = &plan.model;
    Ok(TritonRepository {
        model: model.name.clone(),
        graph: plan.op_set,
        folder: output.join(&model.name),
        max_batch_size: model.max_batch_size,
        inputs: names(&model.ports.inputs),
        outputs: names(&model.ports.outputs),
        warm_up: model.samples.iter().map(|sample| sample.case.clone()).collect(),
        kserve: plan.kserve,
    })
}

/// Everything that is to be written, checked.
struct Plan<'a> {
    package: &'a Package,
    model: Model,
    op_set: OpSet,
    /// The library to copy beside the model.
    library: Option<PathBuf>,
    kserve: bool,
    placement: Placement<'a>,
}

impl<'a> Plan<'a> {
    fn new(package: &'a Package, options: &'a TritonOptions) -> Result<Self, TritonError> {
        let manifest = package.manifest();
        if manifest.with_loss {
            return Err(TritonError::WithLoss { package: package.folder().to_owned() });
        }
        check_manifest_text("--image", &options.image)?;
        check_manifest_text("--storage-uri", &options.storage_uri)?;
        let name = options.model_name(package)?;
        let server_path = options.checked_server_path()?;
        let (op_set, executable, device) = match options.backend {
            TritonBackend::OnnxRuntime { graph } => {
                let library = checked_operators(graph, options.operators.as_deref())?;
                let operators = library.map(|library| format!("{server_path}/{name}/{VERSION}/{library}"));
                (graph, Executable::Graph { op_set: graph, operators }, options.device)
            }
            TritonBackend::TensorRt => {
                let engines = engines::choose(package, options.tensorrt_version.as_deref())?;
                check_plugins(&engines, options.operators.as_deref())?;
                if options.device == Device::Cpu {
                    return Err(TritonError::TensorRtOnCpu);
                }
                (engines.op_set, Executable::Engines(engines), Device::Gpu)
            }
        };
        let ports = ports::read(&package.graph_path(op_set)?)?;
        let mut samples = warmup::samples(package, &ports.inputs)?;
        let mut most = None;
        if let Executable::Engines(engines) = &executable {
            samples.retain(|sample| engines.profiles.iter().any(|profile| sample.fits(profile)));
            most = Some(engines.most_series());
        }
        let (max_batch_size, preferred_batch_sizes) = options.batch_sizes(most)?;
        let cache = ports.inputs.iter().filter(|port| port.name.starts_with("past_key_values."));
        let of_point = |port: &ports::Port| {
            let sizes = port.dims.iter().filter_map(|&dim| usize::try_from(dim).ok());
            sizes.product::<usize>() * port.data_type.size()
        };
        let config = &manifest.model;
        let summary = format!(
            "Time-MoE with {:.1} million parameters, weights in {}, graph {op_set}; written by tmoe-export {}.",
            config.parameter_count() as f64 / 1e6,
            manifest.precision,
            env!("CARGO_PKG_VERSION"),
        );
        let bytes = match &executable {
            Executable::Graph { .. } => ports
                .weights
                .iter()
                .filter_map(|name| manifest.files.get(name))
                .map(|entry| entry.bytes)
                .sum(),
            Executable::Engines(engines) => {
                engines.engines.iter().map(|engine| engine.manifest().engine.bytes).max().unwrap_or(0)
            }
        };
        // KServe has a place of its own for models, at which the configuration's path would have to be.
        let with_path = matches!(executable, Executable::Graph { operators: Some(_), .. });
        Ok(Self {
            package,
            op_set,
            library: options.operators.clone(),
            kserve: !with_path || server_path == TritonOptions::SERVER_PATH,
            placement: Placement { server_path, image: &options.image, storage_uri: &options.storage_uri },
            model: Model {
                name,
                summary,
                executable,
                cache_bytes: cache.map(of_point).sum(),
                ports,
                max_batch_size,
                preferred_batch_sizes,
                max_queue_delay: options.max_queue_delay,
                device,
                instances: options.instances,
                threads: options.threads,
                samples,
                max_positions: config.max_positions(),
                bytes,
            },
        })
    }

    fn write(&self, root: &Path, cancelled: &AtomicBool) -> Result<(), TritonError> {
        let model = &self.model;
        let folder = root.join(&model.name);
        let version = folder.join(VERSION);
        create_folder(&version)?;
        self.write_model(&version, cancelled)?;
        if let Some(library) = &self.library {
            // A copy: unlike a package's files, a library is often built again in its place.
            copy(library, &version.join(file_name(library)), cancelled)?;
        }
        write(&folder.join("config.pbtxt"), config::text(model))?;
        self.write_warm_up(&folder.join("warmup"))?;
        write(&root.join("kubernetes.yaml"), kubernetes::text(model, self.placement))?;
        if self.kserve {
            write(&root.join("kserve.yaml"), kserve::text(model, self.placement))?;
        }
        write(&root.join("client.py"), readme::CLIENT)?;
        write(&root.join("README.md"), readme::text(model, self.placement, self.kserve))?;
        let path = self.package.path(package_files::MANIFEST);
        let (digest, _) = hash_file(&path).map_err(|source| TritonError::io("read", &path, source))?;
        let marker = json!({
            "tool": { "name": "tmoe-export", "version": env!("CARGO_PKG_VERSION") },
            "model": model.name,
            "graph": self.op_set,
            "precision": self.package.manifest().precision,
            // Of the package's manifest.json, which has the digests of all its files.
            "package": digest,
        });
        write(&root.join(MARKER), format!("{marker:#}\n"))
    }

    fn write_model(&self, version: &Path, cancelled: &AtomicBool) -> Result<(), TritonError> {
        match &self.model.executable {
            Executable::Graph { op_set, .. } => {
                place(&self.package.graph_path(*op_set)?, &version.join(GRAPH_FILE), cancelled)?;
                for file in &self.model.ports.weights {
                    let to = version.join(file);
                    if let Some(parent) = to.parent() {
                        create_folder(parent)?;
                    }
                    place(&self.package.path(file), &to, cancelled)?;
                }
            }
            Executable::Engines(engines) => {
                for (_, file, engine) in engines.files() {
                    place(&engine.path(), &version.join(file), cancelled)?;
                }
            }
        }
        Ok(())
    }

    fn write_warm_up(&self, folder: &Path) -> Result<(), TritonError> {
        create_folder(folder)?;
        for sample in &self.model.samples {
            for input in &sample.inputs {
                if let Some(file) = sample.file(input) {
                    write(&folder.join(file), &input.bytes)?;
                }
            }
        }
        Ok(())
    }
}

/// Text that is quoted in a manifest.
fn check_manifest_text(option: &'static str, text: &str) -> Result<(), TritonError> {
    let strange = |letter: char| letter.is_control() || letter.is_whitespace() || "\"'\\".contains(letter);
    match text.is_empty() || text.contains(strange) {
        true => Err(TritonError::ManifestText { option, text: text.to_owned() }),
        false => Ok(()),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The file name of the operators' library, if the graph needs it.
fn checked_operators(graph: OpSet, library: Option<&Path>) -> Result<Option<String>, TritonError> {
    match (graph, library) {
        (OpSet::Plugin, Some(path)) => {
            let bytes = fs::read(path).map_err(|source| TritonError::io("read", path, source))?;
            let symbol = b"RegisterCustomOps";
            match bytes.windows(symbol.len()).any(|window| window == symbol) {
                true => Ok(Some(file_name(path))),
                false => Err(TritonError::NotOperators { path: path.to_owned() }),
            }
        }
        (OpSet::Plugin, None) => Err(TritonError::OperatorsNeeded),
        (other, Some(_)) => Err(TritonError::OperatorsUnused { what: format!("the graph {other}") }),
        (_, None) => Ok(None),
    }
}

/// Whether the library has the plugins that the engines were built with.
fn check_plugins(engines: &Engines, library: Option<&Path>) -> Result<(), TritonError> {
    match (&engines.plugins, library) {
        (Some(plugins), Some(path)) => {
            let (found, _) = hash_file(path).map_err(|source| TritonError::io("read", path, source))?;
            if found == plugins.sha256 && file_name(path) == plugins.file {
                return Ok(());
            }
            let expected = format!("{} with the sha256 {}", plugins.file, plugins.sha256);
            Err(TritonError::OtherPlugins { path: path.to_owned(), expected, found: found.to_string() })
        }
        (Some(plugins), None) => Err(TritonError::PluginsNeeded { file: plugins.file.clone() }),
        (None, Some(_)) => {
            Err(TritonError::OperatorsUnused { what: format!("an engine of the graph {}", engines.op_set) })
        }
        (None, None) => Ok(()),
    }
}
