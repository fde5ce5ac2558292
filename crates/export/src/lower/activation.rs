//! Activation functions in operators that every provider has.

use tmoe_model::Activation;
use tmoe_onnx::GraphBuilder;

use super::Tensor;

/// `act(x)`, elementwise.
pub(crate) fn activation(g: &mut GraphBuilder, kind: Activation, x: Tensor) -> Tensor {
    g.scoped("act", |g| match kind {
        Activation::Silu => {
            let gate = g.sigmoid(x);
            g.mul(x, gate)
        }
        // x/2 (1 + erf(x / sqrt 2)): runtimes recognise the pattern.
        Activation::Gelu => {
            let root = g.const_scalar_f32(std::f32::consts::SQRT_2);
            let scaled = g.div(x, root);
            let erf = g.erf(scaled);
            let one = g.const_scalar_f32(1.0);
            let cdf = g.add(erf, one);
            let product = g.mul(x, cdf);
            let half = g.const_scalar_f32(0.5);
            g.mul(product, half)
        }
        // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks & Gimpel 2016.
        Activation::GeluTanh => {
            let squared = g.mul(x, x);
            let cubed = g.mul(squared, x);
            let coefficient = g.const_scalar_f32(0.044715);
            let bent = g.mul(cubed, coefficient);
            let sum = g.add(x, bent);
            let scale = g.const_scalar_f32((2.0 / std::f64::consts::PI).sqrt() as f32);
            let scaled = g.mul(sum, scale);
            let tanh = g.tanh(scaled);
            let one = g.const_scalar_f32(1.0);
            let cdf = g.add(tanh, one);
            let product = g.mul(x, cdf);
            let half = g.const_scalar_f32(0.5);
            g.mul(product, half)
        }
        Activation::Relu => g.relu(x),
    })
}
