//! The feed-forward half of a layer: a plain gated network, or routed experts and a shared one.
//!
//! ```text
//! standard, dense   x ─ tokens ─┬─ router ─ experts (sparse or dense) ─┐
//!                               └─ shared expert ─ x sigmoid(gate) ────┴─ sum
//! plugin            x ─ router ─ SparseMoe (experts) ─ SparseMoe (shared expert, its gate as logit) + the experts' sum
//! ```

use tmoe_model::Config;
use tmoe_onnx::GraphBuilder;
use tmoe_ops::cpu::Scoring;
use tmoe_package::OpSet;

use super::experts_dense::experts_dense;
use super::experts_plugin::{Mixture, sparse_moe};
use super::experts_sparse::experts_sparse;
use super::gated::gated;
use super::router::{Routed, RouterScores, Routing, choose, score, shared_gate};
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
    g.scoped("ffn_layer", |g| match (blobs, op_set) {
        (FfnBlobs::Dense(network), OpSet::Plugin) => {
            // One expert: whatever its logit, its weight is 1.
            let router_logits = g.scoped("one_expert", |g| g.slice(x, &[0], &[1], &[2], &[1]));
            let scoring = Scoring::Softmax;
            let mixture = Mixture { tokens: x, router_logits, scoring, top_k: 1, addend: None };
            FedForward { output: sparse_moe(g, config, network, weights, mixture), routing: None }
        }
        (FfnBlobs::Dense(network), OpSet::Standard | OpSet::Dense) => {
            FedForward { output: every_token(g, config, network, weights, x), routing: None }
        }
        (FfnBlobs::Sparse { router, experts, shared }, OpSet::Plugin) => {
            let scores = score(g, config, weights, router, x);
            let output = fused_experts(g, config, [experts, shared], weights, x, &scores);
            let routing = with_routing.then(|| {
                let logits = by_token(g, scores.logits);
                choose(g, config, logits)
            });
            FedForward { output, routing }
        }
        (FfnBlobs::Sparse { router, experts, shared }, OpSet::Standard | OpSet::Dense) => {
            let tokens = by_token(g, x);
            let scores = score(g, config, weights, router, tokens);
            let sum = shared_expert(g, config, shared, weights, tokens, &scores);
            let routing = choose(g, config, scores.logits);
            let routed = Routed { tokens, routing: &routing, sum };
            let sum = match op_set {
                OpSet::Dense => experts_dense(g, config, experts, weights, routed),
                _ => experts_sparse(g, config, layer, experts, weights, routed),
            };
            let size = g.shape_of(x, ..);
            let like = g.shape(x).clone();
            FedForward { output: g.reshape_to(sum, size, like), routing: Some(routing) }
        }
    })
}

/// `[batch, positions, ..]` with the positions of all series in one axis.
fn by_token(g: &mut GraphBuilder, x: Tensor) -> Tensor {
    let like = g.shape(x).clone();
    g.reshape(x, [like[0].clone() * like[1].clone(), like[2].clone()])
}

/// The routed experts and the shared one as two nodes, of which the second adds to the first one's output.
fn fused_experts(
    g: &mut GraphBuilder,
    config: &Config,
    [experts, shared]: [GatedBlobs; 2],
    weights: &dyn Weights,
    tokens: Tensor,
    scores: &RouterScores,
) -> Tensor {
    let routed = g.scoped("experts", |g| {
        let router_logits = scores.logits;
        let (scoring, top_k) = (Scoring::Softmax, config.top_k());
        let mixture = Mixture { tokens, router_logits, scoring, top_k, addend: None };
        sparse_moe(g, config, experts, weights, mixture)
    });
    g.scoped("shared_expert", |g| {
        let router_logits = scores.shared_logit;
        let (scoring, addend) = (Scoring::Sigmoid, Some(routed));
        let mixture = Mixture { tokens, router_logits, scoring, top_k: 1, addend };
        sparse_moe(g, config, shared, weights, mixture)
    })
}

/// The shared expert of every token, times its gate: `[tokens, hidden]`.
fn shared_expert(
    g: &mut GraphBuilder,
    config: &Config,
    blobs: GatedBlobs,
    weights: &dyn Weights,
    tokens: Tensor,
    scores: &RouterScores,
) -> Tensor {
    let gate = shared_gate(g, scores.shared_logit);
    g.scoped("shared_expert", |g| {
        let y = every_token(g, config, blobs, weights, tokens);
        g.mul(y, gate)
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
