//! A dense graph whose products are computed in 16 bits.
//!
//! ```text
//! x ─ Cast ─┐
//!           ├─ MatMul ─ Cast ─ y        sums of products, norms, softmax and the cache stay float32
//! w ─ Cast ─┘
//! ```
//!
//! TensorRT builds strongly typed networks in exactly these types. A weight that is stored in 16 bits and widened by the graph is
//! narrowed to what it was, which the builder folds, so that the engine holds it in 16 bits.

use tmoe_onnx::proto::{AttributeProto, AttributeType, GraphProto, NodeProto};
use tmoe_onnx::{DataType, Model};
use tmoe_package::Precision;

/// The part of a node's name that says it is the router's.
const ROUTER: &str = "router";

/// Which products are narrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// All but the router's, which decides discretely: as packages of 16 bits store their weights.
    AllButRouter,
    /// All, for devices that multiply no float32.
    All,
}

/// The model with its products computed in a precision's type; as it was for float32.
pub fn narrow(model: &Model, precision: Precision, products: Products) -> Model {
    let to = match precision {
        Precision::Fp16 => DataType::Float16,
        Precision::Bf16 => DataType::Bfloat16,
        Precision::Fp32 | Precision::Int8 => return model.clone(),
    };
    let graph = model.graph();
    let mut node = Vec::with_capacity(graph.node.len());
    for product in &graph.node {
        let is_product = matches!(product.op_type(), "MatMul" | "Gemm");
        let stays = !is_product || products == Products::AllButRouter && is_router(product);
        let (false, [output]) = (stays, &product.output[..]) else {
            node.push(product.clone());
            continue;
        };
        let mut narrowed = product.clone();
        for (index, input) in narrowed.input.iter_mut().enumerate().filter(|(_, input)| !input.is_empty()) {
            let name = format!("{}/narrow_{index}", product.name());
            node.push(cast(&name, input, &name, to));
            *input = name;
        }
        let name = format!("{}/widen", product.name());
        let widen = cast(&name, &name, output, DataType::Float32);
        narrowed.output = vec![name];
        node.extend([narrowed, widen]);
    }
    // What was declared of values in between would be of other types.
    model.with_graph(GraphProto { node, value_info: Vec::new(), ..graph.clone() })
}

fn is_router(node: &NodeProto) -> bool {
    node.name().split('/').any(|part| part == ROUTER)
}

fn cast(name: &str, from: &str, to: &str, data_type: DataType) -> NodeProto {
    let mut attribute = AttributeProto { name: Some("to".to_owned()), ..AttributeProto::default() };
    attribute.set_type(AttributeType::Int);
    attribute.i = Some(i64::from(data_type.code()));
    NodeProto {
        name: Some(name.to_owned()),
        op_type: Some("Cast".to_owned()),
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        attribute: vec![attribute],
        ..NodeProto::default()
    }
}
