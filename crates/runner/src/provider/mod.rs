//! Providers: what executes a graph.
//!
//! A provider is one module here. To add one: a variant of [`Provider`] (its name, what it is, whether this
//! machine has it) and a type that implements [`Backend`]. What `cuda`, `cpu` and `tensorrt` share is in `onnxruntime`; what
//! passes on a device share is in `step`, what TensorRT's profiles are is in `profile`.

pub mod cpu;
pub mod cuda;
pub mod engine;
mod idle;
mod onnxruntime;
mod options;
mod profile;
mod step;
pub mod tensorrt;
#[cfg(test)]
pub(crate) mod testing;
pub mod tract;

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::thread;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tmoe_package::{OpSet, Package, Precision};

pub use self::onnxruntime::LibraryError;
pub use self::options::{ProviderOptions, Reduced, TensorRtOptions};
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::signature::Signature;
use crate::tensor::NamedTensors;

/// What executes a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Provider {
    /// ONNX Runtime on an NVIDIA GPU, from a shared library that is found when it is needed.
    Cuda,
    /// ONNX Runtime on the CPU, from a shared library that is found when it is needed.
    Cpu,
    /// tract, compiled in: slower than ONNX Runtime, and there on every machine.
    Tract,
    /// ONNX Runtime with TensorRT, which builds engines of a package's graph when it is opened first.
    TensorRt,
    /// TensorRT without ONNX Runtime, on an engine of the package that `tmoe-export engine` built.
    Engine,
}

impl Provider {
    /// Every provider: those among which `auto` chooses, the one that it prefers first, and then those that are only used when they
    /// are asked for.
    pub const ALL: [Self; 5] = [Self::Cuda, Self::Cpu, Self::Tract, Self::TensorRt, Self::Engine];

    /// The name on command lines and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
            Self::Tract => "tract",
            Self::TensorRt => "tensorrt",
            Self::Engine => "engine",
        }
    }

    /// Whether passes are computed by the threads that ask for them, several at the same time: `tract` does so, and one session
    /// serves any number of threads. On the others passes of a session run one after the other, each on all of its threads or on its
    /// device.
    pub const fn computes_on_caller(self) -> bool {
        matches!(self, Self::Tract)
    }

    /// How many passes at the same time keep the machine busy: one per core where the callers compute them, otherwise one.
    pub fn parallel_passes(self) -> usize {
        if self.computes_on_caller() {
            thread::available_parallelism().map_or(1, NonZeroUsize::get)
        } else {
            1
        }
    }

    /// What it is, in a few words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Cuda => "ONNX Runtime on an NVIDIA GPU",
            Self::Cpu => "ONNX Runtime on the CPU",
            Self::Tract => "tract on the CPU, one thread, built in",
            Self::TensorRt => {
                "ONNX Runtime with TensorRT on an NVIDIA GPU, engines built at the first opening"
            }
            Self::Engine => "TensorRT on an NVIDIA GPU, engines built by `tmoe-export engine`",
        }
    }

    /// Whether this machine can run it. For [`Provider::Cpu`] this looks for ONNX Runtime's library and loads it; for
    /// [`Provider::Cuda`] also NVIDIA's driver and CUDA's libraries, for [`Provider::TensorRt`] also TensorRT's, and for
    /// [`Provider::Engine`] NVIDIA's driver and TensorRT.
    pub fn availability(self) -> Availability {
        match self {
            Self::Cuda => cuda::availability(),
            Self::Cpu => cpu::availability(),
            Self::Tract => tract::availability(),
            Self::TensorRt => tensorrt::availability(),
            Self::Engine => engine::availability(),
        }
    }

    /// Whether it has the operators of that set. [`Provider::Cuda`] has those of the op set `plugin` when this crate is built
    /// with its feature `cuda`; [`Provider::TensorRt`] runs them with a library of plugins, see [`TensorRtOptions::plugins`].
    pub const fn runs(self, op_set: OpSet) -> bool {
        match self {
            Self::Cuda => cuda::HAS_OPERATORS || !matches!(op_set, OpSet::Plugin),
            Self::Cpu => true,
            Self::Tract => !matches!(op_set, OpSet::Plugin),
            Self::TensorRt => matches!(op_set, OpSet::Dense),
            Self::Engine => matches!(op_set, OpSet::Dense | OpSet::Plugin),
        }
    }

    /// Loads a graph file.
    pub(crate) fn load(
        self,
        graph: &GraphSource,
        content: GraphContent<'_>,
        options: &ProviderOptions,
    ) -> Result<Box<dyn Backend>, Error> {
        Ok(match self {
            Self::Cuda => Box::new(cuda::CudaBackend::load(graph, content, options)?),
            Self::Cpu => Box::new(cpu::CpuBackend::load(graph, content, options)?),
            Self::Tract => Box::new(tract::TractBackend::load(graph, content)?),
            Self::TensorRt => Box::new(tensorrt::TensorRtBackend::load(graph, content, options)?),
            Self::Engine => engine::load(content, options)?,
        })
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no provider.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("there is no provider `{found}`; choose one of {}", names(*.auto))]
pub struct UnknownProvider {
    /// The text.
    pub found: String,
    /// Whether `auto` would have been accepted.
    pub auto: bool,
}

