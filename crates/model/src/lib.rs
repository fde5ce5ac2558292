//! Time-MoE checkpoints, without any runtime: configuration, weights, horizon schedule.
//!
//! Time-MoE is a decoder-only transformer with sparse experts over the points of a univariate series.
//! This crate knows what its checkpoints hold and nothing of how they are run:
//!
//! - [`Config`]: `config.json`, valid by construction; [`Preset`] names the published sizes.
//! - [`TensorName`]: every weight of a configuration with its name and shape.
//! - [`Checkpoint`]: memory-mapped safetensors, one file or shards, every tensor checked.
//! - [`resolve`]: a local folder, or a Hugging Face hub id that is downloaded into the usual cache
//!   (feature `hub`, on by default).
//! - [`horizon::schedule`]: which output heads make up a forecast.
//! - [`random::write`]: a checkpoint with random weights, for tests and benchmarks.
//!
//! ```
//! use tmoe_model::{Checkpoint, TensorName};
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/demo/checkpoint");
//! let checkpoint = Checkpoint::open(folder)?;
//! let config = checkpoint.config();
//! assert_eq!(config.layers(), 4);
//! assert_eq!(config.horizon_lengths(), [1, 8, 32, 64]);
//!
//! let router = checkpoint.tensor(TensorName::Router(0))?;
//! assert_eq!(router.shape(), [config.experts(), config.hidden_size()]);
//! let mut weights = vec![0.0; router.elements()];
//! router.copy_to_f32(&mut weights)?;
//! # Ok::<(), tmoe_model::CheckpointError>(())
//! ```

mod activation;
mod bounded;
mod checkpoint;
mod config;
mod dtype;
pub mod header;
pub mod horizon;
#[cfg(feature = "hub")]
pub mod hub;
mod presets;
pub mod random;
mod source;
pub mod staging;
mod tensors;
#[cfg(test)]
mod testing;

pub use self::activation::{Activation, UnknownActivation};
pub use self::checkpoint::{Checkpoint, CheckpointError, RowView, TensorView, UnusedTensor, WeightFile};
pub use self::config::{Config, ConfigError, HfConfig, Horizons};
pub use self::dtype::{FloatType, LengthMismatch, UnknownFloatType, first_non_finite};
pub use self::presets::{Preset, UnknownPreset};
pub use self::source::{HubId, Source, SourceError, resolve};
pub use self::tensors::{FfnPart, TensorName};
