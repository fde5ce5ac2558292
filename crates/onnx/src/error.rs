//! What can be wrong with a graph.

use std::fmt;

use crate::dim::Dim;
use crate::element::DataType;
use crate::external::ExternalRef;
use crate::shape::Shape;

/// The type and shape of an operator's input, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputDescription {
    /// Name of the value.
    pub name: String,
    /// Its element type.
    pub data_type: DataType,
    /// Its shape.
    pub shape: Shape,
}

impl fmt::Display for InputDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.name, self.data_type, self.shape)
    }
}

fn join(inputs: &[InputDescription]) -> String {
    let inputs: Vec<String> = inputs.iter().map(ToString::to_string).collect();
    inputs.join(", ")
}

/// The first mistake made while a graph was built, returned by [`GraphBuilder::finish`](crate::GraphBuilder::finish).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GraphError {
    /// An operator cannot be applied to its inputs.
    #[error("node {node}: {problem} (inputs: {})", join(inputs))]
    Op {
        /// Path of the node; its last part is the operator type.
        node: String,
        /// Operator type.
        op: String,
        /// The inputs it was given.
        inputs: Vec<InputDescription>,
        /// What is wrong with them.
        problem: Box<OpProblem>,
    },
    /// The operator does not exist in the graph's version of ai.onnx.
    #[error(
        "node {node}: ai.onnx has {op} since version {since}, but the graph is written in version {opset}"
    )]
    NotInOpset {
        /// Path of the node.
        node: String,
        /// Operator, with the detail that needs the newer version.
        op: String,
        /// First version with it.
        since: i64,
        /// Version of the graph.
        opset: i64,
    },
    /// A graph in a version of ai.onnx whose operators this crate does not know.
    #[error("ai.onnx version {found} is not supported: use {} to {}", crate::OPSETS.start(), crate::OPSETS.end())]
    UnsupportedOpset {
        /// The version asked for.
        found: i64,
    },
    /// An operator of a domain whose version is not known.
    #[error("node {node}: domain {domain:?} is not imported: call import_opset({domain:?}, version) first")]
    UnknownDomain {
        /// Path of the node.
        node: String,
        /// The domain.
        domain: String,
    },
    /// A domain imported in two versions.
    #[error("domain {domain:?} is imported in version {first} and in version {second}")]
    OpsetConflict {
        /// The domain.
        domain: String,
        /// The version imported first.
        first: i64,
        /// The other version.
        second: i64,
    },
    /// A handle of another builder.
    #[error("{user} uses a value of another graph")]
    ForeignValue {
        /// The node or output that uses it.
        user: String,
    },
    /// A handle of another element type.
    #[error("a value has elements of type {found}, expected {expected}")]
    ElementType {
        /// The type asked for.
        expected: DataType,
        /// The type of the value.
        found: DataType,
    },
    /// Two values of one name.
    #[error("two values of the graph are named {name:?}")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// An empty name.
    #[error("{what} has an empty name")]
    EmptyName {
        /// What was to be named.
        what: &'static str,
    },
    /// A declared shape with a negative size or a nameless symbol.
    #[error("value {value}: dimension {dim:?} of shape {shape} is neither a size nor a named symbol")]
    Dimension {
        /// Name of the value.
        value: String,
        /// Its shape.
        shape: Shape,
        /// The dimension.
        dim: Dim,
    },
    /// The number of elements does not fit the shape.
    #[error(
        "constant of type {data_type} and shape {shape} takes {expected} elements, but {found} were given"
    )]
    ConstantLength {
        /// Element type.
        data_type: DataType,
        /// Shape.
        shape: Shape,
        /// Elements that the shape has.
        expected: String,
        /// Elements that were given.
        found: usize,
    },
    /// The length of external data does not fit the shape.
    #[error(
        "initializer {name}: {data_type}{shape} takes {expected} bytes, but its place in {location:?} has {found}"
    )]
    ExternalLength {
        /// Name of the initializer.
        name: String,
        /// Element type.
        data_type: DataType,
        /// Shape.
        shape: Shape,
        /// File.
        location: String,
        /// Bytes that the shape takes.
        expected: String,
        /// Bytes that were given.
        found: u64,
    },
    /// One name for two different external tensors.
    #[error(
        "initializer {name} is declared twice: {first_type}{first_shape} in {first}, then {second_type}{second_shape} in {second}"
    )]
    ExternalConflict {
        /// Name of the initializer.
        name: String,
        /// Where it lies by the first declaration.
        first: Box<ExternalRef>,
        /// Element type by the first declaration.
        first_type: DataType,
        /// Shape by the first declaration.
        first_shape: Shape,
        /// Where it lies by the second declaration.
        second: Box<ExternalRef>,
        /// Element type by the second declaration.
        second_type: DataType,
        /// Shape by the second declaration.
        second_shape: Shape,
    },
    /// A scope was left that was never entered.
    #[error("pop() without push(): no scope is open")]
    NoOpenScope,
    /// A scope was never left.
    #[error("scope {path} is still open at the end of the graph")]
    OpenScope {
        /// Path of the scope.
        path: String,
    },
    /// A graph without outputs.
    #[error("the graph has no outputs")]
    NoOutputs,
}

