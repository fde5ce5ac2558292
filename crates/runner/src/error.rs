//! Everything that can go wrong between a package and a forecast.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;
use tmoe_package::{OpSet, PackageError};

use crate::contract::GraphMismatch;
use crate::provider::Provider;
use crate::provider::cpu::LibraryError;
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
    #[error(
        "{provider} cannot run the graph `{op_set}`, whose operators it does not have; use --graph standard, or the provider cpu"
    )]
    OpSet {
        /// Which provider.
        provider: Provider,
        /// Which graph.
        op_set: OpSet,
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
fn one_line(message: impl fmt::Display) -> String {
    let text = message.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").trim_end_matches(['.', ';']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
