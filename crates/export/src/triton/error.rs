//! Why a model repository was not written.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tmoe_model::staging::StagingError;
use tmoe_onnx::ModelError;
use tmoe_package::{EngineError, PackageError};

/// Why a model repository was not written. Whatever the reason, none appears.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TritonError {
    /// The package has no such graph.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The output cannot be written there.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// An engine of the package cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The name would be no folder, or no text of a configuration.
    #[error(
        "{name:?} is no model name: give --name up to 63 letters, digits, `-`, `_` and `.`, with a letter or digit first and last"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The server's path is not one.
    #[error("--server-path {path:?} is no absolute path without quotes; expected one as in /mnt/models")]
    ServerPath {
        /// The path.
        path: String,
    },
    /// Text for a manifest that cannot stand in it.
    #[error(
        "{option} {text:?} cannot stand in a manifest: expected text without spaces, quotes and control characters"
    )]
    ManifestText {
        /// The option.
        option: &'static str,
        /// Its value.
        text: String,
    },
    /// A package with losses, whose outputs have no batch dimension.
    #[error(
        "{} has training losses, which are scalars and cannot be batched: export it again without --with-loss",
        package.display()
    )]
    WithLoss {
        /// The package.
        package: PathBuf,
    },
    /// An input or output without a leading batch dimension, or of a type that Triton has not.
    #[error("{}: {port} is {found}, expected a tensor [batch, …] of a type that Triton has; export the package again", graph.display())]
    Port {
        /// The graph.
        graph: PathBuf,
        /// The input or output.
        port: String,
        /// What it is.
        found: String,
    },
    /// A graph that cannot be read.
    #[error("{}: {source}; export the package again", path.display())]
    Graph {
        /// The graph.
        path: PathBuf,
        /// Why.
        source: ModelError,
    },
    /// A self-test that lacks an input of the graph.
    #[error("{} cannot warm the model up: {reason}; export the package again", path.display())]
    SelfTest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The graph `plugin` without its operators.
    #[error(
        "the graph plugin needs the operators' library: pass --operators target/release/libtmoe_ops.so, which \
         `cargo build --release -p tmoe-ops` makes (with --features cuda for --device gpu)"
    )]
    OperatorsNeeded,
    /// A library that nothing needs.
    #[error("--operators is for --graph plugin and for engines of that graph; {what} needs none")]
    OperatorsUnused {
        /// What was asked for.
        what: String,
    },
    /// A library of something else.
    #[error(
        "{} does not export RegisterCustomOps, expected the operators' library libtmoe_ops.so, which \
         `cargo build --release -p tmoe-ops` makes",
        path.display()
    )]
    NotOperators {
        /// The file.
        path: PathBuf,
    },
    /// Engines that need plugins, without them.
    #[error("the engines need the plugins of {file}, which they were built with: pass --operators {file}")]
    PluginsNeeded {
        /// The library's file name.
        file: String,
    },
    /// Plugins other than those that the engines were built with.
    #[error(
        "{} has the sha256 {found}, but the engines were built with plugins of {expected}: pass that library, or build the \
         engines again with this one",
        path.display()
    )]
    OtherPlugins {
        /// The file.
        path: PathBuf,
        /// As the engines say.
        expected: String,
        /// As on disk.
        found: String,
    },
    /// A package without TensorRT engines.
    #[error(
        "{} has no TensorRT engine: build one on a GPU like the server's with `tmoe-export engine {} --flavour tensorrt`",
        package.display(), package.display()
    )]
    NoEngine {
        /// The package.
        package: PathBuf,
    },
    /// A package whose engines are all those of TensorRT-RTX.
    #[error(
        "{} has engines of TensorRT-RTX only, which Triton cannot load: its backend is linked to TensorRT, and an engine of \
         one is none of the other; build one on a GPU like the server's with `tmoe-export engine {} --flavour tensorrt`",
        package.display(), package.display()
    )]
    RtxOnly {
        /// The package.
        package: PathBuf,
    },
    /// Engines of several TensorRT versions, of which a server has one.
    #[error(
        "{} has TensorRT engines of the versions {}, but a server has one: choose with --tensorrt-version",
        package.display(), versions.join(", ")
    )]
    SeveralVersions {
        /// The package.
        package: PathBuf,
        /// The versions.
        versions: Vec<String>,
    },
    /// No engine of the version asked for.
    #[error("{} has no engine of TensorRT {asked}; it has those of {}", package.display(), versions.join(", "))]
    NoSuchVersion {
        /// The package.
        package: PathBuf,
        /// The version asked for.
        asked: String,
        /// The versions that it has.
        versions: Vec<String>,
    },
    /// Engines that do not take the same inputs.
    #[error(
        "{} and {} differ in {what}, but the engines of one model take the same inputs: build both with the same options",
        first.display(), second.display()
    )]
    EnginesDiffer {
        /// One engine's folder.
        first: PathBuf,
        /// Another's.
        second: PathBuf,
        /// In what.
        what: &'static str,
    },
    /// More series than the engines take.
    #[error(
        "--max-batch-size {asked} is more than the {most} series that the engines take: lower it, or build them with --batch"
    )]
    BatchBeyondProfile {
        /// As asked.
        asked: u32,
        /// What the engines take.
        most: u32,
    },
    /// No series at a time.
    #[error("--max-batch-size is at least 1: the graphs have a batch dimension")]
    NoBatch,
    /// A preferred batch that can never be.
    #[error("--preferred-batch-size {size} is not between 1 and --max-batch-size {max}")]
    PreferredBatch {
        /// The size.
        size: u32,
        /// The largest batch.
        max: u32,
    },
    /// TensorRT on the processor.
    #[error("TensorRT runs on GPUs only: leave out --device cpu")]
    TensorRtOnCpu,
    /// The file system refused.
    #[error("cannot {action} {}: {source}; the repository was not written", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("cancelled; the repository was not written")]
    Cancelled,
}

impl TritonError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Names files by the folder that they would have come to be in, not by the one where they were staged.
    pub(super) fn moved(self, staged: &Path, target: &Path) -> Self {
        match self {
            Self::Io { action, path, source } => {
                let path = path.strip_prefix(staged).map(|rest| target.join(rest)).unwrap_or(path);
                Self::Io { action, path, source }
            }
            other => other,
        }
    }
}
