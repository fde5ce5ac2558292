//! `AddRmsNorm`: a residual sum, and RMSNorm of it (Zhang and Sennrich 2019).
//!
//! ```text
//! sum = x + residual
//! y = sum / sqrt(mean(sum^2) + epsilon) * weight        the mean is over the last axis
//! ```
//!
//! | input | type | shape |
//! |---|---|---|
//! | `x` | float32 | [.., hidden] |
//! | `residual` | float32 | as `x` |
//! | `weight` | float32 | [hidden] |
//! | -> `y` | float32 | as `x` |
//! | -> `sum` | float32 | as `x` |
//!
//! Attributes: `epsilon`, at least 0. Everything is computed in float32.

use super::argument::{Argument, Dimension, ElementType};
use super::attributes::{AttributeDefault, AttributeSpec, Attributes};
use super::check::Node;
use super::{InputSpec, Operator, SchemaError};

const FLOAT: &[ElementType] = &[ElementType::Float32];

/// A residual sum and its norm.
pub static ADD_RMS_NORM: Operator = Operator {
    name: "AddRmsNorm",
    inputs: &[InputSpec::new("x", FLOAT), InputSpec::new("residual", FLOAT), InputSpec::new("weight", FLOAT)],
    outputs: &["y", "sum"],
    shared_type: None,
    attributes: &[AttributeSpec::new("epsilon", AttributeDefault::Float(1e-6))],
    rule: infer,
};

/// The attributes of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddRmsNormAttributes {
    /// Added to the mean of the squares.
    pub epsilon: f32,
}

impl AddRmsNormAttributes {
    /// Reads a node's attributes.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Attribute`] where one has no such value.
    pub fn read(attributes: &Attributes) -> Result<Self, SchemaError> {
        Self::of(&Node::attributes_of(&ADD_RMS_NORM, attributes)?)
    }

    fn of(node: &Node<'_>) -> Result<Self, SchemaError> {
        let epsilon = node.float("epsilon");
        // NaN is not either.
        if epsilon >= 0.0 && epsilon.is_finite() {
            return Ok(Self { epsilon });
        }
        Err(node.attribute_error("epsilon", "a number of at least 0".to_owned(), epsilon.to_string()))
    }
}

fn infer(node: &Node<'_>) -> Result<Vec<Argument>, SchemaError> {
    AddRmsNormAttributes::of(node)?;
    let [hidden]: [Dimension; 1] = node.shape("weight", "[hidden]")?;
    node.require(hidden.fixed() != Some(0), "weight", || "[hidden] with hidden of at least 1".to_owned())?;
    let x = node.input("x").and_then(|x| x.shape.as_deref());
    if let Some(x) = x {
        let fits = x.last().is_some_and(|width| width.may_equal(&hidden));
        node.require(fits, "x", || format!("[.., hidden] with hidden = {hidden}"))?;
    }
    node.same_shape("residual", "x")?;
    let output = Argument { element_type: ElementType::Float32, shape: x.map(<[_]>::to_vec) };
    Ok(vec![output.clone(), output])
}
