//! The package: the folder that `tmoe-export` writes and `tmoe-runner` opens.
//!
//! ```text
//! <package>/
//!   manifest.json          what is inside, for which model, with the sha256 of every file
//!   weights.bin            every initializer, referenced by all graphs as ONNX external data
//!   model.onnx             op set `standard`
//!   model.dense.onnx       op set `dense`
//!   model.plugin.onnx      op set `plugin`
//!   selftest.safetensors   inputs, and the outputs expected of them
//!   engines/               TensorRT engines, one folder each
//! ```
//!
//! This crate holds what writer and reader must agree on, and nothing of ONNX or of a runtime:
//!
//! - [`Manifest`]: the schema of `manifest.json`;
//! - [`Package`]: opening a folder, with every file's length and sha256 checked;
//! - [`Engine`]: a TensorRT engine of a package, and whether it still belongs to it;
//! - [`HashingWriter`] and [`hash_file`]: sha256 as bytes pass by.

mod engine;
mod flavour;
mod hash;
mod manifest;
mod package;
mod profile;

pub use engine::{Engine, EngineError, EngineManifest, PluginLibrary};
pub use flavour::{Flavour, UnknownFlavour};
pub use hash::{HashingWriter, Sha256Hex, hash_bytes, hash_file};
pub use manifest::{
    CacheType, FileEntry, GraphEntry, Manifest, ManifestError, OpSet, Positions, Precision, Source, Tool,
    UnknownOpSet,
};
pub use package::{Integrity, Package, PackageError};
pub use profile::{Profile, Span};

/// File names inside a package, the same in every package.
pub mod files {
    /// The manifest.
    pub const MANIFEST: &str = "manifest.json";
    /// Every initializer of every graph.
    pub const WEIGHTS: &str = "weights.bin";
    /// Inputs and expected outputs.
    pub const SELFTEST: &str = "selftest.safetensors";
    /// The folder of the engines.
    pub const ENGINES: &str = "engines";
    /// In an engine's folder: its manifest.
    pub const ENGINE_MANIFEST: &str = "engine.json";
    /// In an engine's folder: the engine.
    pub const ENGINE: &str = "model.engine";
    /// In an engine's folder: what its build measured.
    pub const TIMING_CACHE: &str = "timing.cache";
}
