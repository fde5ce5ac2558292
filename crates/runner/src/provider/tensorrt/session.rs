//! A package's graph on ONNX Runtime's TensorRT provider.

use std::path::Path;
use std::sync::Arc;

use ort::ep::{ExecutionProviderDispatch, TensorRT};
use ort::memory::MemoryInfo;
use tmoe_driver::Device;
use tmoe_package::{OpSet, Package, Precision, Profile};

use super::error::TensorRtError;
use super::folder::folder;
use super::ready::ready;
use super::shapes::shapes;
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::ports;
use crate::provider::cuda::memory_error::{load_error_of, run_error};
use crate::provider::cuda::session::{check_assignment, device_id, device_memory};
use crate::provider::onnxruntime::{GrowingGeneration, Loaded, RECORD_ASSIGNMENT, Setup};
use crate::provider::profile::{PassShape, max_batch};
use crate::provider::{Backend, Generation, GraphContent, Provider, ProviderOptions, Reduced};
use crate::signature::Signature;
use crate::tensor::NamedTensors;

/// A graph loaded by ONNX Runtime with TensorRT.
pub(crate) struct TensorRtBackend {
    /// One for each profile; one alone for a graph of which nothing is known, which takes all shapes.
    sessions: Vec<Loaded>,
    profiles: Vec<Profile>,
    reduced: Option<Reduced>,
    graph: GraphSource,
    /// How ONNX Runtime calls the device's memory.
    memory: MemoryInfo<'static>,
    device: Arc<Device>,
}

/// How one session is opened.
struct Session<'a> {
    options: &'a ProviderOptions,
    package: Option<OfPackage<'a>>,
}

/// What is only known of packages.
struct OfPackage<'a> {
    profile: &'a Profile,
    /// The inputs' names and dimensions.
    signature: &'a Signature,
    folder: &'a Path,
    precision: Precision,
}

impl TensorRtBackend {
    pub(crate) fn load(
        graph: &GraphSource,
        content: GraphContent<'_>,
        options: &ProviderOptions,
    ) -> Result<Self, Error> {
        if let GraphContent::Graph { package, .. } = content
            && package.manifest().precision == Precision::Int8
        {
            return Err(TensorRtError::Int8 { package: package.folder().to_owned() }.into());
        }
        let found = ready()?;
        let device = Device::open(found.driver, options.device).map_err(TensorRtError::from)?;
        let load = |session: Session<'_>| session.load(graph, content, &device);
        let (sessions, profiles) = match content {
            GraphContent::Graph { package, op_set, .. } => of_package(package, op_set, options, load)?,
            GraphContent::File(_) | GraphContent::Bytes { .. } => {
                (vec![load(Session { options, package: None })?], Vec::new())
            }
        };
        let memory =
            device_memory(options.device).map_err(|error| Error::load(Provider::TensorRt, graph, error))?;
        Ok(Self {
            sessions,
            profiles,
            reduced: options.tensorrt.reduced,
            graph: graph.clone(),
            memory,
            device,
        })
    }

    /// The session for a pass.
    fn session(&self, shape: PassShape) -> Result<&Loaded, Error> {
        if self.profiles.is_empty() {
            return Ok(&self.sessions[0]);
        }
        let advice = || "choose other shapes with --engine-batch and --engine-context".to_owned();
        Ok(&self.sessions[shape.covered_by(&self.profiles, &self.graph, advice)?])
    }

    fn error(&self, loaded: &Loaded, error: &ort::Error) -> Error {
        run_error(loaded, &self.device, &error.to_string())
    }
}

