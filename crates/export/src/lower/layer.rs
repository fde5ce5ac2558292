//! One decoder layer: `h += attention(norm(h))`, `h += feed_forward(norm(h))`.

use tmoe_model::Config;
use tmoe_onnx::GraphBuilder;

use super::attention::{AttentionInputs, attention};
use super::feed_forward::{FeedForward, feed_forward};
use super::norm::{Hidden, Normed, norm};
use super::positions::{Positions, last_of};
use super::router::{RouterStatistics, statistics};
use super::{GraphOptions, LayerCache, Tensor, Weights};
use crate::weights::{LayerBlobs, ProjectionBlobs};

/// What a layer works on.
pub(crate) struct LayerInputs<'a> {
    /// `[batch, sequence, hidden]`.
    pub(crate) hidden: Hidden,
    /// Positions of the pass.
    pub(crate) positions: &'a Positions,
    /// `[batch, kv_heads, past, head_dim]` each.
    pub(crate) cache: LayerCache,
    /// `[batch, sequence]`, 1 = real point: asks for the statistics of the routing.
    pub(crate) statistics_mask: Option<Tensor>,
}

/// What a layer gives.
pub(crate) struct LayerOutputs {
    /// `[batch, sequence, hidden]`, or `[batch, 1, hidden]` where the layer's queries stand apart.
    pub(crate) hidden: Hidden,
    /// The cache with this pass appended.
    pub(crate) present: LayerCache,
    /// Of a routed layer, if asked for.
    pub(crate) statistics: Option<RouterStatistics>,
}

/// Layer number `index`.
pub(crate) fn layer(
    g: &mut GraphBuilder,
    config: &Config,
    options: GraphOptions,
    index: usize,
    blobs: &LayerBlobs,
    weights: &dyn Weights,
    inputs: LayerInputs<'_>,
) -> LayerOutputs {
    g.scoped(format!("layers.{index}"), |g| {
        let LayerInputs { hidden, positions, cache, statistics_mask } = inputs;
        let Normed { hidden, normed } = norm(g, config, weights, "input_layernorm", hidden, blobs.input_norm);
        let attended =
            attention(g, config, options, blobs, weights, AttentionInputs { x: normed, positions, cache });
        let residual = match blobs.projections {
            ProjectionBlobs::Fused(_) => hidden,
            ProjectionBlobs::QueryApart { .. } => g.scoped("last", |g| last_of(g, hidden, 1)),
        };
        let hidden = Hidden::updated(g, options.op_set, residual, attended.output);
        let Normed { hidden, normed } =
            norm(g, config, weights, "post_attention_layernorm", hidden, blobs.post_attention_norm);
        let network = FeedForward {
            op_set: options.op_set,
            layer: index,
            blobs: blobs.ffn,
            with_routing: statistics_mask.is_some(),
        };
        let fed = feed_forward(g, config, network, weights, normed);
        let statistics = match (&fed.routing, statistics_mask) {
            (Some(routing), Some(mask)) => Some(statistics(g, config, routing, mask)),
            _ => None,
        };
        let hidden = Hidden::updated(g, options.op_set, hidden, fed.output);
        LayerOutputs { hidden, present: attended.present, statistics }
    })
}