/// Why an operator cannot be applied to its inputs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OpProblem {
    /// A rank that the operator does not take.
    #[error("{what} has rank {found}, expected {expected}")]
    Rank {
        /// Which input.
        what: &'static str,
        /// Ranks that it may have.
        expected: String,
        /// Its rank.
        found: usize,
    },
    /// Two dimensions that have to be equal are not.
    #[error("{left_of} ({left}) and {right_of} ({right}) must be equal")]
    Unequal {
        /// What the first dimension is.
        left_of: &'static str,
        /// First dimension.
        left: Dim,
        /// What the second dimension is.
        right_of: &'static str,
        /// Second dimension.
        right: Dim,
    },
    /// Two shapes that have to be equal are not.
    #[error("{what} has shape {found}, expected {expected}")]
    Shape {
        /// Which input.
        what: &'static str,
        /// Expected shape.
        expected: Shape,
        /// Its shape.
        found: Shape,
    },
    /// Two dimensions that do not broadcast.
    #[error("dimensions {left} and {right} do not broadcast: they must be equal or 1")]
    Broadcast {
        /// Dimension of the first shape.
        left: Dim,
        /// Dimension of the second shape.
        right: Dim,
    },
    /// An axis beyond the rank.
    #[error("axis {axis} is not an axis of rank {rank}")]
    Axis {
        /// The axis.
        axis: i64,
        /// The rank.
        rank: usize,
    },
    /// One axis given twice.
    #[error("axis {axis} is given twice")]
    RepeatedAxis {
        /// The axis.
        axis: i64,
    },
    /// A permutation that is none.
    #[error("{perm:?} is not a permutation of the {rank} axes")]
    Permutation {
        /// What was given.
        perm: Vec<usize>,
        /// The rank.
        rank: usize,
    },
    /// Reshaping would change the number of elements, or nothing shows that it does not.
    #[error("a shape of {from} elements cannot become {target}, which has {to}")]
    ElementCount {
        /// Elements of the input.
        from: Dim,
        /// The target shape.
        target: Shape,
        /// Elements of the target shape.
        to: Dim,
    },
    /// A target shape that constants cannot express.
    #[error(
        "dimension {dim} of target {target} is known only at run time: compute the shape and use {instead}"
    )]
    RuntimeShape {
        /// The target shape.
        target: Shape,
        /// The first dimension that cannot be expressed.
        dim: Dim,
        /// The method that takes a computed shape.
        instead: &'static str,
    },
    /// A dimension that has to be known is not.
    #[error("{what} is {dim}, but must be a fixed size")]
    NotFixed {
        /// Which dimension.
        what: &'static str,
        /// The dimension.
        dim: Dim,
    },
    /// Parts that do not add up.
    #[error("parts {parts:?} do not add up to the {dim} of axis {axis}")]
    SplitSum {
        /// Sizes of the parts.
        parts: Vec<i64>,
        /// The axis.
        axis: i64,
        /// Its size.
        dim: Dim,
    },
    /// A list of the wrong length.
    #[error("{what} has {found} entries, expected {expected}")]
    ListLength {
        /// Which list.
        what: &'static str,
        /// Expected length.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// An argument out of its range.
    #[error("{what} is {found}, expected {expected}")]
    Argument {
        /// Which argument.
        what: &'static str,
        /// Values that it may have.
        expected: String,
        /// Its value.
        found: String,
    },
    /// An input of an element type that the operator does not take.
    #[error("{what} has elements of type {found}, expected {expected}")]
    InputType {
        /// Which input.
        what: &'static str,
        /// Types that it may have.
        expected: String,
        /// Its type.
        found: DataType,
    },
}
