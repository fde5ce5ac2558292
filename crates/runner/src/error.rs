//! Everything that can go wrong between a package and a forecast.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;
use tmoe_package::{OpSet, PackageError, Profile};

use crate::contract::GraphMismatch;
use crate::provider::cuda::CudaError;
use crate::provider::engine::EngineError;
use crate::provider::tensorrt::TensorRtError;
use crate::provider::{LibraryError, Provider};
use crate::series::SeriesError;
use crate::signature::InputError;
use crate::tensor::TensorFileError;
use crate::verify::SelfTestError;

/// What went wrong, in one line that says where and what to do.
#[derive(Debug, Error)]
pub enum Error {
    /// The package.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// ONNX Runtime's library.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The provider `cuda` cannot be used.
    #[error("the provider cuda cannot be used: {0}")]
    Cuda(#[from] CudaError),
    /// The provider `tensorrt` cannot be used.
    #[error("the provider tensorrt cannot be used: {0}")]
    TensorRt(#[from] TensorRtError),
    /// The provider `engine` cannot be used.
    #[error("the provider engine cannot be used: {0}")]
    Engine(#[from] EngineError),
    /// The tensors given to a graph.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The series given to a forecaster.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// A file of tensors.
    #[error(transparent)]
    TensorFile(#[from] TensorFileError),
    /// The package's self-test.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    /// A graph lacks an input or output that its package's model needs.
    #[error("{graph}: {source}; export the package again with this version")]
    Graph {
        /// Which graph.
        graph: GraphSource,
        /// What it lacks.
        source: GraphMismatch,
    },
    /// A graph whose operators the provider does not have.
    #[error("{provider} cannot run the graph `{op_set}`, whose operators it does not have; {}", advice_on(*.provider))]
    OpSet {
        /// Which provider.
        provider: Provider,
        /// Which graph.
        op_set: OpSet,
    },
    /// CUDA graphs were asked for with a graph that they cannot be captured of.
    #[error(
        "CUDA graphs need the graph `plugin`, whose passes keep their cache in one place, and not `{op_set}`; use --graph \
         plugin, or leave --cuda-graph out"
    )]
    CudaGraph {
        /// Which graph.
        op_set: OpSet,
    },
    /// A pass of a shape that TensorRT was not told to expect.
    #[error(
        "{graph} takes no pass of batch {batch}, sequence {sequence}, past {past}: its profiles are {}; {}{rebuild}",
        ProfilesText(.profiles), shape_advice(*.batch, *.sequence, *.past, .profiles)
    )]
    Profile {
        /// Which engine.
        graph: GraphSource,
        /// Series.
        batch: usize,
        /// New points.
        sequence: usize,
        /// Points in the cache.
        past: usize,
        /// What it takes.
        profiles: Vec<Profile>,
        /// How to make it take more.
        rebuild: String,
    },
    /// A device's memory is too small.
    #[error(
        "CUDA device {device} has no room for {purpose}{}; forecast fewer series at once or with less context, or choose \
         another --device ({graph})",
        MemoryText { requested: *.requested, free_and_total: *.free_and_total }
    )]
    DeviceMemory {
        /// Which graph was loaded or run.
        graph: GraphSource,
        /// Which device.
        device: usize,
        /// What the memory is for.
        purpose: String,
        /// Bytes that were asked for, where that is known.
        requested: Option<u64>,
        /// Free and total bytes of the device, where it says so.
        free_and_total: Option<(u64, u64)>,
    },
    /// A provider refused to load or run a graph.
    #[error("{provider} cannot {action} {graph}: {message}; {advice}")]
    Provider {
        /// Which provider.
        provider: Provider,
        /// What it was doing.
        action: Action,
        /// With which graph.
        graph: GraphSource,
        /// What the provider said.
        message: String,
        /// What to do.
        advice: &'static str,
    },
    /// The forecast was cancelled through its [`CancelToken`](crate::CancelToken).
    #[error("cancelled")]
    Cancelled,
}

/// What to do about a provider that has not the operators of the op set `plugin`.
fn advice_on(provider: Provider) -> &'static str {
    match provider {
        Provider::Cuda => {
            "build tmoe with them (`cargo build --release --package tmoe-cli --features cuda`), or use --graph standard"
        }
        Provider::Cpu | Provider::Tract => "use --graph standard, or the provider cpu",
        Provider::TensorRt => "use --graph dense, or --graph plugin with the library of plugins as --plugins",
        Provider::Engine => "leave --graph out, so that the package's engine says which it is of",
    }
}