fn names(auto: bool) -> String {
    let names: Vec<&str> =
        auto.then_some("auto").into_iter().chain(Provider::ALL.map(Provider::name)).collect();
    names.join(", ")
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.name() == text)
            .ok_or_else(|| UnknownProvider { found: text.to_owned(), auto: false })
    }
}

/// Whether this machine can run a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Availability {
    /// It can.
    Ready {
        /// Which version, from where.
        detail: String,
    },
    /// It cannot.
    Missing {
        /// Why, and what to install.
        reason: String,
    },
}

impl Availability {
    /// Whether the provider can be used.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// Which provider is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderChoice {
    /// The fastest that this machine can run.
    #[default]
    Auto,
    /// This one, or an error.
    Only(Provider),
}

/// The provider that a [`ProviderChoice`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The provider.
    pub provider: Provider,
    /// When `auto` passed over a faster provider that this machine could run: why, and what to install.
    pub passed_over: Option<String>,
}

impl ProviderChoice {
    /// Comes to a provider. `auto` is `cuda` where it can be used, `cpu` where ONNX Runtime is found, otherwise `tract`.
    pub fn select(self) -> Selection {
        self.select_with(Provider::availability, cuda::has_device)
    }

    /// That a machine without a GPU does not run `cuda` is nothing to be told; `has_gpu` is asked only when it does not.
    fn select_with(
        self,
        availability: impl Fn(Provider) -> Availability,
        has_gpu: impl Fn() -> bool,
    ) -> Selection {
        let (provider, passed_over) = match self {
            Self::Only(provider) => (provider, None),
            Self::Auto => match availability(Provider::Cuda) {
                Availability::Ready { .. } => (Provider::Cuda, None),
                Availability::Missing { reason: no_cuda } => match availability(Provider::Cpu) {
                    Availability::Ready { .. } => (Provider::Cpu, has_gpu().then_some(no_cuda)),
                    Availability::Missing { reason } => (Provider::Tract, Some(reason)),
                },
            },
        };
        Selection { provider, passed_over }
    }
}

impl From<Provider> for ProviderChoice {
    fn from(provider: Provider) -> Self {
        Self::Only(provider)
    }
}

impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Only(provider) => provider.fmt(f),
        }
    }
}

impl FromStr for ProviderChoice {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::Only)
                .map_err(|error: UnknownProvider| UnknownProvider { auto: true, ..error }),
        }
    }
}

/// What a graph is read from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GraphContent<'a> {
    /// A file, with its external data beside it.
    File(&'a std::path::Path),
    /// A graph of a package, and its file.
    Graph { package: &'a Package, op_set: OpSet, path: &'a std::path::Path },
    /// An ONNX model in memory.
    Bytes {
        model: &'a [u8],
        /// Where its external data lies, if it has any.
        folder: Option<&'a std::path::Path>,
    },
}

/// A graph loaded on a provider.
///
/// Callers have checked the inputs against the signature: all there, of the right types and shapes.
pub trait Backend: Send + Sync {
    /// What the graph takes and gives.
    fn signature(&self) -> &Signature;

    /// How many threads compute one pass.
    fn threads(&self) -> usize;

    /// How many series a pass can have, if there is a limit.
    fn max_batch(&self) -> Option<usize> {
        None
    }

    /// What products are computed in, of a package with weights of this precision.
    fn precision(&self, stored: Precision) -> Precision {
        stored
    }

    /// Runs the graph once, from host tensors to host tensors.
    ///
    /// # Errors
    ///
    /// [`Error::Provider`] with what the provider said.
    fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error>;

    /// Begins a generation with an empty cache for `batch` series. `capacity` is how many points the cache will
    /// come to hold, for providers that reserve it.
    ///
    /// # Errors
    ///
    /// [`Error::Provider`] if the provider cannot reserve the cache.
    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error>;
}

