//! `SparseMoe`: top-k routed experts, each a gated feed-forward network.
//!
//! ```text
//! y[t] = addend[t] + sum over the top_k experts e of the largest router_logits[t]:
//!            scoring(router_logits[t])[e] * (act(x[t] gate[e]) * (x[t] up[e])) down[e]
//! ```
//!
//! | input | type | shape |
//! |---|---|---|
//! | `x` | float32 | [.., hidden] |
//! | `router_logits` | float32 | [.., experts], as many rows as `x` |
//! | `gate_up` | float32, float16, bfloat16, int8 | [experts, hidden, 2 x ffn]: the gate's columns, then the up projection's |
//! | `down` | as `gate_up` | [experts, ffn, hidden] |
//! | `gate_up_scale` | float32, with int8 | [experts, 2 x ffn] |
//! | `down_scale` | float32, with int8 | [experts, hidden] |
//! | `addend` | float32, optional | as `x` |
//! | -> `y` | float32 | as `x` |
//!
//! Attributes: `top_k`; `activation` (`silu`, the default, `gelu`, `relu`, …); `scoring` (`softmax`, the default, over all
//! experts; `sigmoid` of each expert's own logit: a shared expert is one expert with its gate as logit); `normalize_top_k` (1:
//! the weights of the chosen experts are divided by their sum). Weights are float32; equal logits go to the lower expert index.
//! An expert of weight zero does not work, whatever its network would give: so are logits of minus infinity.

use super::argument::{Argument, Dimension, ElementType};
use super::attributes::{AttributeDefault, AttributeSpec, Attributes};
use super::check::Node;
use super::{InputSpec, Operator, SchemaError, WEIGHT_TYPES};
use crate::cpu::{Activation, Scoring};

const FLOAT: &[ElementType] = &[ElementType::Float32];

/// Top-k routed experts.
pub static SPARSE_MOE: Operator = Operator {
    name: "SparseMoe",
    inputs: &[
        InputSpec::new("x", FLOAT),
        InputSpec::new("router_logits", FLOAT),
        InputSpec::weight("gate_up", WEIGHT_TYPES),
        InputSpec::weight("down", WEIGHT_TYPES),
        InputSpec::optional_weight("gate_up_scale", FLOAT),
        InputSpec::optional_weight("down_scale", FLOAT),
        InputSpec::optional("addend", FLOAT),
    ],
    outputs: &["y"],
    shared_type: None,
    attributes: &[
        AttributeSpec::new("top_k", AttributeDefault::RequiredInt),
        AttributeSpec::new("activation", AttributeDefault::Text("silu")),
        AttributeSpec::new("scoring", AttributeDefault::Text("softmax")),
        AttributeSpec::new("normalize_top_k", AttributeDefault::Int(0)),
    ],
    rule: infer,
};

/// The attributes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseMoeAttributes {
    /// Experts per token.
    pub top_k: usize,
    /// The activation of the gate.
    pub activation: Activation,
    /// What the experts' weights are made of.
    pub scoring: Scoring,
    /// Whether the weights of the chosen experts are divided by their sum.
    pub normalize_top_k: bool,
}

impl SparseMoeAttributes {
    /// Reads a node's attributes.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Attribute`] where one is missing or has no such value.
    pub fn read(attributes: &Attributes) -> Result<Self, SchemaError> {
        Self::of(&Node::attributes_of(&SPARSE_MOE, attributes)?)
    }

    fn of(node: &Node<'_>) -> Result<Self, SchemaError> {
        let activations = Activation::ALL.map(|activation| (activation.name(), activation));
        let scorings = Scoring::ALL.map(|scoring| (scoring.name(), scoring));
        Ok(Self {
            top_k: usize::try_from(node.int("top_k", 1..)?).unwrap_or(usize::MAX),
            activation: node.choice("activation", &activations)?,
            scoring: node.choice("scoring", &scorings)?,
            normalize_top_k: node.int("normalize_top_k", 0..=1)? == 1,
        })
    }
}

fn infer(node: &Node<'_>) -> Result<Vec<Argument>, SchemaError> {
    let attributes = SparseMoeAttributes::of(node)?;
    let gate_up: [Dimension; 3] = node.shape("gate_up", "[experts, hidden, 2 x ffn]")?;
    let down: [Dimension; 3] = node.shape("down", "[experts, ffn, hidden]")?;
    let experts = gate_up[0].or(&down[0]);
    let hidden = gate_up[1].or(&down[2]);

    let has_size = gate_up.iter().chain(&down).all(|size| size.fixed() != Some(0));
    node.require(has_size, "gate_up", || "[experts, hidden, 2 x ffn] with sizes of at least 1".to_owned())?;
    let halves = match (gate_up[2].fixed(), down[1].fixed()) {
        (Some(both), Some(ffn)) => both.checked_div(2) == Some(ffn) && both % 2 == 0,
        (Some(both), None) => both % 2 == 0,
        _ => true,
    };
    node.require(halves, "gate_up", || format!("[experts, hidden, 2 x ffn] with ffn = {}", down[1]))?;
    node.require(down[0].may_equal(experts) && down[2].may_equal(hidden), "down", || {
        format!("[experts, ffn, hidden] with experts = {experts}, hidden = {hidden}")
    })?;
    let same_type = node.element_type("gate_up") == node.element_type("down");
    if !same_type {
        return Err(SchemaError::ElementType {
            operator: SPARSE_MOE.name,
            input: "down",
            expected: vec![node.element_type("gate_up")],
            found: node.element_type("down"),
        });
    }
    node.scales("gate_up", "gate_up_scale", &[experts.clone(), gate_up[2].clone()])?;
    node.scales("down", "down_scale", &[experts.clone(), hidden.clone()])?;

    let x = node.input("x").and_then(|x| x.shape.as_deref());
    if let Some(x) = x {
        let fits = x.last().is_some_and(|width| width.may_equal(hidden));
        node.require(fits, "x", || format!("[.., hidden] with hidden = {hidden}"))?;
    }
    if let Some(logits) = node.input("router_logits").and_then(|logits| logits.shape.as_deref()) {
        let width = logits.last().is_some_and(|width| width.may_equal(experts));
        let rows = x.is_none_or(|x| {
            let (x, logits) = (rows(x), rows(logits));
            x.is_none() || logits.is_none() || x == logits
        });
        node.require(width && rows, "router_logits", || {
            format!("[.., experts] with experts = {experts} and as many rows as x")
        })?;
    }
    node.same_shape("addend", "x")?;
    if let Some(experts) = experts.fixed()
        && attributes.top_k as u64 > experts
    {
        let expected = format!("at most the number of experts, {experts}");
        return Err(node.attribute_error("top_k", expected, attributes.top_k.to_string()));
    }
    Ok(vec![Argument { element_type: ElementType::Float32, shape: x.map(<[_]>::to_vec) }])
}

/// The product of all sizes but the last, where they are known.
fn rows(shape: &[Dimension]) -> Option<u64> {
    let (_, outer) = shape.split_last()?;
    outer.iter().try_fold(1_u64, |rows, size| rows.checked_mul(size.fixed()?))
}
