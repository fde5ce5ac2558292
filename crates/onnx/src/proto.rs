//! The messages of `onnx.proto` (IR version 11), written by hand for [`prost`].
//!
//! Field tags and presence follow the proto2 schema: an optional scalar is an [`Option`], because the ONNX checker looks
//! at which fields of an attribute are *set*, and an integer attribute of 0 must be present. Messages that no exporter of
//! ordinary models writes (training information, multi-device configuration, quantisation annotations) are left out;
//! decoding skips their fields.

mod graph;
mod model;
mod tensor;
mod types;

pub use graph::{AttributeProto, AttributeType, GraphProto, NodeProto};
pub use model::{FunctionProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};
pub use tensor::{DataLocation, SparseTensorProto, TensorProto};
pub use types::{TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto};
