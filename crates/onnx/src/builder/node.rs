//! Adding a node: what all operators have in common.

use super::{GraphBuilder, Source, is_standard};
use crate::attribute::Attribute;
use crate::element::{DataType, Element};
use crate::error::{GraphError, InputDescription, OpProblem};
use crate::shape::Shape;
use crate::value::{AnyValue, Value};

/// A node of the graph under construction.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) op: String,
    /// Values read; `None` for an omitted optional input.
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<usize>,
    pub(super) attributes: Vec<(String, Attribute)>,
}

/// An operator with its inputs and attributes, before its outputs are known.
#[derive(Debug)]
pub(crate) struct Call {
    domain: String,
    op: String,
    inputs: Vec<Option<AnyValue>>,
    attributes: Vec<(String, Attribute)>,
    since: Option<(i64, String)>,
}

impl Call {
    /// An operator of ai.onnx.
    pub(crate) fn new(op: &str) -> Self {
        Self::of_domain("", op)
    }

    /// An operator of any domain.
    pub(crate) fn of_domain(domain: &str, op: &str) -> Self {
        Self {
            domain: if is_standard(domain) { String::new() } else { domain.to_owned() },
            op: op.to_owned(),
            inputs: Vec::new(),
            attributes: Vec::new(),
            since: None,
        }
    }

    /// Adds an input.
    pub(crate) fn input(self, value: impl Into<AnyValue>) -> Self {
        self.optional(Some(value.into()))
    }

    /// Adds an input that may be omitted.
    pub(crate) fn optional(mut self, value: Option<AnyValue>) -> Self {
        self.inputs.push(value);
        self
    }

    /// Adds an attribute.
    pub(crate) fn attribute(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    /// Adds an attribute unless it is left at its default.
    pub(crate) fn attribute_if(self, given: bool, name: &str, value: impl Into<Attribute>) -> Self {
        if given { self.attribute(name, value) } else { self }
    }

    /// States the first version of ai.onnx that has the operator, or what is used of it.
    pub(crate) fn since(mut self, version: i64, what: &str) -> Self {
        self.since = Some((version, what.to_owned()));
        self
    }
}

impl GraphBuilder {
    /// Adds a node with one output of element type `T`.
    pub(crate) fn apply_one<T: Element>(&mut self, call: Call, shape: Result<Shape, OpProblem>) -> Value<T> {
        let output = self.apply_any(call, T::TYPE, shape);
        Value::from_any_unchecked(output)
    }

    /// Adds a node with one output.
    pub(crate) fn apply_any(
        &mut self,
        call: Call,
        data_type: DataType,
        shape: Result<Shape, OpProblem>,
    ) -> AnyValue {
        let [output] = self.apply(call, [data_type], shape.map(|shape| [shape]));
        output
    }

    /// Adds a node with outputs of the given types.
    pub(crate) fn apply<const N: usize>(
        &mut self,
        call: Call,
        data_types: [DataType; N],
        shapes: Result<[Shape; N], OpProblem>,
    ) -> [AnyValue; N] {
        let fallback = self.fallback_shape(&call);
        let shapes = self.check(&call, shapes).unwrap_or_else(|| std::array::from_fn(|_| fallback.clone()));
        let first = self.values.len();
        self.add_node(call, data_types.into_iter().zip(shapes).collect());
        let mut position = first;
        data_types.map(|data_type| {
            let value = self.handle(position, data_type);
            position += 1;
            value
        })
    }

    /// Adds a node with any number of outputs.
    pub(crate) fn apply_many(
        &mut self,
        call: Call,
        outputs: Result<Vec<(DataType, Shape)>, OpProblem>,
        fallback: impl FnOnce(Shape) -> Vec<(DataType, Shape)>,
    ) -> Vec<AnyValue> {
        let shape = self.fallback_shape(&call);
        let outputs = self.check(&call, outputs).unwrap_or_else(|| fallback(shape));
        self.add_node(call, outputs)
    }

    /// What later operators see of a value whose shape could not be inferred.
    fn fallback_shape(&self, call: &Call) -> Shape {
        let first = call.inputs.iter().flatten().next();
        first.map_or_else(Shape::scalar, |&value| self.shape(value).clone())
    }

    /// Checks what is common to all operators, and keeps what is wrong.
    fn check<R>(&mut self, call: &Call, inferred: Result<R, OpProblem>) -> Option<R> {
        let node = || format!("{}/{}", self.path(), call.op);
        let inputs = call.inputs.iter().flatten();
        let error = if inputs.clone().any(|&value| !self.owns(value)) {
            GraphError::ForeignValue { user: node() }
        } else if let Some((since, what)) = &call.since
            && self.opset < *since
        {
            GraphError::NotInOpset { node: node(), op: what.clone(), since: *since, opset: self.opset }
        } else if !call.domain.is_empty() && !self.imports.contains_key(&call.domain) {
            GraphError::UnknownDomain { node: node(), domain: call.domain.clone() }
        } else {
            match inferred {
                Ok(inferred) => return Some(inferred),
                Err(problem) => GraphError::Op {
                    node: node(),
                    op: call.op.clone(),
                    inputs: inputs
                        .map(|&value| InputDescription {
                            name: self.name(value).to_owned(),
                            data_type: value.data_type,
                            shape: self.shape(value).clone(),
                        })
                        .collect(),
                    problem: Box::new(problem),
                },
            }
        };
        self.fail(error);
        None
    }

    fn add_node(&mut self, call: Call, outputs: Vec<(DataType, Shape)>) -> Vec<AnyValue> {
        let path = format!("{}/{}", self.path(), call.op);
        let uses = self.node_names.entry(path.clone()).or_insert(0);
        let name = if *uses == 0 { path } else { format!("{path}_{uses}") };
        *uses += 1;

        let outputs: Vec<AnyValue> = outputs
            .into_iter()
            .enumerate()
            .map(|(position, (data_type, shape))| {
                let value_name = format!("{name}/output_{position}");
                self.claim_name(&value_name, "a node output");
                self.add_value(value_name, data_type, shape, Source::Node)
            })
            .collect();
        let mut inputs: Vec<Option<usize>> =
            call.inputs.iter().map(|input| input.map(|value| value.id)).collect();
        while inputs.last() == Some(&None) {
            inputs.pop();
        }
        self.nodes.push(Node {
            name,
            domain: call.domain,
            op: call.op,
            inputs,
            outputs: outputs.iter().map(|value| value.id).collect(),
            attributes: call.attributes,
        });
        outputs
    }
}
