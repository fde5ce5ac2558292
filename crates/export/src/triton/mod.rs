//! A package to a model repository of NVIDIA's Triton Inference Server, with manifests for KServe and Kubernetes.
//!
//! ```text
//! <repository>/
//!   <name>/config.pbtxt             inputs, outputs, batching, instances, warm-up
//!   <name>/1/model.onnx             the graph, beside the weights that it refers to
//!   <name>/1/weights.bin
//!   <name>/1/libtmoe_ops.so         the operators of the graph `plugin`
//!   <name>/1/model.sm86.plan        or TensorRT engines, one per compute capability
//!   <name>/warmup/<case>.<input>    one row of the self-test's inputs, little-endian
//!   README.md  client.py            how to serve and call it
//!   kserve.yaml  kubernetes.yaml    how to deploy it
//!   repository.json                 what it was made from
//! ```
//!
//! Triton takes every folder of a repository for a model, so what else there is are files.

mod config;
mod engines;
mod error;
mod files;
mod kserve;
mod kubernetes;
mod options;
mod ports;
mod readme;
mod repository;
mod warmup;

pub use self::error::TritonError;
pub use self::options::{Device, TritonBackend, TritonOptions};
pub use self::repository::{TritonRepository, write_repository};
