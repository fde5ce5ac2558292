//! The feed-forward half of a layer: a plain gated network, or routed experts and a shared one.
//!
//! ```text
//! x ─ tokens ─┬─ router ─ experts (sparse or dense) ─┐
//!             └─ shared expert ─ x sigmoid(gate) ────┴─ sum
//! ```

use tmoe_model::Config;
use tmoe_onnx::GraphBuilder;
use tmoe_package::OpSet;

use super::experts_dense::experts_dense;
use super::experts_sparse::experts_sparse;
use super::gated::gated;
use super::router::{Routed, Routing, route};
use super::{Tensor, Weights, int};
use crate::weights::{FfnBlobs, GatedBlobs};

/// The output, and the routing where there is one.
pub(crate) struct FedForward {
    /// `[batch, positions, hidden]`, as the input.
    pub(crate) output: Tensor,
    /// Over the tokens of the input in row-major order.
    pub(crate) routing: Option<Routing>,
}

/// Runs the network of a layer on `x` `[batch, positions, hidden]`, already normalised.
pub(crate) fn feed_forward(
    g: &mut GraphBuilder,
    config: &Config,
    op_set: OpSet,
    layer: usize,
    blobs: FfnBlobs,
    weights: &dyn Weights,
    x: Tensor,
) -> FedForward {
    g.scoped("ffn_layer", |g| match blobs {
        FfnBlobs::Dense(network) => {
            FedForward { output: shared(g, config, network, weights, x), routing: None }
        }
        FfnBlobs::Sparse { router, experts, shared: shared_blobs } => {
            let tokens = {
                let like = g.shape(x).clone();
                g.reshape(x, [like[0].clone() * like[1].clone(), like[2].clone()])
            };
            let routing = route(g, config, weights, router, tokens);
            let sum = g.scoped("shared_expert", |g| {
                let y = shared(g, config, shared_blobs, weights, tokens);
                g.mul(y, routing.shared)
            });
            let routed = Routed { tokens, routing: &routing, sum };
            let sum = match op_set {
                OpSet::Standard => experts_sparse(g, config, layer, experts, weights, routed),
                OpSet::Dense => experts_dense(g, config, experts, weights, routed),
            };
            let size = g.shape_of(x, ..);
            let like = g.shape(x).clone();
            FedForward { output: g.reshape_to(sum, size, like), routing: Some(routing) }
        }
    })
}

/// The network that every token goes through.
fn shared(
    g: &mut GraphBuilder,
    config: &Config,
    blobs: GatedBlobs,
    weights: &dyn Weights,
    x: Tensor,
) -> Tensor {
    let gate_up = weights.tensor(g, blobs.gate_up);
    let down = weights.tensor(g, blobs.down);
    gated(g, config.activation(), int(config.intermediate_size()), x, gate_up, down)
}
