//! Gated networks as one node, `tmoe.SparseMoe` (op set `plugin`): routed experts, or one network for every token.

use tmoe_model::Config;
use tmoe_onnx::{DataType, GraphBuilder};
use tmoe_ops::schema::{DOMAIN, SPARSE_MOE};

use super::{Tensor, Weights, int, typed};
use crate::weights::GatedBlobs;

/// The weighted sum of the `top_k` experts of each token that the router likes best: `tokens` `[.., hidden]` and
/// `router_logits` `[.., experts]` to `[.., hidden]`.
pub(crate) fn sparse_moe(
    g: &mut GraphBuilder,
    config: &Config,
    blobs: GatedBlobs,
    weights: &dyn Weights,
    tokens: Tensor,
    router_logits: Tensor,
    top_k: usize,
) -> Tensor {
    let (gate_up, down) = (weights.stack(g, blobs.gate_up), weights.stack(g, blobs.down));
    let scales = [blobs.gate_up, blobs.down].map(|id| weights.stack_scale(g, id));
    let shape = g.shape(tokens).clone();
    let outputs = g.custom(
        DOMAIN,
        SPARSE_MOE.name,
        &[Some(tokens.any()), Some(router_logits.any()), Some(gate_up), Some(down), scales[0], scales[1]],
        &[("top_k", int(top_k).into()), ("activation", config.activation().name().into())],
        &[(DataType::Float32, shape)],
    );
    typed(&outputs, 0)
}