struct ProfilesText<'a>(&'a [Profile]);

impl fmt::Display for ProfilesText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profiles: Vec<String> = self.0.iter().map(Profile::to_string).collect();
        f.write_str(&profiles.join(" and "))
    }
}

/// More series than a profile takes can be forecast a few at a time, and from fewer points.
fn shape_advice(batch: usize, sequence: usize, past: usize, profiles: &[Profile]) -> String {
    let Some(profile) = profiles.iter().find(|profile| profile.past.covers(past)) else {
        return String::new();
    };
    match (profile.batch.max, profile.sequence.max) {
        (most, _) if batch > most as usize => format!("forecast at most {most} series at once, or "),
        (_, most) if past == 0 && sequence > most as usize => {
            format!("forecast from at most {most} points, or ")
        }
        _ => String::new(),
    }
}

/// How much memory was asked for, and how much there is.
struct MemoryText {
    requested: Option<u64>,
    free_and_total: Option<(u64, u64)>,
}

impl fmt::Display for MemoryText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        if let Some(requested) = self.requested {
            write!(f, ": {:.1} MiB were asked for", mebibytes(requested))?;
        }
        if let Some((free, total)) = self.free_and_total {
            let joint = if self.requested.is_some() { "," } else { ":" };
            write!(f, "{joint} {:.1} of {:.1} MiB are free", mebibytes(free), mebibytes(total))?;
        }
        Ok(())
    }
}

/// What a provider was doing with a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Loading it.
    Load,
    /// Running it.
    Run,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Load => "load",
            Self::Run => "run",
        })
    }
}

/// Where a graph came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphSource {
    /// A file.
    File(PathBuf),
    /// Bytes in memory.
    Memory,
}

impl fmt::Display for GraphSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Memory => f.pad("the graph in memory"),
        }
    }
}

impl Error {
    /// A provider's refusal to load a graph.
    pub(crate) fn load(provider: Provider, graph: &GraphSource, message: impl fmt::Display) -> Self {
        Self::Provider {
            provider,
            action: Action::Load,
            graph: graph.clone(),
            message: one_line(message),
            advice: "export the package again with this version, or choose another --provider",
        }
    }

    /// A provider's refusal to run a graph.
    pub(crate) fn run(provider: Provider, graph: &GraphSource, message: impl fmt::Display) -> Self {
        Self::Provider {
            provider,
            action: Action::Run,
            graph: graph.clone(),
            message: one_line(message),
            advice: "`tmoe verify` tells whether package and provider work together",
        }
    }
}

/// Providers put causes on lines of their own; a message here is one line.
pub(crate) fn one_line(message: impl fmt::Display) -> String {
    let text = message.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").trim_end_matches(['.', ';']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_missing_is_told_in_numbers() {
        let error = |requested, free_and_total| {
            let purpose = "the cache of 32 series of 608 points".to_owned();
            let graph = GraphSource::Memory;
            Error::DeviceMemory { graph, device: 1, purpose, requested, free_and_total }.to_string()
        };
        assert_eq!(
            error(Some(3 << 19), Some((1 << 20, 5 << 20))),
            "CUDA device 1 has no room for the cache of 32 series of 608 points: 1.5 MiB were asked for, 1.0 of 5.0 MiB \
             are free; forecast fewer series at once or with less context, or choose another --device (the graph in memory)"
        );
        assert!(
            error(None, None)
                .starts_with("CUDA device 1 has no room for the cache of 32 series of 608 points;")
        );
        assert!(error(None, Some((0, 1 << 20))).contains("points: 0.0 of 1.0 MiB are free;"));
    }

    #[test]
    fn what_a_provider_says_becomes_one_line() {
        let error = Error::load(
            Provider::Tract,
            &GraphSource::File("p/model.onnx".into()),
            "Building node x\n\nCaused by:\n    no such operator.\n",
        );
        assert_eq!(
            error.to_string(),
            "tract cannot load p/model.onnx: Building node x Caused by: no such operator; export the package \
             again with this version, or choose another --provider"
        );
    }
}
