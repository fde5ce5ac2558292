//! Operators of other domains.

use crate::attribute::Attribute;
use crate::builder::{Call, GraphBuilder};
use crate::element::DataType;
use crate::shape::Shape;
use crate::value::AnyValue;

impl GraphBuilder {
    /// An operator of another domain, or one of ai.onnx that has no method here (domain `""`). The caller knows the types
    /// and shapes of its outputs; the domain's version comes from [`GraphBuilder::import_opset`].
    ///
    /// ```
    /// use tmoe_onnx::{DataType, F32, GraphBuilder, shape};
    ///
    /// let mut g = GraphBuilder::new("example", 23);
    /// g.import_opset("tmoe", 1);
    /// let x = g.input::<F32>("x", shape!["tokens", 8]);
    /// let outputs = [(DataType::Float32, shape!["tokens", 16])];
    /// let outputs = g.custom("tmoe", "Twice", &[Some(x.any())], &[("axis", 1.into())], &outputs);
    /// let y = outputs[0].typed::<F32>()?;
    /// assert_eq!(g.shape(y).to_string(), "[tokens, 16]");
    /// # Ok::<(), tmoe_onnx::GraphError>(())
    /// ```
    pub fn custom(
        &mut self,
        domain: &str,
        op_type: &str,
        inputs: &[Option<AnyValue>],
        attributes: &[(&str, Attribute)],
        outputs: &[(DataType, Shape)],
    ) -> Vec<AnyValue> {
        let mut call = Call::of_domain(domain, op_type);
        for &input in inputs {
            call = call.optional(input);
        }
        for (name, value) in attributes {
            call = call.attribute(name, value.clone());
        }
        self.apply_many(call, Ok(outputs.to_vec()), |_| outputs.to_vec())
    }
}
