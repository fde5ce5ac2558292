//! Runs the packages that `tmoe-export` writes: package -> session -> forecast.
//!
//! ```no_run
//! use tmoe_runner::{Forecaster, Package, Session, SessionOptions};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let package = Package::open("my-package")?;
//!     let session = Session::open(&package, &SessionOptions::default())?;
//!     let history: Vec<f64> = (0..512).map(|hour| (f64::from(hour) * 0.26).sin()).collect();
//!     let forecast = Forecaster::new(session).forecast([&history], 96)?;
//!     println!("{:?}", forecast[0].values);
//!     Ok(())
//! }
//! ```
//!
//! - [`Session`]: a graph of a package, loaded on a [`Provider`]; runs it on plain tensors, or step by step with a
//!   cache that stays in the provider ([`Decoder`]).
//! - [`Forecaster`]: series of any lengths, with missing points, to forecasts.
//! - [`Stream`]: one series that grows, and is forecast again and again from the points that are new.
//! - [`generate()`]: the model's own multi-horizon generation on normalised input.
//! - [`SelfTest`]: whether a provider computes what the exporter computed.
//! - [`RawModel`]: any ONNX file on a provider.
//!
//! | provider | executes on | found |
//! |---|---|---|
//! | `cuda` | ONNX Runtime, NVIDIA GPU | as `cpu`, in Python's `onnxruntime-gpu`; and NVIDIA's driver |
//! | `cpu` | ONNX Runtime, CPU | at run time: `ORT_DYLIB_PATH`, near the program, Python's `onnxruntime`, the system |
//! | `tract` | tract, CPU, one thread | built in |
//! | `tensorrt` | ONNX Runtime with TensorRT, NVIDIA GPU | as `cuda`; and TensorRT 10 |
//! | `engine` | TensorRT or TensorRT-RTX, NVIDIA GPU | at run time: `TMOE_TENSORRT`, near the program, Python's packages, the system; and NVIDIA's driver |
//!
//! `cuda` runs the graph `plugin` when this crate is built with its feature `cuda`; `engine` is there when it is built with its
//! feature `tensorrt`. See [`provider::engine`] for engines on edge devices.
//!
//! [`Session`] and [`Forecaster`] are `Send` and `Sync`. The only global state is ONNX Runtime's environment, which
//! exists once per process.

pub mod contract;
mod control;
mod decoder;
mod error;
mod forecaster;
mod generate;
mod graph;
mod ports;
pub mod provider;
mod raw;
mod series;
mod session;
mod signature;
mod stream;
mod tensor;
#[cfg(test)]
mod testing;
pub mod verify;

pub use tmoe_package::{OpSet, Package, PackageError, Profile, Span};

pub use self::contract::GraphMismatch;
pub use self::control::{CancelToken, Control, Progress};
pub use self::decoder::{Decoder, Predictions};
pub use self::error::{Action, Error, GraphSource};
pub use self::forecaster::{Forecast, Forecaster};
pub use self::generate::{generate, passes};
pub use self::graph::GraphChoice;
pub use self::provider::cuda::CudaError;
pub use self::provider::engine::EngineError;
pub use self::provider::tensorrt::TensorRtError;
pub use self::provider::{
    Availability, LibraryError, Provider, ProviderChoice, ProviderOptions, Reduced, Selection,
    TensorRtOptions,
};
pub use self::raw::RawModel;
pub use self::series::batch::{Limits, Window, check_horizon};
pub use self::series::normalize::{Normalization, Scale, UnknownNormalization};
pub use self::series::{Series, SeriesError, SeriesLabel};
pub use self::session::{PassCount, Session, SessionOptions};
pub use self::signature::{Dim, InputError, Port, Signature, Sizes};
pub use self::stream::Stream;
pub use self::tensor::{ElementType, NamedTensors, Tensor, TensorFileError};
pub use self::verify::SelfTest;
