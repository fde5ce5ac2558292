//! What the operators are: inputs, outputs, attributes, and the rules for types and shapes.
//!
//! This is the one place that says so. Each operator is a file here, and every provider checks its nodes with
//! [`Operator::infer`]:
//!
//! ```
//! use tmoe_ops::schema::{Argument, Attributes, Dimension, ElementType, SPARSE_MOE};
//!
//! let float = |dims: &[u64]| {
//!     let shape = dims.iter().copied().map(Dimension::Fixed).collect();
//!     Some(Argument { element_type: ElementType::Float32, shape: Some(shape) })
//! };
//! let attributes = Attributes::from_iter([("top_k", 2.into())]);
//! // 16 tokens of width 8 for 4 experts whose networks are 6 wide.
//! let inputs = [float(&[16, 8]), float(&[16, 4]), float(&[4, 8, 12]), float(&[4, 6, 8])];
//! let outputs = SPARSE_MOE.infer(&attributes, &inputs)?;
//! assert_eq!(outputs[0].to_string(), "float32 [16, 8]");
//! # Ok::<(), tmoe_ops::schema::SchemaError>(())
//! ```

mod add_rms_norm;
mod argument;
mod attributes;
mod check;
mod error;
mod flash_attention;
mod linear;
mod sparse_moe;

pub use self::add_rms_norm::{ADD_RMS_NORM, AddRmsNormAttributes};
pub use self::argument::{Argument, Dimension, ElementType};
pub use self::attributes::{AttributeDefault, AttributeSpec, AttributeValue, Attributes};
pub use self::error::SchemaError;
pub use self::flash_attention::{FLASH_ATTENTION, FlashAttentionAttributes};
pub use self::linear::LINEAR;
pub use self::sparse_moe::{SPARSE_MOE, SparseMoeAttributes};

/// The domain of all operators.
pub const DOMAIN: &str = "tmoe";
/// The version of the domain.
pub const VERSION: i32 = 1;

/// Every operator of the domain.
pub const ALL: [&Operator; 4] = [&SPARSE_MOE, &FLASH_ATTENTION, &LINEAR, &ADD_RMS_NORM];

/// An operator.
#[derive(Debug)]
pub struct Operator {
    /// Its `op_type`.
    pub name: &'static str,
    /// Inputs in their order.
    pub inputs: &'static [InputSpec],
    /// Names of the outputs in their order; all are float32, but for those of [`shared_type`](Self::shared_type).
    pub outputs: &'static [&'static str],
    /// Inputs and outputs that have one type together, if there are any.
    pub shared_type: Option<SharedType>,
    /// Attributes in any order.
    pub attributes: &'static [AttributeSpec],
    rule: fn(&check::Node<'_>) -> Result<Vec<Argument>, SchemaError>,
}

/// What some inputs and outputs of a node have in common: one of several types.
#[derive(Debug)]
pub struct SharedType {
    /// The types.
    pub types: &'static [ElementType],
    /// Names of the inputs.
    pub inputs: &'static [&'static str],
    /// Names of the outputs.
    pub outputs: &'static [&'static str],
}

/// An input of an operator.
#[derive(Debug)]
pub struct InputSpec {
    /// Its name.
    pub name: &'static str,
    /// The element types that it may have.
    pub types: &'static [ElementType],
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it is a weight: a constant of the graph.
    pub constant: bool,
}

impl InputSpec {
    const fn new(name: &'static str, types: &'static [ElementType]) -> Self {
        Self { name, types, optional: false, constant: false }
    }

    const fn optional(name: &'static str, types: &'static [ElementType]) -> Self {
        Self { name, types, optional: true, constant: false }
    }

    const fn weight(name: &'static str, types: &'static [ElementType]) -> Self {
        Self { name, types, optional: false, constant: true }
    }

    const fn optional_weight(name: &'static str, types: &'static [ElementType]) -> Self {
        Self { name, types, optional: true, constant: true }
    }
}

/// Element types of weights. int8 comes with one float32 scale per output column.
const WEIGHT_TYPES: &[ElementType] =
    &[ElementType::Float32, ElementType::Float16, ElementType::BFloat16, ElementType::Int8];

impl Operator {
    /// Checks a node's attributes and inputs, and gives its outputs. Inputs left out are `None`, or missing at the end.
    ///
    /// # Errors
    ///
    /// See [`SchemaError`].
    pub fn infer(
        &'static self,
        attributes: &Attributes,
        inputs: &[Option<Argument>],
    ) -> Result<Vec<Argument>, SchemaError> {
        let node = check::Node::new(self, attributes, inputs)?;
        (self.rule)(&node)
    }
}
