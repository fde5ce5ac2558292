//! The final norm and the horizon heads, all heads in one product.

use tmoe_model::Config;
use tmoe_onnx::GraphBuilder;
use tmoe_package::OpSet;

use super::linear::product;
use super::norm::{Hidden, norm};
use super::{Tensor, Weights, int};
use crate::weights::WeightLayout;

/// The graph output of the head that forecasts `horizon` points.
pub(crate) fn output_name(horizon: usize) -> String {
    format!("predictions.h{horizon}")
}

/// Predictions of every head at the positions of `hidden` `[batch, positions, hidden]`: `[batch, positions, horizon]`
/// each, in the order of the configuration.
pub(crate) fn heads(
    g: &mut GraphBuilder,
    config: &Config,
    op_set: OpSet,
    layout: &WeightLayout,
    weights: &dyn Weights,
    hidden: Hidden,
) -> Vec<Tensor> {
    let hidden = norm(g, config, weights, "norm", hidden, layout.final_norm).normed;
    g.scoped("lm_heads", |g| {
        let all = product(g, op_set, weights, hidden, layout.heads);
        let sizes: Vec<i64> = config.horizon_lengths().iter().copied().map(int).collect();
        match sizes.as_slice() {
            [_] => vec![all],
            _ => g.split(all, -1, &sizes),
        }
    })
}
