//! Exported graphs, read back and indexed.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::Arc;

use tmoe_model::Config;
use tmoe_onnx::Model;
use tmoe_onnx::proto::tensor_shape_proto::DimensionValue;
use tmoe_onnx::proto::{DataLocation, NodeProto, TensorProto, ValueInfoProto, type_proto};
use tmoe_package::{OpSet, Package};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};

/// A package with its graphs.
pub(crate) struct Exported {
    pub(crate) golden: Arc<Golden>,
    pub(crate) variant: Variant,
    pub(crate) package: Package,
    pub(crate) graphs: Vec<Graph>,
}

impl Exported {
    pub(crate) fn read(packages: &Packages, golden: &Arc<Golden>, variant: Variant) -> Result<Self, String> {
        let package = packages.package(golden, variant)?;
        let graphs = OpSet::ALL.into_iter().map(|op_set| Graph::read(&package, op_set));
        let graphs = graphs.collect::<Result<_, _>>()?;
        Ok(Self { golden: Arc::clone(golden), variant, package, graphs })
    }

    pub(crate) fn config(&self) -> &Config {
        self.golden.config()
    }

    pub(crate) fn graph(&self, op_set: OpSet) -> &Graph {
        self.graphs.iter().find(|graph| graph.op_set == op_set).expect("a package has every op set")
    }
}

/// A graph.
pub(crate) struct Graph {
    pub(crate) op_set: OpSet,
    pub(crate) model: Model,
    declared: HashMap<String, String>,
}

/// Where an initializer lies in `weights.bin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Graph {
    fn read(package: &Package, op_set: OpSet) -> Result<Self, String> {
        let path = package.graph_path(op_set).map_err(|error| error.to_string())?;
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let model = Model::decode(&bytes).map_err(|error| error.to_string())?;
        let graph = model.graph();
        let declared = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        let declared = declared.filter_map(|info| Some((info.name.clone()?, type_text(info)?))).collect();
        Ok(Self { op_set, model, declared })
    }

    pub(crate) fn nodes(&self) -> &[NodeProto] {
        &self.model.graph().node
    }

    /// Type and shape of a value as people write them, `float [batch, 1]`, if it is declared with both.
    pub(crate) fn declared(&self, value: &str) -> Option<&str> {
        self.declared.get(value).map(String::as_str)
    }

    /// The node of a name.
    pub(crate) fn node(&self, name: &str) -> &NodeProto {
        let found = self.nodes().iter().find(|node| node.name() == name);
        found.unwrap_or_else(|| panic!("{}: there is no node {name}", self.op_set))
    }

    /// The declared types and shapes of a node's outputs.
    pub(crate) fn outputs_of(&self, node: &str) -> Vec<&str> {
        self.node(node).output.iter().map(|value| self.declared(value).unwrap_or("not declared")).collect()
    }

    pub(crate) fn initializer(&self, name: &str) -> &TensorProto {
        let found = self.model.graph().initializer.iter().find(|tensor| tensor.name() == name);
        found.unwrap_or_else(|| panic!("{}: there is no initializer {name}", self.op_set))
    }

    /// Initializers in `weights.bin` by name.
    pub(crate) fn external(&self) -> BTreeMap<&str, Place> {
        let tensors = self.model.graph().initializer.iter();
        let external = tensors.filter(|tensor| tensor.data_location() == DataLocation::External);
        external.map(|tensor| (tensor.name(), place(tensor))).collect()
    }

    /// The matrix products that read a value, through a cast or not.
    pub(crate) fn products_of(&self, value: &str) -> Vec<&str> {
        let readers = self.nodes().iter().filter(|node| node.input.iter().any(|input| input == value));
        readers
            .flat_map(|node| match node.op_type() {
                "MatMul" => vec![node.name()],
                "Cast" | "Mul" => node.output.iter().flat_map(|output| self.products_of(output)).collect(),
                _ => Vec::new(),
            })
            .collect()
    }
}

fn place(tensor: &TensorProto) -> Place {
    let entry = |key: &str| {
        let found = tensor.external_data.iter().find(|entry| entry.key() == key);
        found.unwrap_or_else(|| panic!("{} does not say its {key}", tensor.name())).value()
    };
    assert_eq!(entry("location"), tmoe_package::files::WEIGHTS, "{}", tensor.name());
    let number = |key| entry(key).parse().unwrap_or_else(|error| panic!("{} {key}: {error}", tensor.name()));
    Place { offset: number("offset"), length: number("length") }
}

/// `float [batch, 1]`; `None` where the type, the shape or a dimension is not given.
pub(crate) fn type_text(info: &ValueInfoProto) -> Option<String> {
    let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref()?.value.as_ref() else {
        return None;
    };
    // TensorProto.DataType of the ONNX specification.
    let element = match tensor.elem_type? {
        1 => "float",
        7 => "int64",
        9 => "bool",
        3 => "int8",
        10 => "float16",
        16 => "bfloat16",
        _ => return None,
    };
    let dims = tensor.shape.as_ref()?.dim.iter().map(|dim| match dim.value.as_ref()? {
        DimensionValue::DimValue(size) => Some(size.to_string()),
        DimensionValue::DimParam(name) => (!name.is_empty()).then(|| name.clone()),
    });
    Some(format!("{element} [{}]", dims.collect::<Option<Vec<_>>>()?.join(", ")))
}
