//! The feed-forward half of a layer: a plain gated network, or routed experts and a shared one.
//!
//! ```text
//! x ─ tokens ─┬─ router ─ experts (sparse, dense or as one node) ─┐
//!             └─ shared expert ─ x sigmoid(gate) ─────────────────┴─ sum
//! ```

use tmoe_model::Config;
use tmoe_onnx::GraphBuilder;
use tmoe_package::OpSet;

use super::experts_dense::experts_dense;
use super::experts_plugin::sparse_moe;
use super::experts_sparse::experts_sparse;
use super::gated::gated;
use super::router::{Routed, RouterScores, Routing, choose, score};
use super::{Tensor, Weights, int};
use crate::weights::{FfnBlobs, GatedBlobs};

/// The output, and the routing where it is asked for and there is one.
pub(crate) struct FedForward {
    /// `[batch, positions, hidden]`, as the input.
    pub(crate) output: Tensor,
    /// Over the tokens of the input in row-major order.
    pub(crate) routing: Option<Routing>,
}

/// A layer's network as it is to be lowered.
#[derive(Clone, Copy)]
pub(crate) struct FeedForward {
    pub(crate) op_set: OpSet,
    pub(crate) layer: usize,
    pub(crate) blobs: FfnBlobs,
    /// Asks for the routing, for its statistics.
    pub(crate) with_routing: bool,
}

/// Runs the network of a layer on `x` `[batch, positions, hidden]`, already normalised.
pub(crate) fn feed_forward(
    g: &mut GraphBuilder,
    config: &Config,
    network: FeedForward,
    weights: &dyn Weights,
    x: Tensor,
) -> FedForward {
    let FeedForward { op_set, layer, blobs, with_routing } = network;
    g.scoped("ffn_layer", |g| match blobs {
        FfnBlobs::Dense(network) => {
            let output = match op_set {
                // One expert: whatever its logit, its weight is 1.
                OpSet::Plugin => {
                    let logit = g.scoped("one_expert", |g| g.slice(x, &[0], &[1], &[2], &[1]));
                    sparse_moe(g, config, network, weights, x, logit, 1)
                }
                OpSet::Standard | OpSet::Dense => every_token(g, config, network, weights, x),
            };
            FedForward { output, routing: None }
        }
        FfnBlobs::Sparse { router, experts, shared } => {
            let tokens = {
                let like = g.shape(x).clone();
                g.reshape(x, [like[0].clone() * like[1].clone(), like[2].clone()])
            };
            let scores = score(g, config, weights, router, tokens);
            let sum = shared_expert(g, config, op_set, shared, weights, tokens, &scores);
            let routing = (with_routing || op_set != OpSet::Plugin).then(|| choose(g, config, scores.logits));
            let sum = match (op_set, &routing) {
                (OpSet::Standard, Some(routing)) => {
                    experts_sparse(g, config, layer, experts, weights, Routed { tokens, routing, sum })
                }
                (OpSet::Dense, Some(routing)) => {
                    experts_dense(g, config, experts, weights, Routed { tokens, routing, sum })
                }
                _ => {
                    let y = g.scoped("experts", |g| {
                        sparse_moe(g, config, experts, weights, tokens, scores.logits, config.top_k())
                    });
                    g.add(sum, y)
                }
            };
            let size = g.shape_of(x, ..);
            let like = g.shape(x).clone();
            FedForward { output: g.reshape_to(sum, size, like), routing }
        }
    })
}

/// The shared expert of every token, times its gate: `[tokens, hidden]`.
fn shared_expert(
    g: &mut GraphBuilder,
    config: &Config,
    op_set: OpSet,
    blobs: GatedBlobs,
    weights: &dyn Weights,
    tokens: Tensor,
    scores: &RouterScores,
) -> Tensor {
    g.scoped("shared_expert", |g| {
        let y = match op_set {
            // One expert: whatever its logit, its weight is 1.
            OpSet::Plugin => sparse_moe(g, config, blobs, weights, tokens, scores.shared_logit, 1),
            OpSet::Standard | OpSet::Dense => every_token(g, config, blobs, weights, tokens),
        };
        g.mul(y, scores.shared)
    })
}

/// A network that every token goes through, in operators of ai.onnx.
fn every_token(
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
