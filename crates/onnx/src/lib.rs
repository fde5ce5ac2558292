//! ONNX models written from Rust: the protobuf messages, a typed graph builder and external data written as a stream.
//!
//! - [`proto`]: the messages of the format, for reading any model and for looking at one's own.
//! - [`GraphBuilder`]: builds a graph whose values have an element type known to the compiler ([`Value`]) and a declared
//!   [`Shape`] of fixed and symbolic dimensions ([`Dim`]). Operators are methods; each checks the shapes it is given and
//!   infers the shape it returns. The methods return handles, not results, so that a lowering reads like the formula it
//!   lowers; the first mistake is kept with its place and returned by [`GraphBuilder::finish`].
//! - [`Model`]: a finished model, encoded, decoded, counted.
//! - [`ExternalLayout`] and [`ExternalWriter`]: weights in a file beside the model, so that the model file stays far below
//!   protobuf's limit of 2 GiB however large the weights are.
//!
//! ```
//! use tmoe_onnx::{ExternalLayout, F32, GraphBuilder, Model, ModelMetadata, shape};
//!
//! // Plan where the weights will lie, before any of them is read.
//! let mut layout = ExternalLayout::new("weights.bin");
//! let up = layout.reserve("up_proj", 8 * 32 * 4)?;
//!
//! let mut g = GraphBuilder::new("example", 23);
//! let x = g.input::<F32>("x", shape!["batch", 8]);
//! let y = g.scoped("mlp", |g| {
//!     let weight = g.external::<F32>("up_proj.weight", &[8, 32], up);
//!     let h = g.matmul(x, weight);
//!     let gate = g.sigmoid(h);
//!     g.mul(h, gate)
//! });
//! assert_eq!(g.shape(y).to_string(), "[batch, 32]");
//! g.output("y", y);
//!
//! let model = g.finish(ModelMetadata { producer_name: "example".into(), ..ModelMetadata::default() })?;
//! let nodes: Vec<_> = model.graph().node.iter().filter_map(|node| node.name.as_deref()).collect();
//! assert_eq!(nodes, ["/mlp/MatMul", "/mlp/Sigmoid", "/mlp/Mul"]);
//! assert_eq!(Model::decode(&model.encode())?, model);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attribute;
mod builder;
mod dim;
mod element;
mod error;
mod external;
mod metadata;
mod model;
mod ops;
mod opset;
pub mod proto;
mod shape;
mod value;

pub use attribute::Attribute;
pub use builder::GraphBuilder;
pub use dim::Dim;
pub use element::{BF16, Bool, DataType, Element, F16, F32, Float, I8, I32, I64, Index, Numeric, U8, Wide};
pub use error::{GraphError, InputDescription, OpProblem};
pub use external::{BlobWriter, ExternalError, ExternalLayout, ExternalRef, ExternalWriter, LARGE_BLOB};
pub use metadata::ModelMetadata;
pub use model::{Model, ModelError, ModelStats};
pub use ops::attention::{AttentionMask, AttentionOptions, AttentionOutputs, KvCache, RotaryOptions};
pub use ops::index::Reduction;
pub use ops::nn::GeluApproximation;
pub use opset::{OPSETS, ir_version_of_opset};
pub use shape::Shape;
pub use value::{AnyValue, Value};