/// A sequence of passes in which the cache stays in the provider's own form.
pub trait Generation: Send {
    /// Runs one pass. `inputs` are the graph's inputs except the cache, and so are the outputs that are returned.
    /// After an error the cache is what it was before.
    ///
    /// # Errors
    ///
    /// [`Error::Provider`] with what the provider said.
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error>;

    /// Remembers the cache as it is now, in place of what was remembered before. `false` where the provider cannot.
    fn mark(&mut self) -> bool {
        false
    }

    /// Brings back the cache that [`Generation::mark`] remembered, and forgets the mark. `false`, and nothing changes, where
    /// there is none.
    fn rewind(&mut self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_read_back_from_its_own_name() {
        for provider in Provider::ALL {
            assert_eq!(provider.to_string().parse(), Ok(provider));
            assert_eq!(provider.to_string().parse(), Ok(ProviderChoice::Only(provider)));
            assert_eq!(serde_json::to_value(provider).unwrap(), provider.name());
        }
        assert_eq!("auto".parse(), Ok(ProviderChoice::Auto));
        assert_eq!(ProviderChoice::Auto.to_string(), "auto");
    }

    #[test]
    fn an_unknown_provider_is_answered_with_the_names_there_are() {
        let message = "gpu".parse::<ProviderChoice>().unwrap_err().to_string();
        assert_eq!(
            message,
            "there is no provider `gpu`; choose one of auto, cuda, cpu, tract, tensorrt, engine"
        );
        let message = "auto".parse::<Provider>().unwrap_err().to_string();
        assert_eq!(message, "there is no provider `auto`; choose one of cuda, cpu, tract, tensorrt, engine");
    }

    /// What `auto` comes to on a machine that has these providers, and a GPU or not.
    fn auto(providers: &[Provider], has_gpu: bool) -> (Provider, Option<String>) {
        let availability = |provider: Provider| match providers.contains(&provider) {
            true => Availability::Ready { detail: String::new() },
            false => Availability::Missing { reason: format!("no {provider}") },
        };
        let Selection { provider, passed_over } = ProviderChoice::Auto.select_with(availability, || has_gpu);
        (provider, passed_over)
    }

    #[test]
    fn auto_is_the_fastest_that_is_there() {
        assert_eq!(auto(&Provider::ALL, true), (Provider::Cuda, None));
        assert_eq!(auto(&[Provider::Cpu, Provider::Tract], false), (Provider::Cpu, None));
    }

    #[test]
    fn auto_says_what_it_passed_over_when_something_can_be_done_about_it() {
        let no_cuda = Some("no cuda".to_owned());
        assert_eq!(auto(&[Provider::Cpu, Provider::Tract], true), (Provider::Cpu, no_cuda));
        for has_gpu in [false, true] {
            assert_eq!(auto(&[Provider::Tract], has_gpu), (Provider::Tract, Some("no cpu".to_owned())));
        }
    }

    #[test]
    fn a_provider_that_is_asked_for_is_never_replaced() {
        for provider in [Provider::Cuda, Provider::Cpu, Provider::TensorRt, Provider::Engine] {
            let missing = |_| Availability::Missing { reason: "no library".to_owned() };
            let selection = ProviderChoice::Only(provider).select_with(missing, || true);
            assert_eq!(selection, Selection { provider, passed_over: None });
        }
    }

    #[test]
    fn cuda_runs_the_op_set_plugin_only_with_its_operators_built_in() {
        assert_eq!(Provider::Cuda.runs(OpSet::Plugin), cfg!(feature = "cuda"));
        for op_set in [OpSet::Standard, OpSet::Dense] {
            assert!(Provider::Cuda.runs(op_set));
        }
    }

    #[test]
    fn tensorrt_runs_no_graph_whose_shapes_depend_on_the_data() {
        for provider in [Provider::TensorRt, Provider::Engine] {
            assert!(!provider.runs(OpSet::Standard) && provider.runs(OpSet::Dense));
        }
        assert!(!Provider::TensorRt.runs(OpSet::Plugin));
        let plugins = Some("libtmoe_trt_plugins.so".into());
        let tensorrt = TensorRtOptions { plugins, ..TensorRtOptions::default() };
        let options = ProviderOptions { tensorrt, ..ProviderOptions::default() };
        assert!(options.runs(Provider::TensorRt, OpSet::Plugin));
        assert!(!options.runs(Provider::Tract, OpSet::Plugin));
    }

    #[test]
    fn tract_is_there_on_every_machine() {
        assert!(Provider::Tract.availability().is_ready());
    }
}
