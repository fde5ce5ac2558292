//! A finished model.

mod stats;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;

use crate::proto::{GraphProto, ModelProto};
pub use stats::ModelStats;

/// The largest protobuf message that other implementations read.
const LARGEST_MESSAGE: usize = i32::MAX as usize;

/// A model that can be written to a file or was read from one. It has a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Everything but the graph, whose field is empty.
    header: ModelProto,
    graph: GraphProto,
}

/// A model that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The bytes are not protobuf, or not of these messages.
    #[error("not an ONNX model: {source}")]
    Decode {
        /// What the decoder ran into.
        #[from]
        source: prost::DecodeError,
    },
    /// A model message without a graph; also what many other file formats look like to a protobuf decoder.
    #[error("not an ONNX model: it has no graph")]
    NoGraph,
    /// The model is larger than a protobuf message may be.
    #[error(
        "the model takes {bytes} bytes, more than a protobuf message may ({limit}): keep weights in an external file"
    )]
    TooLarge {
        /// Size of the model.
        bytes: usize,
        /// Largest size.
        limit: usize,
    },
    /// A tensor says that its data is external, but not where.
    #[error("tensor {tensor:?}: external data has {key} {found:?}, expected {expected}")]
    ExternalData {
        /// Name of the tensor.
        tensor: String,
        /// Key of the entry.
        key: &'static str,
        /// Value of the entry; `None` when absent.
        found: Option<String>,
        /// What it has to be.
        expected: &'static str,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Model {
    pub(crate) fn from_parts(mut header: ModelProto, graph: GraphProto) -> Self {
        header.graph = None;
        Self { header, graph }
    }

    /// Reads a model. External data is not touched.
    ///
    /// # Errors
    /// [`ModelError::Decode`] and [`ModelError::NoGraph`] for bytes that are no model.
    pub fn decode(bytes: &[u8]) -> Result<Self, ModelError> {
        ModelProto::decode(bytes)?.try_into()
    }

    /// The model as bytes of the format.
    pub fn encode(&self) -> Vec<u8> {
        self.proto().encode_to_vec()
    }

    /// Writes the model to a file.
    ///
    /// # Errors
    /// [`ModelError::TooLarge`] when no other implementation could read it, [`ModelError::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        let bytes = self.encode();
        if bytes.len() > LARGEST_MESSAGE {
            return Err(ModelError::TooLarge { bytes: bytes.len(), limit: LARGEST_MESSAGE });
        }
        let path = path.as_ref();
        fs::write(path, bytes).map_err(|source| ModelError::Io { path: path.to_owned(), source })
    }

    /// The model as a message.
    pub fn proto(&self) -> ModelProto {
        ModelProto { graph: Some(self.graph.clone()), ..self.header.clone() }
    }

    /// The model with another graph.
    pub fn with_graph(&self, graph: GraphProto) -> Self {
        Self { graph, header: self.header.clone() }
    }

    /// The graph.
    pub fn graph(&self) -> &GraphProto {
        &self.graph
    }

    /// Version of a domain's operator set (empty for ai.onnx).
    pub fn opset(&self, domain: &str) -> Option<i64> {
        let imports = &self.header.opset_import;
        imports
            .iter()
            .find(|import| import.domain.as_deref().unwrap_or("") == domain)
            .and_then(|import| import.version)
    }
}

impl TryFrom<ModelProto> for Model {
    type Error = ModelError;

    fn try_from(mut proto: ModelProto) -> Result<Self, ModelError> {
        let graph = proto.graph.take().ok_or(ModelError::NoGraph)?;
        Ok(Self::from_parts(proto, graph))
    }
}
