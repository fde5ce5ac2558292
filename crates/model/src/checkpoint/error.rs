//! What can be wrong with a checkpoint.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::dtype::LengthMismatch;
use crate::header::HeaderError;

/// A checkpoint that cannot be opened, or a tensor that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Nothing is there.
    #[error(
        "checkpoint folder {} does not exist, expected a folder with config.json and model.safetensors",
        path.display()
    )]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// A file where a folder is expected.
    #[error(
        "{} is a file, expected the checkpoint's folder: give the folder that holds config.json",
        path.display()
    )]
    NotAFolder {
        /// The path that was given.
        path: PathBuf,
    },
    /// A folder without `config.json`.
    #[error("{} has no config.json, expected a Hugging Face checkpoint folder", directory.display())]
    ConfigMissing {
        /// The checkpoint's folder.
        directory: PathBuf,
    },
    /// `config.json` breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A folder without weights.
    #[error(
        "{} has no weights, expected model.safetensors or model.safetensors.index.json",
        directory.display()
    )]
    WeightsMissing {
        /// The checkpoint's folder.
        directory: PathBuf,
    },
    /// Weights only as pickles, which can run code when they are read.
    #[error(
        "{} is a pickle, which is not read, expected model.safetensors: \
         load it with transformers and save it with save_pretrained(..., safe_serialization=True)",
        file.display()
    )]
    PickledWeights {
        /// The pickle.
        file: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// `model.safetensors.index.json` is not of its format.
    #[error("{} is not a valid index of shards: {source}", file.display())]
    Index {
        /// The index.
        file: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// `model.safetensors.index.json` is far larger than any index.
    #[error("{} has {found} bytes, an index of shards has at most {limit}", file.display())]
    IndexTooLong {
        /// The index.
        file: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The longest accepted, in bytes.
        limit: u64,
    },
    /// A shard name that could lead out of the folder.
    #[error(
        "{} places tensor {tensor} in {shard:?}, expected the plain name of a file in the same folder",
        index.display()
    )]
    ShardName {
        /// The index.
        index: PathBuf,
        /// The tensor.
        tensor: String,
        /// The name in the index.
        shard: String,
    },
    /// The index names a file that is not there.
    #[error(
        "{} places tensor {tensor} in {}, which does not exist: fetch the missing shard",
        index.display(), shard.display()
    )]
    ShardMissing {
        /// The index.
        index: PathBuf,
        /// A tensor that the shard should hold.
        tensor: String,
        /// The missing file.
        shard: PathBuf,
    },
    /// The index names a tensor that its file does not hold.
    #[error(
        "{} places tensor {tensor} in {}, which does not hold it: index and shards do not belong together",
        index.display(), shard.display()
    )]
    NotInShard {
        /// The index.
        index: PathBuf,
        /// The tensor.
        tensor: String,
        /// The file that should hold it.
        shard: PathBuf,
    },
    /// A weight file's header cannot be used.
    #[error("{}: {source}", file.display())]
    Header {
        /// The safetensors file.
        file: PathBuf,
        /// What is wrong with it.
        source: HeaderError,
    },
    /// A tensor of the model is in no file.
    #[error(
        "{} has no tensor {tensor}, expected one of shape {expected:?}: \
         the weights are incomplete or do not belong to the config.json beside them",
        file.display()
    )]
    TensorMissing {
        /// The weight file, or the index of shards.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that the configuration gives it.
        expected: Vec<usize>,
    },
    /// A tensor's shape is not what the configuration says.
    #[error(
        "{}: tensor {tensor} has shape {found:?}, expected {expected:?}: \
         the weights do not belong to the config.json beside them",
        file.display()
    )]
    Shape {
        /// The weight file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that the configuration gives it.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor's elements are not floating-point numbers of a supported type.
    #[error(
        "{}: tensor {tensor} has elements of type {found}, expected F32, BF16 or F16: \
         save the checkpoint in one of these",
        file.display()
    )]
    ElementType {
        /// The weight file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type in the file, by its safetensors name.
        found: String,
    },
    /// A weight is NaN or infinite.
    #[error(
        "{}: tensor {tensor} has {value} at element {index}, expected finite weights: \
         the checkpoint is damaged or its training diverged",
        file.display()
    )]
    NonFinite {
        /// The weight file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// Index of the element in row-major order.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// A tensor was asked for that the configuration does not have.
    #[error("the model in {} has no tensor {tensor}", directory.display())]
    NoSuchTensor {
        /// The checkpoint's folder.
        directory: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A destination of the wrong length was given for a tensor.
    #[error("tensor {tensor}: {source}")]
    Length {
        /// The tensor.
        tensor: String,
        /// Both lengths.
        source: LengthMismatch,
    },
}
