//! What can be wrong with a node.

use thiserror::Error;

use super::argument::ElementType;

/// What is wrong with a node: the operator, the input or attribute, what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SchemaError {
    /// An input that must be given is not.
    #[error("{operator}: the input `{input}` is missing")]
    MissingInput {
        /// The operator.
        operator: &'static str,
        /// The input.
        input: &'static str,
    },
    /// More inputs than the operator has.
    #[error("{operator}: {found} inputs, expected at most {expected}")]
    TooManyInputs {
        /// The operator.
        operator: &'static str,
        /// How many it has.
        expected: usize,
        /// How many are given.
        found: usize,
    },
    /// Elements of a type that the input does not take.
    #[error("{operator}: the input `{input}` has {found} elements, expected {}", list(.expected))]
    ElementType {
        /// The operator.
        operator: &'static str,
        /// The input.
        input: &'static str,
        /// The types that it takes.
        expected: Vec<ElementType>,
        /// The type that it has.
        found: ElementType,
    },
    /// A shape that does not fit.
    #[error("{operator}: the input `{input}` is {found}, expected {expected}")]
    Shape {
        /// The operator.
        operator: &'static str,
        /// The input.
        input: &'static str,
        /// The shape that it should have, in words of the operator.
        expected: String,
        /// The shape that it has.
        found: String,
    },
    /// An attribute that must be given is not, or has a value that does not fit.
    #[error("{operator}: the attribute `{attribute}` is {found}, expected {expected}")]
    Attribute {
        /// The operator.
        operator: &'static str,
        /// The attribute.
        attribute: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// An attribute that the operator does not have.
    #[error("{operator}: there is no attribute `{attribute}`")]
    UnknownAttribute {
        /// The operator.
        operator: &'static str,
        /// The attribute.
        attribute: String,
    },
}

fn list(types: &[ElementType]) -> String {
    let types: Vec<String> = types.iter().map(ElementType::to_string).collect();
    types.join(", ")
}
