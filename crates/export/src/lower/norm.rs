//! Root mean square normalisation (Zhang & Sennrich 2019): `x / sqrt(mean(x^2) + eps) * weight`; in the op set `plugin` together
//! with the residual sum before it, as `tmoe.AddRmsNorm`.
//!
//! ```text
//! standard, dense   hidden ─┬─ RMSNormalization ─ attention or feed-forward ─ Add ─┬─ RMSNormalization ─ …
//!                           └──────────────────────────────────────────────────────┘
//! plugin            hidden ─┬─ attention or feed-forward ─ AddRmsNorm ─┬─ …
//!                           └─────────────────────────────────┴────────┘ (the sum, its second output)
//! ```

use tmoe_model::Config;
use tmoe_onnx::{DataType, GraphBuilder};
use tmoe_ops::schema::{ADD_RMS_NORM, DOMAIN};
use tmoe_package::OpSet;

use super::{Tensor, Weights, typed};
use crate::weights::BlobId;

/// The hidden state between the halves of the layers, `[batch, positions, hidden]`.
#[derive(Clone, Copy)]
pub(crate) enum Hidden {
    /// As it is.
    Whole(Tensor),
    /// A residual, and what the next norm adds to it.
    Unsummed { residual: Tensor, update: Tensor },
}

impl Hidden {
    /// The residual, updated: where the next norm does not add, here and now.
    pub(crate) fn updated(g: &mut GraphBuilder, op_set: OpSet, residual: Tensor, update: Tensor) -> Self {
        match op_set {
            OpSet::Plugin => Self::Unsummed { residual, update },
            OpSet::Standard | OpSet::Dense => Self::Whole(g.add(residual, update)),
        }
    }

    /// One value.
    pub(crate) fn whole(self, g: &mut GraphBuilder) -> Tensor {
        match self {
            Self::Whole(hidden) => hidden,
            Self::Unsummed { residual, update } => g.add(residual, update),
        }
    }
}

/// A hidden state, as it is and normalised.
pub(crate) struct Normed {
    pub(crate) hidden: Tensor,
    pub(crate) normed: Tensor,
}

/// Normalises the last axis, in a scope of the norm's name.
pub(crate) fn norm(
    g: &mut GraphBuilder,
    config: &Config,
    weights: &dyn Weights,
    name: &str,
    hidden: Hidden,
    weight: BlobId,
) -> Normed {
    g.scoped(name, |g| {
        let weight = weights.tensor(g, weight);
        let epsilon = config.rms_norm_eps() as f32;
        match hidden {
            Hidden::Whole(hidden) => {
                Normed { hidden, normed: g.rms_normalization(hidden, weight, epsilon, -1) }
            }
            Hidden::Unsummed { residual, update } => {
                let shape = g.shape(residual).clone();
                let outputs = g.custom(
                    DOMAIN,
                    ADD_RMS_NORM.name,
                    &[update.any(), residual.any(), weight.any()].map(Some),
                    &[("epsilon", epsilon.into())],
                    &[(DataType::Float32, shape.clone()), (DataType::Float32, shape)],
                );
                Normed { normed: typed(&outputs, 0), hidden: typed(&outputs, 1) }
            }
        }
    })
}