/// A session for each profile of a package.
fn of_package(
    package: &Package,
    op_set: OpSet,
    options: &ProviderOptions,
    load: impl Fn(Session<'_>) -> Result<Loaded, Error>,
) -> Result<(Vec<Loaded>, Vec<Profile>), Error> {
    let manifest = package.manifest();
    let folder = folder(package, op_set, options.tensorrt.reduced)?;
    let signature = ports::signature(manifest, op_set);
    let profiles = options.tensorrt.profiles(manifest);
    let session = |profile| {
        let (signature, folder, precision) = (&signature, folder.as_path(), manifest.precision);
        load(Session { options, package: Some(OfPackage { profile, signature, folder, precision }) })
    };
    let sessions = profiles.iter().map(session).collect::<Result<_, _>>()?;
    Ok((sessions, profiles.into()))
}

impl Session<'_> {
    fn load(&self, graph: &GraphSource, content: GraphContent<'_>, device: &Device) -> Result<Loaded, Error> {
        let provider = self.execution_provider()?;
        let setup = Setup { provider: Provider::TensorRt, graph, content, threads: 1, options: self.options };
        let loaded = setup.load(|builder| {
            let (key, value) = RECORD_ASSIGNMENT;
            let configured = builder
                .with_config_entry(key, value)
                .map_err(ort::Error::from)
                .and_then(|builder| builder.with_execution_providers([provider]).map_err(ort::Error::from));
            Ok(configured.map_err(TensorRtError::not_started)?)
        });
        let loaded = loaded.map_err(|error| match error {
            Error::Provider { message, .. } => load_error_of(Provider::TensorRt, graph, device, &message),
            other => other,
        })?;
        check_assignment(&loaded).map_err(|error| Error::load(Provider::TensorRt, graph, error))?;
        Ok(loaded)
    }

    /// ONNX Runtime's TensorRT provider with its options; one that cannot be had is an error and not a session on the CPU.
    fn execution_provider(&self) -> Result<ExecutionProviderDispatch, TensorRtError> {
        let Self { options, package } = self;
        let device = device_id(options.device).map_err(TensorRtError::not_started)?;
        let mut provider = TensorRT::default().with_device_id(device);
        if let Some(bytes) = options.device_memory {
            provider = provider.with_max_workspace_size(bytes.get());
        }
        if let Some(path) = &options.tensorrt.plugins {
            provider = provider.with_extra_plugin_lib_paths(plugins(path)?);
        }
        let stored = package.as_ref().map(|package| package.precision);
        let computes =
            |reduced, precision| options.tensorrt.reduced == Some(reduced) || stored == Some(precision);
        provider = provider
            .with_fp16(computes(Reduced::Fp16, Precision::Fp16))
            .with_bf16(computes(Reduced::Bf16, Precision::Bf16));
        if let Some(OfPackage { profile, signature, folder, .. }) = package {
            let [min, opt, max] = shapes(signature, profile);
            provider = provider
                .with_profile_min_shapes(min)
                .with_profile_opt_shapes(opt)
                .with_profile_max_shapes(max)
                .with_engine_cache(true)
                .with_engine_cache_path(folder.display())
                .with_engine_cache_prefix(&profile.name)
                .with_timing_cache(true)
                .with_timing_cache_path(folder.display());
        }
        Ok(provider.build().error_on_failure())
    }
}

/// The path of the plugins as ONNX Runtime takes it.
fn plugins(path: &Path) -> Result<String, TensorRtError> {
    let absolute = path.canonicalize();
    let absolute = absolute.map_err(|source| TensorRtError::NoPlugins { path: path.to_owned(), source })?;
    let text = absolute.display().to_string();
    if text.contains(';') { Err(TensorRtError::Path { path: absolute }) } else { Ok(text) }
}

impl Backend for TensorRtBackend {
    fn signature(&self) -> &Signature {
        self.sessions[0].signature()
    }

    fn threads(&self) -> usize {
        1
    }

    fn max_batch(&self) -> Option<usize> {
        max_batch(&self.profiles)
    }

    fn precision(&self, stored: Precision) -> Precision {
        match self.reduced {
            None => stored,
            Some(Reduced::Fp16) if stored == Precision::Bf16 => stored,
            Some(Reduced::Fp16) => Precision::Fp16,
            Some(Reduced::Bf16) => Precision::Bf16,
        }
    }

    fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        let loaded = self.session(PassShape::of(&self.signature().check_given(&inputs)?))?;
        loaded.run(inputs, None).map_err(|error| self.error(loaded, &error))
    }

    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        _capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error> {
        let error = |loaded: &Loaded, error: ort::Error| self.error(loaded, &error);
        let generation =
            GrowingGeneration::new(&self.sessions[0], cache, batch, self.memory.clone(), Box::new(error))?;
        let choose =
            |past, inputs: &NamedTensors| self.session(PassShape::after(past, self.signature(), inputs)?);
        Ok(Box::new(generation.on_sessions(Box::new(choose))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_that_are_not_there_are_told() {
        let text = plugins(Path::new("no/such/libtmoe_trt_plugins.so")).unwrap_err().to_string();
        assert!(text.contains("no/such/libtmoe_trt_plugins.so cannot be read"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a;b.so");
        std::fs::write(&path, "").unwrap();
        assert!(matches!(plugins(&path), Err(TensorRtError::Path { .. })));
    }
}
