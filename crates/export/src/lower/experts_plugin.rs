//! Gated networks as one node, `tmoe.SparseMoe` (op set `plugin`): routed experts, or one network for every token.

use tmoe_model::Config;
use tmoe_onnx::{DataType, GraphBuilder};
use tmoe_ops::cpu::Scoring;
use tmoe_ops::schema::{DOMAIN, SPARSE_MOE};

use super::{Tensor, Weights, int, typed};
use crate::weights::GatedBlobs;

/// What a node works on.
#[derive(Clone, Copy)]
pub(crate) struct Mixture {
    /// `[.., hidden]`.
    pub(crate) tokens: Tensor,
    /// `[.., experts]`.
    pub(crate) router_logits: Tensor,
    /// What the experts' weights are made of.
    pub(crate) scoring: Scoring,
    /// How many of the experts that the router likes best work on a token.
    pub(crate) top_k: usize,
    /// `[.., hidden]`, which their weighted sum is added to.
    pub(crate) addend: Option<Tensor>,
}

/// The weighted sum of each token's experts, `[.., hidden]`.
pub(crate) fn sparse_moe(
    g: &mut GraphBuilder,
    config: &Config,
    blobs: GatedBlobs,
    weights: &dyn Weights,
    mixture: Mixture,
) -> Tensor {
    let Mixture { tokens, router_logits, scoring, top_k, addend } = mixture;
    let (gate_up, down) = (weights.stack(g, blobs.gate_up), weights.stack(g, blobs.down));
    let [gate_up_scale, down_scale] = [blobs.gate_up, blobs.down].map(|id| weights.stack_scale(g, id));
    let shape = g.shape(tokens).clone();
    let outputs = g.custom(
        DOMAIN,
        SPARSE_MOE.name,
        &[
            Some(tokens.any()),
            Some(router_logits.any()),
            Some(gate_up),
            Some(down),
            gate_up_scale,
            down_scale,
            addend.map(Tensor::any),
        ],
        &[
            ("top_k", int(top_k).into()),
            ("activation", config.activation().name().into()),
            ("scoring", scoring.name().into()),
        ],
        &[(DataType::Float32, shape)],
    );
    typed(&outputs, 0)
}
