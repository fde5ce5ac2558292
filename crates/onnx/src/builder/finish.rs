//! From the finished graph to the messages of the format.

use super::{GraphBuilder, Node, Source, ValueEntry};
use crate::dim::Dim;
use crate::error::GraphError;
use crate::metadata::ModelMetadata;
use crate::model::Model;
use crate::opset::ir_version_of_opset;
use crate::proto::tensor_shape_proto::{Dimension, DimensionValue};
use crate::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use crate::shape::Shape;

impl GraphBuilder {
    /// Checks the graph and turns it into a model.
    ///
    /// Nodes and initializers that no output depends on are left out; inputs stay, they are the graph's interface. Every
    /// value between the nodes is declared with its element type and shape.
    ///
    /// # Errors
    /// The first mistake made while building; [`GraphError::OpenScope`]; [`GraphError::NoOutputs`].
    pub fn finish(self, metadata: ModelMetadata) -> Result<Model, GraphError> {
        let path = self.path();
        if let Some(error) = self.error {
            return Err(error);
        }
        if !self.scopes.is_empty() {
            return Err(GraphError::OpenScope { path });
        }
        if self.outputs.is_empty() {
            return Err(GraphError::NoOutputs);
        }
        let ir_version =
            ir_version_of_opset(self.opset).ok_or(GraphError::UnsupportedOpset { found: self.opset })?;
        let used = self.used_values();
        let is_used = |id: &usize| used.get(*id).copied().unwrap_or(false);
        let info = |id: &usize| self.values.get(*id).map(value_info);

        let nodes: Vec<&Node> = self.nodes.iter().filter(|node| node.outputs.iter().any(is_used)).collect();
        let between = nodes.iter().flat_map(|node| &node.outputs);
        let used_domain = |domain: &str| nodes.iter().any(|node| node.domain == domain);
        let graph = GraphProto {
            name: Some(self.name.clone()),
            node: nodes.iter().map(|node| self.node_proto(node)).collect(),
            initializer: (0..self.values.len())
                .filter(is_used)
                .filter_map(|id| initializer(self.values.get(id)?))
                .collect(),
            input: self.inputs.iter().filter_map(info).collect(),
            output: self.outputs.iter().filter_map(info).collect(),
            value_info: between.filter(|id| !self.outputs.contains(id)).filter_map(info).collect(),
            ..GraphProto::default()
        };
        let imports = self.imports.iter().filter(|(domain, _)| used_domain(domain));
        let mut opset_import = vec![opset_id("", self.opset)];
        opset_import.extend(imports.map(|(domain, &version)| opset_id(domain, version)));
        let text = |text: String| (!text.is_empty()).then_some(text);
        Ok(Model::from_parts(
            ModelProto {
                ir_version: Some(ir_version),
                producer_name: text(metadata.producer_name),
                producer_version: text(metadata.producer_version),
                doc_string: text(metadata.doc),
                opset_import,
                metadata_props: metadata
                    .properties
                    .into_iter()
                    .map(|(key, value)| StringStringEntryProto::new(key, value))
                    .collect(),
                ..ModelProto::default()
            },
            graph,
        ))
    }

    /// Which values an output depends on. Nodes lie in topological order, so one backward pass finds them all.
    fn used_values(&self) -> Vec<bool> {
        let mut used = vec![false; self.values.len()];
        let mark = |used: &mut Vec<bool>, id: usize| {
            if let Some(slot) = used.get_mut(id) {
                *slot = true;
            }
        };
        for &output in &self.outputs {
            mark(&mut used, output);
        }
        for node in self.nodes.iter().rev() {
            if node.outputs.iter().any(|&id| used.get(id) == Some(&true)) {
                for &input in node.inputs.iter().flatten() {
                    mark(&mut used, input);
                }
            }
        }
        used
    }

    fn node_proto(&self, node: &Node) -> NodeProto {
        let name = |id: usize| self.values.get(id).map(|entry| entry.name.clone()).unwrap_or_default();
        NodeProto {
            name: Some(node.name.clone()),
            op_type: Some(node.op.clone()),
            domain: (!node.domain.is_empty()).then(|| node.domain.clone()),
            input: node.inputs.iter().map(|input| input.map(name).unwrap_or_default()).collect(),
            output: node.outputs.iter().map(|&id| name(id)).collect(),
            attribute: node.attributes.iter().map(|(name, value)| value.clone().into_proto(name)).collect(),
            ..NodeProto::default()
        }
    }
}

fn opset_id(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) }
}

fn initializer(value: &ValueEntry) -> Option<TensorProto> {
    let mut tensor = TensorProto {
        name: Some(value.name.clone()),
        data_type: Some(value.data_type.code()),
        dims: value.shape.as_fixed()?,
        ..TensorProto::default()
    };
    match &value.source {
        Source::Constant(bytes) => tensor.raw_data = Some(bytes.clone()),
        Source::External(place) => place.store_in(&mut tensor),
        Source::Input | Source::Node => return None,
    }
    Some(tensor)
}

fn value_info(value: &ValueEntry) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(value.name.clone()),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: Some(value.data_type.code()),
                shape: Some(shape_proto(&value.shape)),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn shape_proto(shape: &Shape) -> TensorShapeProto {
    let dimension = |dim: &Dim| Dimension {
        value: Some(match dim.as_fixed() {
            Some(size) => DimensionValue::DimValue(size),
            None => DimensionValue::DimParam(dim.to_string()),
        }),
        denotation: None,
    };
    TensorShapeProto { dim: shape.iter().map(dimension).collect() }
}
