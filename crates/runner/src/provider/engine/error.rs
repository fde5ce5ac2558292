//! Why the provider `engine` cannot be used.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;
use tmoe_driver::DriverError;
use tmoe_package::{Flavour, OpSet, Sha256Hex};

/// Why the provider `engine` cannot be used. Each says what to do about it, mostly with the command that builds an engine.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The program has no bindings to TensorRT.
    #[error(
        "tmoe was built without TensorRT; build it with the feature `tensorrt`: cargo install --path crates/cli --features \
         tensorrt"
    )]
    NotBuiltIn,
    /// There is no driver, or no device.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// There is no TensorRT of either flavour.
    #[error("{}", .reasons.join("; "))]
    NoLibrary {
        /// What is missing, for each flavour.
        reasons: Vec<String>,
    },
    /// It runs engines of packages.
    #[error(
        "it runs engines that `tmoe-export engine` built into a package, and not ONNX files; choose another --provider"
    )]
    NoPackage,
    /// The folder of a package's engines cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A package without engines.
    #[error("{} has no TensorRT engine; build one: {build}", package.display())]
    NoEngine {
        /// The package.
        package: PathBuf,
        /// The command.
        build: String,
    },
    /// None of a package's engines runs here.
    #[error("none of the engines of {} runs on {device}: {}; build one that does: {build}", package.display(), list(.engines))]
    NoneFits {
        /// The package.
        package: PathBuf,
        /// The device, by name and architecture.
        device: String,
        /// The engines' folders, and why each does not.
        engines: Vec<(String, Unfit)>,
        /// The command.
        build: String,
    },
    /// The chosen engine's file was cut short or changed, or is of another package.
    #[error(transparent)]
    Package(#[from] tmoe_package::EngineError),
    /// The engine's plugins are not there.
    #[error(
        "{} needs the plugin library {file}, which is not beside the program; put it there, or name it with --plugins",
        engine.display()
    )]
    NoPlugins {
        /// The engine's folder.
        engine: PathBuf,
        /// The library's file name.
        file: String,
    },
    /// The plugin library is another one than the engine was built with.
    #[error(
        "{} is another plugin library than {} was built with: its sha256 is {found}, the engine's manifest says {expected}; name \
         the right one with --plugins, or build the engine again: {rebuild}",
        path.display(), engine.display()
    )]
    OtherPlugins {
        /// The library.
        path: PathBuf,
        /// The engine's folder.
        engine: PathBuf,
        /// As in the engine's manifest.
        expected: Sha256Hex,
        /// As on disk.
        found: Sha256Hex,
        /// The command.
        rebuild: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// TensorRT refuses the engine.
    #[error("{}: {message}; build the engine again: {rebuild}", engine.display())]
    Refused {
        /// The engine's file.
        engine: PathBuf,
        /// What it said.
        message: String,
        /// The command.
        rebuild: String,
    },
    /// The engine has other inputs, outputs or profiles than its package's graphs.
    #[error("{}: {found}; build the engine again with this version: {rebuild}", engine.display())]
    OtherInterface {
        /// The engine's file.
        engine: PathBuf,
        /// What it has, and what was expected.
        found: String,
        /// The command.
        rebuild: String,
    },
}

/// Why an engine is not the one to run.
#[derive(Debug, Error)]
pub enum Unfit {
    /// It is for another GPU.
    #[error("it is for GPUs of sm{0}")]
    OtherGpu(u32),
    /// Another version of TensorRT built it.
    #[error("{flavour} {found} built it, and here is {library}")]
    OtherVersion {
        /// The flavour.
        flavour: Flavour,
        /// The engine's version.
        found: String,
        /// The library's version.
        library: String,
    },
    /// Its flavour's library is missing.
    #[error("it needs {flavour}: {reason}")]
    NoLibrary {
        /// The flavour.
        flavour: Flavour,
        /// What is missing.
        reason: String,
    },
    /// It is of another graph than the one that is asked for.
    #[error("it is of the graph `{0}`")]
    OtherGraph(OpSet),
    /// It is not one of this package, not whole, or not readable.
    #[error(transparent)]
    Refused(#[from] tmoe_package::EngineError),
}

fn list(engines: &[(String, Unfit)]) -> impl fmt::Display {
    let texts: Vec<String> = engines.iter().map(|(name, unfit)| format!("{name}: {unfit}")).collect();
    texts.join("; ")
}
