//! Safe bindings to NVIDIA TensorRT, in two flavours: TensorRT 10 and TensorRT-RTX.
//!
//! Nothing of TensorRT is linked. A [`Library`] is opened at run time and its version is checked; a program that has these
//! bindings starts, and says clearly what is missing, on machines without TensorRT, driver or GPU.
//!
//! ```no_run
//! use tmoe_tensorrt::{Builder, Flavour, Library, OnnxParser, OptimizationProfile, Runtime};
//!
//! let library = Library::find(Flavour::TensorRtRtx)?;
//! let builder = Builder::new(library)?;
//! let mut network = builder.network(true)?;
//! OnnxParser::new(&mut network)?.parse_file("model.dense.onnx")?;
//! let mut config = builder.config()?;
//! config.add_profile(&OptimizationProfile::new().shapes("x", &[1, 8], &[4, 8], &[64, 8]))?;
//! config.set_compute_capabilities(&[(8, 9)])?;
//! let plan = builder.build(&mut network, &mut config)?;
//!
//! let engine = Runtime::new(library)?.deserialize(&plan.memory)?; // needs a GPU
//! println!("{}", engine.information(true)?);
//! # Ok::<(), tmoe_tensorrt::Error>(())
//! ```
//!
//! # Types
//!
//! | type | is for |
//! |---|---|
//! | [`Library`] | finding TensorRT; loading plugins |
//! | [`Builder`], [`BuilderConfig`], [`OptimizationProfile`], [`ProgressMonitor`] | building engines |
//! | [`NetworkDefinition`], [`OnnxParser`] | what they are built of |
//! | [`Plan`], [`HostMemory`], [`PlanHeader`], [`EngineDescription`] | what was built, and looking at it without a GPU |
//! | [`Runtime`], [`Engine`], [`ExecutionContext`], [`Refitter`] | running engines |
//! | [`Error`], [`LibraryError`], [`ParserError`], [`PlanError`] | what goes wrong, with TensorRT's own messages |
//!
//! # Ownership
//!
//! What is made keeps alive what made it: a context its engine, an engine its runtime, a network or configuration its builder,
//! a network its parsers (which own its weights). Libraries, and the one logger of each, are never dropped. Handles can be sent
//! to other threads; [`Builder`], [`Runtime`] and [`Engine`] are shared behind a lock, the others are changed through `&mut`.
//! While an engine is refitted, nothing else can use it. Unsafe is only what takes an address on the device or a CUDA stream.
//!
//! Exceptions of C++ become [`Error`]s, null pointers too, and panics of a [`ProgressMonitor`] do not unwind through C++.
//! What TensorRT logs goes to [`tracing`], with the target [`LOG_TARGET`].
//!
//! # What to install
//!
//! | | TensorRT | TensorRT-RTX |
//! |---|---|---|
//! | [`Flavour`] | [`Flavour::TensorRt`] | [`Flavour::TensorRtRtx`] |
//! | libraries | `libnvinfer.so.10`, `libnvonnxparser.so.10` | `libtensorrt_rtx.so.1`, `libtensorrt_onnxparser_rtx.so.1` |
//! | `pip install` | `tensorrt-cu13` | `tensorrt-rtx-cu13` |
//! | or a file or folder | `TMOE_TENSORRT` | `TMOE_TENSORRT_RTX` |
//! | version | that of the headers or a newer 10 | the minor version of the headers |
//! | headers of the build | 10.16, or `TMOE_TENSORRT_INCLUDE` | 1.7, or `TMOE_TENSORRT_RTX_INCLUDE` |
//!
//! A library is looked for beside the program, in the packages of the active Python, and where the system's loader looks; the
//! variable overrides all of these. Compiling needs a C++ compiler; Cargo fetches the headers. Building engines needs a GPU with
//! TensorRT, and none with TensorRT-RTX, which builds for every RTX GPU from Turing on. Running engines needs a GPU and its driver.

mod bridge;
mod builder;
mod config;
mod context;
mod description;
mod driver;
mod engine;
mod error;
mod flavour;
mod library;
mod logger;
mod memory;
mod network;
mod parser;
mod places;
mod plan;
mod profile;
mod progress;
mod refitter;
mod runtime;
mod types;

pub use builder::{Builder, Plan, PluginCreator};
pub use config::BuilderConfig;
pub use context::ExecutionContext;
pub use description::{DescribedLayer, DescribedTensor, EngineDescription, ProfileShapes};
pub use engine::{Engine, EngineTensor};
pub use error::Error;
pub use flavour::{Flavour, Version};
pub use library::{Library, LibraryError};
pub use logger::LOG_TARGET;
pub use memory::HostMemory;
pub use network::{NetworkDefinition, NetworkLayer, NetworkTensor};
pub use parser::{OnnxParser, ParserError, ParserErrorCode, ParserErrors};
pub use plan::{PlanError, PlanHeader};
pub use profile::OptimizationProfile;
pub use progress::ProgressMonitor;
pub use refitter::Refitter;
pub use runtime::Runtime;
pub use types::{
    Allocation, BuilderFlag, DataType, HardwareCompatibility, LayerKind, MemoryPool, PreviewFeature,
    Verbosity,
};

/// The compute capability of the first GPU, major and minor: what TensorRT builds for.
///
/// # Errors
/// There is no driver or no GPU.
pub fn compute_capability() -> Result<(u32, u32), Error> {
    Ok(driver::compute_capability()?)
}
