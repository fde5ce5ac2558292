//! Why an export failed.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tmoe_model::CheckpointError;
use tmoe_model::staging::StagingError;
use tmoe_onnx::{ExternalError, GraphError};

/// Why an export failed. Whatever the reason, no package appears.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The checkpoint was refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A weight does not fit the precision asked for.
    #[error(
        "{}: {tensor} has {value} at element {index}, beyond what the precision asked for holds; export with --precision fp32",
        file.display()
    )]
    TooLarge {
        /// The weight file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Which element, row-major.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// The output cannot be written there.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The weights file could not be written.
    #[error("{0}; the package was not written")]
    Weights(#[from] ExternalError),
    /// A graph is wrong, which is a defect of this program.
    #[error(
        "the {graph} graph could not be built: {source}; please report this with the model's config.json"
    )]
    Graph {
        /// Which graph.
        graph: String,
        /// Why.
        source: Box<GraphError>,
    },
    /// The self-test could not be computed.
    #[error(
        "the self-test could not be computed ({step}): {reason}; please report this with the model's config.json"
    )]
    SelfTest {
        /// Which part of it.
        step: String,
        /// What tract said.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}; the package was not written", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("cancelled; the package was not written")]
    Cancelled,
}

impl ExportError {
    /// Names files by the folder that they would have come to be in, not by the one where they were staged.
    pub(crate) fn moved(self, staged: &Path, target: &Path) -> Self {
        match self {
            Self::Io { action, path, source } => {
                let path = path.strip_prefix(staged).map(|rest| target.join(rest)).unwrap_or(path);
                Self::Io { action, path, source }
            }
            other => other,
        }
    }
}
