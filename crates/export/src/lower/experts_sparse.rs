//! Routed experts, each on the tokens routed to it (op set `standard`).
//!
//! ```text
//! for each expert e:
//!   chosen == e ─ NonZero ─ rows ─ Gather(tokens) ─ gated network ─ x routing weight ─ ScatterND(add) into the sum
//! ```
//!
//! An expert without tokens gets a tensor of no rows: its products cost nothing.

use tmoe_model::Config;
use tmoe_onnx::{Dim, GraphBuilder, Reduction};

use super::gated::gated;
use super::router::Routed;
use super::{Tensor, Weights, int};
use crate::weights::GatedBlobs;

/// Adds the weighted outputs of the chosen experts to the sum: `[tokens, hidden]`.
pub(crate) fn experts_sparse(
    g: &mut GraphBuilder,
    config: &Config,
    layer: usize,
    blobs: GatedBlobs,
    weights: &dyn Weights,
    routed: Routed<'_>,
) -> Tensor {
    let Routed { tokens, routing, sum } = routed;
    (0..config.experts()).fold(sum, |sum, expert| {
        g.scoped(format!("experts.{expert}"), |g| {
            let index = g.const_scalar_i64(int(expert));
            let hit = g.equal(routing.experts, index);
            let count = Dim::symbol(format!("layer{layer}_expert{expert}_tokens"));
            let places = g.nonzero(hit, count);
            let first = g.const_scalar_i64(0);
            let rows = g.gather(places, first, 0);
            let x = g.gather(tokens, rows, 0);
            let gate_up = weights.expert(g, blobs.gate_up, expert);
            let down = weights.expert(g, blobs.down, expert);
            let y = gated(g, config.activation(), int(config.expert_ffn().unwrap_or(0)), x, gate_up, down);
            let places = g.transpose(places, &[1, 0]);
            let weight = g.gather_nd(routing.weights, places, 0);
            let weight = g.unsqueeze(weight, &[1]);
            let y = g.mul(y, weight);
            let rows = g.unsqueeze(rows, &[1]);
            g.scatter_nd(sum, rows, y, Reduction::Add)
        })
    })
}
