//! `Linear`: a matrix product with bias, for weights in precisions that the standard operators do not have everywhere.
//!
//! | input | type | shape |
//! |---|---|---|
//! | `x` | float32 | [.., in] |
//! | `weight` | float32, float16, bfloat16, int8 | [in, out] |
//! | `bias` | float32, optional | [out] |
//! | `scale` | float32, with int8 | [out] |
//! | -> `y` | float32 | [.., out] |
//!
//! With bfloat16 weights the product may round `x` to bfloat16; sums are float32. With int8 weights every row of `x` is
//! quantised by its own largest absolute value; sums are exact in int32.

use super::argument::{Argument, Dimension, ElementType};
use super::check::Node;
use super::{InputSpec, Operator, SchemaError, WEIGHT_TYPES};

const FLOAT: &[ElementType] = &[ElementType::Float32];

/// A matrix product with bias.
pub static LINEAR: Operator = Operator {
    name: "Linear",
    inputs: &[
        InputSpec::new("x", FLOAT),
        InputSpec::weight("weight", WEIGHT_TYPES),
        InputSpec::optional_weight("bias", FLOAT),
        InputSpec::optional_weight("scale", FLOAT),
    ],
    outputs: &["y"],
    shared_type: None,
    attributes: &[],
    rule: infer,
};

fn infer(node: &Node<'_>) -> Result<Vec<Argument>, SchemaError> {
    let [input, output]: [Dimension; 2] = node.shape("weight", "[in, out]")?;
    node.require(input.fixed() != Some(0), "weight", || "[in, out] with in of at least 1".to_owned())?;
    if node.input("bias").is_some() {
        let [bias]: [Dimension; 1] = node.shape("bias", "[out]")?;
        node.require(bias.may_equal(&output), "bias", || format!("[out] with out = {output}"))?;
    }
    node.scales("weight", "scale", std::slice::from_ref(&output))?;
    let shape = match node.input("x").and_then(|x| x.shape.clone()) {
        None => None,
        Some(mut shape) => {
            let fits = shape.last().is_some_and(|width| width.may_equal(&input));
            node.require(fits, "x", || format!("[.., in] with in = {input}"))?;
            if let Some(last) = shape.last_mut() {
                *last = output;
            }
            Some(shape)
        }
    };
    Ok(vec![Argument { element_type: ElementType::Float32, shape }])
}
