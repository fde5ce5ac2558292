//! The graph under construction: scopes, values, inputs and outputs.

mod constants;
mod finish;
mod node;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::element::{DataType, Element};
use crate::error::GraphError;
use crate::external::ExternalRef;
use crate::opset::OPSETS;
use crate::shape::Shape;
use crate::value::{AnyValue, Value};

pub(crate) use node::Call;
use node::Node;

/// Builds a graph whose values have a known element type and a declared shape.
///
/// Operators are methods, one file per family. A method checks its inputs, infers the shape of its output and returns a
/// handle. It never fails: the first mistake is kept, with the path of the node and its inputs, and
/// [`GraphBuilder::finish`] returns it.
///
/// Nodes are named by path: the scopes that are open, then the operator type, numbered when it repeats
/// (`/model/layers.0/attn/q_proj/MatMul`, `…/MatMul_1`). Values are named after their node (`…/MatMul/output_0`).
#[derive(Debug)]
pub struct GraphBuilder {
    /// Tells handles of this builder from those of others.
    id: u64,
    name: String,
    opset: i64,
    /// Domains other than ai.onnx.
    imports: BTreeMap<String, i64>,
    scopes: Vec<String>,
    /// How often each node path was used.
    node_names: HashMap<String, usize>,
    value_names: HashSet<String>,
    values: Vec<ValueEntry>,
    nodes: Vec<Node>,
    constants: HashMap<constants::ConstantKey, usize>,
    externals: HashMap<String, usize>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    error: Option<GraphError>,
    /// Shape given for handles of other builders, whose use is an error already.
    unknown: Shape,
}

/// What the builder knows of a value.
#[derive(Debug)]
struct ValueEntry {
    name: String,
    data_type: DataType,
    shape: Shape,
    source: Source,
}

/// Where a value comes from.
#[derive(Debug)]
enum Source {
    Input,
    Constant(Vec<u8>),
    External(ExternalRef),
    Node,
}

