//! Which experts each token goes to, and how much of the shared expert it gets.
//!
//! ```text
//! tokens ─ router product ─┬─ logits ─ softmax over all experts ─ top-k (weights are not renormalised)
//!                          └─ shared expert's gate ─ sigmoid
//! ```

use tmoe_model::Config;
use tmoe_onnx::{F32, GraphBuilder, I64, Value};

use super::{Tensor, Weights, batch, fixed, int, sequence};
use crate::weights::BlobId;

/// What the router says of a batch of tokens.
#[derive(Clone, Copy)]
pub(crate) struct RouterScores {
    /// `[.., experts]`.
    pub(crate) logits: Tensor,
    /// Gate of the shared expert before its sigmoid, `[.., 1]`.
    pub(crate) shared_logit: Tensor,
}

/// The experts chosen for a batch of tokens.
#[derive(Clone, Copy)]
pub(crate) struct Routing {
    /// Softmax over all experts, `[tokens, experts]`.
    pub(crate) probabilities: Tensor,
    /// Weights of the chosen experts, `[tokens, top_k]`, largest first.
    pub(crate) weights: Tensor,
    /// The chosen experts, `[tokens, top_k]`; equal probabilities go to the lower index.
    pub(crate) experts: Value<I64>,
}

/// What the routed experts work on.
#[derive(Clone, Copy)]
pub(crate) struct Routed<'a> {
    /// `[tokens, hidden]`.
    pub(crate) tokens: Tensor,
    /// Where each of them goes.
    pub(crate) routing: &'a Routing,
    /// What the experts' outputs are added to, `[tokens, hidden]`.
    pub(crate) sum: Tensor,
}

/// Scores tokens `[.., hidden]`.
pub(crate) fn score(
    g: &mut GraphBuilder,
    config: &Config,
    weights: &dyn Weights,
    router: BlobId,
    tokens: Tensor,
) -> RouterScores {
    g.scoped("router", |g| {
        let weight = weights.tensor(g, router);
        let both = g.matmul(tokens, weight);
        let parts = g.split(both, -1, &[int(config.experts()), 1]);
        RouterScores { logits: parts[0], shared_logit: parts[1] }
    })
}

/// The weight of the shared expert from its logit.
pub(crate) fn shared_gate(g: &mut GraphBuilder, logit: Tensor) -> Tensor {
    g.scoped("router", |g| g.scoped("shared_expert_gate", |g| g.sigmoid(logit)))
}

/// Chooses the experts of each token.
pub(crate) fn choose(g: &mut GraphBuilder, config: &Config, logits: Tensor) -> Routing {
    g.scoped("router", |g| {
        let probabilities = g.softmax(logits, -1);
        let (weights, experts) = g.top_k(probabilities, int(config.top_k()), -1, true, true);
        Routing { probabilities, weights, experts }
    })
}

/// What the load-balancing loss needs of one layer's routing, summed over the real tokens.
#[derive(Clone, Copy)]
pub(crate) struct RouterStatistics {
    /// How often each expert was chosen, `[experts]`.
    pub(crate) chosen: Tensor,
    /// Sum of each expert's probability, `[experts]`.
    pub(crate) probability: Tensor,
}

/// Sums a routing over the tokens whose `mask` `[batch, sequence]` is 1.
pub(crate) fn statistics(
    g: &mut GraphBuilder,
    config: &Config,
    routing: &Routing,
    mask: Tensor,
) -> RouterStatistics {
    g.scoped("router_statistics", |g| {
        let mask = g.reshape(mask, [batch() * sequence(), fixed(1)]);
        let hits = one_hot(g, config, routing.experts);
        let per_token = g.reduce_sum(hits, &[1], false);
        let masked = g.mul(per_token, mask);
        let chosen = g.reduce_sum(masked, &[0], false);
        let masked = g.mul(routing.probabilities, mask);
        let probability = g.reduce_sum(masked, &[0], false);
        RouterStatistics { chosen, probability }
    })
}

/// `[tokens, top_k]` expert indices to `[tokens, top_k, experts]` of zeros and ones.
pub(crate) fn one_hot(g: &mut GraphBuilder, config: &Config, experts: Value<I64>) -> Tensor {
    g.scoped("one_hot", |g| {
        let all: Vec<i64> = (0..int(config.experts())).collect();
        let all = g.const_i64(&all);
        let chosen = g.unsqueeze(experts, &[2]);
        let hit = g.equal(chosen, all);
        g.cast::<F32>(hit)
    })
}
