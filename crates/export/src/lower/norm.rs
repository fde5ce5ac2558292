//! Root mean square normalisation (Zhang & Sennrich 2019): `x / sqrt(mean(x^2) + eps) * weight`.

use tmoe_model::Config;
use tmoe_onnx::GraphBuilder;

use super::{Tensor, Weights};
use crate::weights::BlobId;

/// Normalises the last axis, in a scope of the norm's name.
pub(crate) fn norm(
    g: &mut GraphBuilder,
    config: &Config,
    weights: &dyn Weights,
    name: &str,
    x: Tensor,
    weight: BlobId,
) -> Tensor {
    g.scoped(name, |g| {
        let weight = weights.tensor(g, weight);
        g.rms_normalization(x, weight, config.rms_norm_eps() as f32, -1)
    })
}
