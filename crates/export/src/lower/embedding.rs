//! Point-wise embedding: `act(gate_layer(x)) * emb_layer(x)`, with an input size of 1.

use tmoe_model::Config;
use tmoe_onnx::GraphBuilder;

use super::activation::activation;
use super::{Tensor, Weights};
use crate::weights::WeightLayout;

/// `[batch, sequence, 1]` to `[batch, sequence, hidden]`.
pub(crate) fn embedding(
    g: &mut GraphBuilder,
    config: &Config,
    layout: &WeightLayout,
    weights: &dyn Weights,
    input_ids: Tensor,
) -> Tensor {
    g.scoped("embed_layer", |g| {
        // A linear layer from one input is a product with a vector.
        let gate = g.scoped("gate_layer", |g| {
            let weight = weights.tensor(g, layout.embed_gate);
            g.mul(input_ids, weight)
        });
        let gate = activation(g, config.activation(), gate);
        let value = g.scoped("emb_layer", |g| {
            let weight = weights.tensor(g, layout.embed);
            g.mul(input_ids, weight)
        });
        g.mul(gate, value)
    })
}
