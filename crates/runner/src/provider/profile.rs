//! Which shapes TensorRT was told to expect: a pass runs in a profile that covers it.

use tmoe_package::Profile;

use crate::error::{Error, GraphSource};
use crate::signature::{InputError, Signature, Sizes};
use crate::tensor::NamedTensors;

/// The sizes of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PassShape {
    pub(super) batch: usize,
    pub(super) sequence: usize,
    pub(super) past: usize,
}

impl PassShape {
    /// Of a pass of a generation whose cache holds `past` points.
    pub(super) fn after(
        past: usize,
        signature: &Signature,
        inputs: &NamedTensors,
    ) -> Result<Self, InputError> {
        Ok(Self { past, ..Self::of(&signature.check_given(inputs)?) })
    }

    /// As all inputs say.
    pub(super) fn of(sizes: &Sizes) -> Self {
        let [batch, sequence, past] = ["batch", "sequence", "past"].map(|name| sizes.get(name).unwrap_or(0));
        Self { batch, sequence, past }
    }

    /// The first profile that covers it. `rebuild` is the command that makes others.
    pub(super) fn covered_by(
        self,
        profiles: &[Profile],
        graph: &GraphSource,
        rebuild: impl FnOnce() -> String,
    ) -> Result<usize, Error> {
        let Self { batch, sequence, past } = self;
        profiles.iter().position(|profile| profile.covers(batch, sequence, past)).ok_or_else(|| {
            Error::Profile {
                graph: graph.clone(),
                batch,
                sequence,
                past,
                profiles: profiles.to_vec(),
                rebuild: rebuild(),
            }
        })
    }
}

/// How many series every profile takes.
pub(super) fn max_batch(profiles: &[Profile]) -> Option<usize> {
    profiles.iter().map(|profile| profile.batch.max as usize).min()
}

#[cfg(test)]
mod tests {
    use tmoe_package::Span;

    use super::*;

    fn profiles() -> Vec<Profile> {
        let span = |min, max| Span { min, opt: max, max };
        let profile =
            |name: &str, sequence, past| Profile { name: name.to_owned(), batch: span(1, 8), sequence, past };
        vec![profile("prefill", span(1, 2048), span(0, 0)), profile("decode", span(1, 64), span(1, 4095))]
    }

    fn covering(batch: usize, sequence: usize, past: usize) -> Result<usize, Error> {
        let shape = PassShape { batch, sequence, past };
        shape.covered_by(&profiles(), &GraphSource::File("p/model.engine".into()), || "rebuild".to_owned())
    }

    #[test]
    fn a_pass_on_an_empty_cache_is_a_prefill_and_others_are_decodes() {
        assert_eq!(covering(1, 64, 0).unwrap(), 0);
        assert_eq!(covering(8, 64, 1).unwrap(), 1);
        assert_eq!(covering(1, 1, 4095).unwrap(), 1);
    }

    #[test]
    fn a_pass_that_no_profile_covers_is_told_with_its_shape_and_the_profiles() {
        for (batch, sequence, past) in [(9, 1, 0), (1, 2049, 0), (1, 65, 1), (1, 1, 4096)] {
            let text = covering(batch, sequence, past).unwrap_err().to_string();
            let shape = format!("batch {batch}, sequence {sequence}, past {past}");
            let expected = [
                "p/model.engine",
                shape.as_str(),
                "prefill (batch 1 to 8, sequence 1 to 2048, past 0 to 0)",
                "decode (batch 1 to 8, sequence 1 to 64, past 1 to 4095)",
                "rebuild",
            ];
            assert!(expected.iter().all(|part| text.contains(part)), "{text}");
        }
        let text = |batch, sequence| covering(batch, sequence, 0).unwrap_err().to_string();
        assert!(text(9, 1).contains("forecast at most 8 series at once, or rebuild"), "{}", text(9, 1));
        let context = "forecast from at most 2048 points, or rebuild";
        assert!(text(1, 2049).contains(context), "{}", text(1, 2049));
        assert_eq!(max_batch(&profiles()), Some(8));
    }
}
