//! A package whose graph has the inputs and outputs of a Time-MoE and is simple enough to compute by hand: point j
//! of every head is 4 times the sum of all real points so far, plus j. The sum is taken over the cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost::Message;
use serde_json::json;
use tmoe_runner::{NamedTensors, Package, Tensor};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};

pub(crate) const HORIZONS: [usize; 4] = [1, 8, 32, 64];
const CACHE: [&str; 4] = ["0.key", "0.value", "1.key", "1.value"];

/// What the heads forecast after points whose real ones have that sum.
pub(crate) fn forecast_after(sum: f32, points: usize) -> Vec<f32> {
    (1..=points).map(|step| 4.0 * sum + step as f32).collect()
}

/// Writes the package, with a self-test.
pub(crate) fn package(folder: &Path) -> Package {
    fs::write(folder.join("model.onnx"), model()).unwrap();
    let selftest = NamedTensors::from([
        ("prefill.input.input_ids".to_owned(), ndarray::arr3(&[[[1.0_f32], [2.0]]]).into()),
        ("prefill.expected.predictions.h1".to_owned(), ndarray::arr2(&[[13.0_f32]]).into()),
    ]);
    Tensor::write_all(folder.join("selftest.safetensors"), &selftest).unwrap();
    let files: BTreeMap<&str, serde_json::Value> = ["model.onnx", "selftest.safetensors"]
        .into_iter()
        .map(|name| {
            let (sha256, bytes) = tmoe_package::hash_file(&folder.join(name)).unwrap();
            (name, json!({ "bytes": bytes, "sha256": sha256 }))
        })
        .collect();
    let manifest = json!({
        "schema": 1,
        "tool": { "name": "test", "version": "0" },
        "model": {
            "model_type": "time_moe",
            "hidden_act": "silu",
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "horizon_lengths": HORIZONS,
            "max_position_embeddings": 256,
            "input_size": 1,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
        },
        "horizons": HORIZONS,
        "precision": "fp32",
        "positions": "last",
        "with_loss": false,
        "graphs": [{
            "op_set": "standard",
            "file": "model.onnx",
            "opset_imports": { "": 18 },
            "cache": "float32",
            "nodes": 14,
        }],
        "files": files,
        "source": { "sha256": "0".repeat(64), "files": {} },
    });
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    Package::open(folder).unwrap()
}

/// The graph as an ONNX file.
pub(crate) fn model() -> Vec<u8> {
    let mut nodes = vec![
        node("Concat", &["input_ids"; 4], "wide", vec![int("axis", 2)]),
        node("Unsqueeze", &["wide", "axis_1"], "entry", vec![]),
        node("Cast", &["attention_mask"], "weights", vec![int("to", DataType::Float as i64)]),
    ];
    for part in CACHE {
        let (past, present) = (format!("past_key_values.{part}"), format!("present.{part}"));
        nodes.push(node("Concat", &[&past, "entry"], &present, vec![int("axis", 2)]));
    }
    nodes.extend([
        node("ReduceSum", &["present.0.key", "axes_1_3"], "points", vec![int("keepdims", 0)]),
        node("Mul", &["points", "weights"], "real_points", vec![]),
        node("ReduceSum", &["real_points", "axis_1"], "sum", vec![int("keepdims", 1)]),
    ]);
    let mut initializer = vec![ints("axis_1", &[1]), ints("axes_1_3", &[1, 3])];
    for length in HORIZONS {
        let steps = format!("steps.{length}");
        nodes.push(node("Add", &["sum", &steps], &format!("predictions.h{length}"), vec![]));
        initializer.push(floats(&steps, &forecast_after(0.0, length)));
    }
    let cached = |name: String, points: &str| value(&name, DataType::Float, &["batch", "1", points, "4"]);
    let mut input = vec![
        value("input_ids", DataType::Float, &["batch", "sequence", "1"]),
        value("attention_mask", DataType::Int64, &["batch", "past + sequence"]),
    ];
    input.extend(CACHE.map(|part| cached(format!("past_key_values.{part}"), "past")));
    let mut output: Vec<ValueInfoProto> = HORIZONS
        .iter()
        .map(|length| {
            value(&format!("predictions.h{length}"), DataType::Float, &["batch", &length.to_string()])
        })
        .collect();
    output.extend(CACHE.map(|part| cached(format!("present.{part}"), "past + sequence")));
    file(GraphProto {
        name: "summing".to_owned(),
        node: nodes,
        initializer,
        input,
        output,
        ..Default::default()
    })
}

/// A graph of one operator, `y = op_type(x)`, as an ONNX file.
pub(crate) fn one_operator(op_type: &str) -> Vec<u8> {
    file(GraphProto {
        name: "one".to_owned(),
        node: vec![node(op_type, &["x"], "y", vec![])],
        input: vec![value("x", DataType::Float, &["n"])],
        output: vec![value("y", DataType::Float, &["n"])],
        ..Default::default()
    })
}

fn file(graph: GraphProto) -> Vec<u8> {
    let model = ModelProto {
        ir_version: 9,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 18 }],
        graph: Some(graph),
        ..Default::default()
    };
    model.encode_to_vec()
}

fn node(op_type: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: format!("/{output}"),
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..Default::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

fn ints(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    }
}

fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: vec![values.len() as i64],
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    }
}

fn value(name: &str, element_type: DataType, dims: &[&str]) -> ValueInfoProto {
    let dim = |text: &&str| Dimension {
        value: Some(match text.parse() {
            Ok(size) => dimension::Value::DimValue(size),
            Err(_) => dimension::Value::DimParam((*text).to_owned()),
        }),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: element_type as i32,
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}