impl GraphBuilder {
    /// An empty graph, written in version `opset` of ai.onnx (one of [`OPSETS`]).
    pub fn new(name: impl Into<String>, opset: i64) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            opset,
            imports: BTreeMap::new(),
            scopes: Vec::new(),
            node_names: HashMap::new(),
            value_names: HashSet::new(),
            values: Vec::new(),
            nodes: Vec::new(),
            constants: HashMap::new(),
            externals: HashMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            error: (!OPSETS.contains(&opset)).then_some(GraphError::UnsupportedOpset { found: opset }),
            unknown: Shape::scalar(),
        }
    }

    /// Version of ai.onnx that the graph is written in.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Declares the version of another domain, whose operators [`GraphBuilder::custom`] can then use.
    pub fn import_opset(&mut self, domain: impl Into<String>, version: i64) {
        let domain = domain.into();
        if is_standard(&domain) {
            if version != self.opset {
                self.fail(GraphError::OpsetConflict { domain, first: self.opset, second: version });
            }
            return;
        }
        match self.imports.get(&domain) {
            Some(&first) if first != version => {
                self.fail(GraphError::OpsetConflict { domain, first, second: version })
            }
            _ => {
                self.imports.insert(domain, version);
            }
        }
    }

    /// Opens a scope: nodes made until the matching [`GraphBuilder::pop`] have its name in their path.
    pub fn push(&mut self, scope: impl Into<String>) {
        self.scopes.push(scope.into());
    }

    /// Leaves the innermost scope.
    pub fn pop(&mut self) {
        if self.scopes.pop().is_none() {
            self.fail(GraphError::NoOpenScope);
        }
    }

    /// Runs `build` within a scope.
    pub fn scoped<R>(&mut self, scope: impl Into<String>, build: impl FnOnce(&mut Self) -> R) -> R {
        self.push(scope);
        let result = build(self);
        self.pop();
        result
    }

    /// Path of the open scopes, such as `/model/layers.0`; empty outside all scopes.
    pub fn path(&self) -> String {
        self.scopes.iter().fold(String::new(), |path, scope| path + "/" + scope)
    }

    /// A graph input.
    pub fn input<T: Element>(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> Value<T> {
        let name = name.into();
        self.claim_name(&name, "a graph input");
        let value = self.add_value(name, T::TYPE, shape.into(), Source::Input);
        self.inputs.push(value.id);
        Value::from_any_unchecked(value)
    }

    /// A tensor in an external file. The same name with the same place, type and shape is the same value; anything else
    /// under that name is an error, as is a length other than the shape's.
    pub fn external<T: Element>(
        &mut self,
        name: impl Into<String>,
        shape: &[i64],
        place: ExternalRef,
    ) -> Value<T> {
        let (name, shape) = (name.into(), Shape::from(shape));
        if let Some((id, known)) = self.externals.get(&name).and_then(|&id| Some((id, self.values.get(id)?)))
        {
            if let Source::External(first) = &known.source {
                if *first == place && known.data_type == T::TYPE && known.shape == shape {
                    return Value::from_any_unchecked(self.handle(id, T::TYPE));
                }
                self.fail(GraphError::ExternalConflict {
                    name,
                    first: Box::new(first.clone()),
                    first_type: known.data_type,
                    first_shape: known.shape.clone(),
                    second: Box::new(place),
                    second_type: T::TYPE,
                    second_shape: shape.clone(),
                });
            }
            return Value::from_any_unchecked(self.add_value(String::new(), T::TYPE, shape, Source::Node));
        }
        let bytes = shape.fixed_element_count().and_then(|count| count.checked_mul(T::TYPE.size() as u64));
        if bytes != Some(place.length) {
            self.fail(GraphError::ExternalLength {
                name: name.clone(),
                data_type: T::TYPE,
                shape: shape.clone(),
                location: place.location.clone(),
                expected: bytes.map_or_else(|| "too many".to_owned(), |bytes| bytes.to_string()),
                found: place.length,
            });
        }
        self.claim_name(&name, "an external initializer");
        let value = self.add_value(name.clone(), T::TYPE, shape, Source::External(place));
        self.externals.insert(name, value.id);
        Value::from_any_unchecked(value)
    }

    /// Makes a value a graph output of that name.
    ///
    /// The value itself is renamed when a node computes it; an input, an initializer or a value that is an output already
    /// passes through an `Identity`.
    pub fn output(&mut self, name: impl Into<String>, value: impl Into<AnyValue>) {
        let (name, mut value) = (name.into(), value.into());
        if !self.owns(value) {
            return self.fail(GraphError::ForeignValue { user: format!("output {name}") });
        }
        let computed = matches!(self.entry(value), Some(entry) if matches!(entry.source, Source::Node));
        if !computed || self.outputs.contains(&value.id) {
            value = self.identity_any(value);
        }
        self.claim_name(&name, "a graph output");
        if let Some(entry) = self.values.get_mut(value.id) {
            self.value_names.remove(&entry.name);
            entry.name.clone_from(&name);
            self.value_names.insert(name);
            self.outputs.push(value.id);
        }
    }

    /// The shape of a value.
    pub fn shape(&self, value: impl Into<AnyValue>) -> &Shape {
        self.entry(value.into()).map_or(&self.unknown, |entry| &entry.shape)
    }

    /// The name of a value; it changes when the value becomes an output.
    pub fn name(&self, value: impl Into<AnyValue>) -> &str {
        self.entry(value.into()).map_or("", |entry| &entry.name)
    }

    /// The first mistake made so far.
    pub fn error(&self) -> Option<&GraphError> {
        self.error.as_ref()
    }

    /// Keeps the first mistake: later ones are often its consequences.
    pub(crate) fn fail(&mut self, error: GraphError) {
        self.error.get_or_insert(error);
    }

    fn owns(&self, value: AnyValue) -> bool {
        value.graph == self.id && value.id < self.values.len()
    }

    fn entry(&self, value: AnyValue) -> Option<&ValueEntry> {
        self.owns(value).then(|| self.values.get(value.id)).flatten()
    }

    fn handle(&self, id: usize, data_type: DataType) -> AnyValue {
        AnyValue { graph: self.id, id, data_type }
    }

    fn claim_name(&mut self, name: &str, what: &'static str) {
        if name.is_empty() {
            self.fail(GraphError::EmptyName { what });
        } else if !self.value_names.insert(name.to_owned()) {
            self.fail(GraphError::DuplicateName { name: name.to_owned() });
        }
    }

    fn add_value(&mut self, name: String, data_type: DataType, shape: Shape, source: Source) -> AnyValue {
        if let Some(dim) = shape.iter().find(|dim| !dim.is_size()).cloned() {
            self.fail(GraphError::Dimension { value: name.clone(), shape: shape.clone(), dim });
        }
        let id = self.values.len();
        self.values.push(ValueEntry { name, data_type, shape, source });
        self.handle(id, data_type)
    }
}

/// Whether a domain is ai.onnx, which the format also writes as the empty string.
pub(crate) fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}
