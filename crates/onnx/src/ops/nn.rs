//! Activations and normalisation.

use crate::builder::{Call, GraphBuilder};
use crate::element::Float;
use crate::value::Value;

/// How `Gelu` is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GeluApproximation {
    /// x / 2 (1 + erf(x / sqrt 2)).
    #[default]
    None,
    /// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
    Tanh,
}

impl GraphBuilder {
    /// `Softmax` along an axis.
    pub fn softmax<T: Float>(&mut self, x: Value<T>, axis: i64) -> Value<T> {
        let shape = self.shape(x).axis(axis).map(|_| self.shape(x).clone());
        self.apply_one(Call::new("Softmax").input(x).attribute("axis", axis), shape)
    }

    /// `Gelu`; from version 20 on.
    pub fn gelu<T: Float>(&mut self, x: Value<T>, approximation: GeluApproximation) -> Value<T> {
        let shape = self.shape(x).clone();
        let name = match approximation {
            GeluApproximation::None => "none",
            GeluApproximation::Tanh => "tanh",
        };
        let call = Call::new("Gelu").input(x).attribute("approximate", name).since(20, "Gelu");
        self.apply_one(call, Ok(shape))
    }

    /// `RMSNormalization` over the axes from `axis` on: x / sqrt(mean(x^2) + epsilon) * scale, computed in float32; from
    /// version 23 on. The scale broadcasts to the normalised axes and sets the type of the output.
    pub fn rms_normalization<T: Float, V: Float>(
        &mut self,
        x: Value<T>,
        scale: Value<V>,
        epsilon: f32,
        axis: i64,
    ) -> Value<V> {
        let from = self.shape(x);
        let shape = from.axis(axis).and_then(|first| {
            let normalised = from.iter().skip(first).cloned().collect();
            let together = self.shape(scale).broadcast(&normalised)?;
            super::exactly("the scale broadcast to the normalised axes", &together, &normalised)?;
            Ok(from.clone())
        });
        let call = Call::new("RMSNormalization")
            .input(x)
            .input(scale)
            .attribute("axis", axis)
            .attribute("epsilon", epsilon)
            .since(23, "RMSNormalization");
        self.apply_one(call, shape)
    }
}
