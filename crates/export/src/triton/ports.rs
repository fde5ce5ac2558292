//! A graph's inputs and outputs in Triton's words.

use std::fs;
use std::path::Path;

use tmoe_onnx::proto::tensor_shape_proto::DimensionValue;
use tmoe_onnx::proto::{ValueInfoProto, type_proto};
use tmoe_onnx::{DataType, Model};

use super::error::TritonError;

/// An input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) data_type: DataType,
    /// Its dimensions without the batch's, which Triton adds; -1 for any size.
    pub(super) dims: Vec<i64>,
}

/// All of a graph.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// The files with initializers, relative to the graph's folder.
    pub(super) weights: Vec<String>,
}

impl Port {
    /// Triton's name of the type: `TYPE_FP32`.
    pub(super) fn type_name(&self) -> &'static str {
        // Others are refused when a graph is read.
        triton_type(self.data_type).unwrap_or("TYPE_INVALID")
    }
}

fn triton_type(data_type: DataType) -> Option<&'static str> {
    match data_type {
        DataType::Float32 => Some("TYPE_FP32"),
        DataType::Float16 => Some("TYPE_FP16"),
        DataType::Bfloat16 => Some("TYPE_BF16"),
        DataType::Int64 => Some("TYPE_INT64"),
        DataType::Int32 => Some("TYPE_INT32"),
        DataType::Uint8 | DataType::Int8 | DataType::Bool => None,
    }
}

/// Reads a graph's inputs and outputs.
pub(super) fn read(path: &Path) -> Result<Ports, TritonError> {
    let bytes = fs::read(path).map_err(|source| TritonError::io("read", path, source))?;
    let invalid = |source| TritonError::Graph { path: path.to_owned(), source };
    let model = Model::decode(&bytes).map_err(invalid)?;
    let places = model.external_tensors().map_err(invalid)?;
    let mut weights: Vec<String> = places.into_iter().map(|(_, place)| place.location).collect();
    weights.sort_unstable();
    weights.dedup();
    let ports =
        |infos: &[ValueInfoProto]| infos.iter().map(|info| port(path, info)).collect::<Result<_, _>>();
    let graph = model.graph();
    Ok(Ports { inputs: ports(&graph.input)?, outputs: ports(&graph.output)?, weights })
}

fn port(path: &Path, info: &ValueInfoProto) -> Result<Port, TritonError> {
    let refused = |found: &str| TritonError::Port {
        graph: path.to_owned(),
        port: info.name().to_owned(),
        found: found.to_owned(),
    };
    let Some(type_proto::Value::TensorType(tensor)) =
        info.r#type.as_ref().and_then(|value| value.value.as_ref())
    else {
        return Err(refused("no tensor"));
    };
    let data_type = DataType::from_code(tensor.elem_type());
    let Some(data_type) = data_type.filter(|&data_type| triton_type(data_type).is_some()) else {
        return Err(refused("of another type"));
    };
    let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
    let [batch, rest @ ..] = dims else { return Err(refused("a scalar")) };
    if matches!(batch.value, Some(DimensionValue::DimValue(_))) {
        return Err(refused("of a fixed batch"));
    }
    if rest.is_empty() {
        return Err(refused("one number for each series"));
    }
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::DimValue(size)) => *size,
        _ => -1,
    };
    Ok(Port {
        name: info.name().to_owned(),
        data_type,
        dims: rest.iter().map(|dim| size(&dim.value)).collect(),
    })
}
