//! The shapes that engines take: one profile for prefill, which has no past, and one for decode.

use tmoe_package::{Manifest, Profile, Span};
use tmoe_tensorrt::{NetworkTensor, OptimizationProfile};

use super::error::EngineBuildError;

/// The shapes that an engine must take. What decode may see follows from the model: as many new points as the largest head
/// gives, on a cache up to the model's positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineShapes {
    /// Series at a time.
    pub batch: Span,
    /// Points of context.
    pub context: Span,
}

impl EngineShapes {
    /// One to eight series, tuned for one; up to 2048 points, tuned for 512, as far as the model goes.
    pub fn of(manifest: &Manifest) -> Self {
        let (batch, context) = Profile::usual(manifest);
        Self { batch, context }
    }

    pub(super) fn check(&self, manifest: &Manifest) -> Result<(), EngineBuildError> {
        let positions = manifest.model.max_positions();
        for (option, span, most) in
            [("batch", self.batch, u32::MAX as usize), ("context", self.context, positions)]
        {
            let Span { min, opt, max } = span;
            if !(1 <= min && min <= opt && opt <= max && max as usize <= most) {
                let expected = match option {
                    "context" => format!("1 <= MIN <= OPT <= MAX <= {positions}, the model's positions"),
                    _ => "1 <= MIN <= OPT <= MAX".to_owned(),
                };
                return Err(EngineBuildError::Shapes {
                    option,
                    found: format!("{min},{opt},{max}"),
                    expected,
                });
            }
        }
        Ok(())
    }

    /// The profiles, in the engine's order.
    pub(super) fn profiles(&self, manifest: &Manifest) -> Vec<Profile> {
        Profile::prefill_and_decode(manifest, self.batch, self.context).into()
    }
}

/// A profile in terms of a network's inputs.
pub(super) fn optimization_profile(profile: &Profile, inputs: &[NetworkTensor]) -> OptimizationProfile {
    let Profile { batch, sequence, past, .. } = profile;
    let [min, opt, max]: [[i64; 3]; 3] = [
        [batch.min, sequence.min, past.min],
        [batch.opt, sequence.opt, past.opt],
        [batch.max, sequence.max, past.max],
    ]
    .map(|sizes| sizes.map(i64::from));
    inputs.iter().fold(OptimizationProfile::new(), |profile, input| {
        let shape = |[batch, sequence, past]: [i64; 3]| match input.name.as_str() {
            "input_ids" | "labels" | "loss_masks" => fill(&input.shape, &[batch, sequence]),
            "attention_mask" => fill(&input.shape, &[batch, past + sequence]),
            // past_key_values.{i}.{key,value}: [batch, kv_heads, past, head_dim]
            _ => fill(&input.shape, &[batch, past]),
        };
        let least = match input.name.as_str() {
            // The weights of a loss, which may be left out.
            "loss_masks" => shape([min[0], 0, 0]),
            _ => shape(min),
        };
        profile.shapes(input.name.clone(), &least, &shape(opt), &shape(max))
    })
}

/// A shape with its open dimensions taken from the sizes, in order.
fn fill(shape: &[i64], sizes: &[i64]) -> Vec<i64> {
    let mut sizes = sizes.iter();
    shape.iter().map(|&dim| if dim < 0 { sizes.next().copied().unwrap_or(1) } else { dim }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_dimensions_take_the_sizes_in_order() {
        assert_eq!(fill(&[-1, -1, 1], &[8, 512]), [8, 512, 1]);
        assert_eq!(fill(&[-1, 12, -1, 32], &[8, 100]), [8, 12, 100, 32]);
    }
}
