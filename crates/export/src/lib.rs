//! Time-MoE checkpoints to ONNX packages, without Python.
//!
//! [`export`] writes a package: graphs that share one weights file, of standard ONNX operators and with those of `tmoe-ops`,
//! and a self-test.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use tmoe_export::{ExportOptions, Silent, export};
//! use tmoe_model::Checkpoint;
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/gelu-one-head");
//! # let place = tempfile::tempdir()?;
//! # let output = place.path().join("package");
//! let checkpoint = Checkpoint::open(folder)?;
//! let exported = export(&checkpoint, &output, &ExportOptions::default(), &Silent, &AtomicBool::new(false))?;
//! assert_eq!(exported.manifest.horizons, [12]);
//! assert!(output.join("model.onnx").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`write_repository`] makes a package a model repository for Triton.
//!
//! Inside, dependencies point one way: [`export`] -> self-test -> lowering -> weights.

#[cfg(feature = "tensorrt")]
mod engine;
mod error;
mod export;
mod lower;
mod progress;
mod selftest;
mod triton;
mod weights;

#[cfg(feature = "tensorrt")]
pub use engine::{
    BuiltEngine, EngineBuildError, EngineOptions, EngineShapes, Products, build_engines, narrow,
};
pub use error::ExportError;
pub use export::{ExportOptions, Exported, export};
pub use progress::{Observer, Silent, Stage};
pub use selftest::{Accuracy, AccuracyRow};
pub use triton::{Device, TritonBackend, TritonError, TritonOptions, TritonRepository, write_repository};
