//! Routed experts, every one on every token, masked (op set `dense`): no shape depends on the data.
//!
//! ```text
//! tokens [1, tokens, hidden] ─ batched gated network over the experts ─ x routing weight (0 if not chosen) ─ sum
//! ```

use tmoe_model::Config;
use tmoe_onnx::GraphBuilder;

use super::gated::gated_inner;
use super::router::{Routed, one_hot};
use super::{Tensor, Weights, int};
use crate::weights::GatedBlobs;

/// Adds the weighted outputs of all experts to the sum: `[tokens, hidden]`.
pub(crate) fn experts_dense(
    g: &mut GraphBuilder,
    config: &Config,
    blobs: GatedBlobs,
    weights: &dyn Weights,
    routed: Routed<'_>,
) -> Tensor {
    let Routed { tokens, routing, sum } = routed;
    g.scoped("experts", |g| {
        let share = g.scoped("share", |g| {
            let hits = one_hot(g, config, routing.experts);
            let weights = g.unsqueeze(routing.weights, &[2]);
            let weighted = g.mul(hits, weights);
            let share = g.reduce_sum(weighted, &[1], false);
            let share = g.transpose(share, &[1, 0]);
            g.unsqueeze(share, &[2])
        });
        let x = g.unsqueeze(tokens, &[0]);
        let gate_up = weights.tensor(g, blobs.gate_up);
        let ffn = int(config.expert_ffn().unwrap_or(0));
        let inner = gated_inner(g, config.activation(), ffn, x, gate_up);
        // Scaling the input of a linear layer scales its output, and here it has fewer elements to touch
        // whenever an expert is narrower than the hidden state.
        let inner = g.mul(inner, share);
        let y = g.scoped("down_proj", |g| {
            let down = weights.tensor(g, blobs.down);
            g.matmul(inner, down)
        });
        let y = g.reduce_sum(y, &[0], false);
        g.add(sum, y)
    })
}
