//! Distributions of random weights.

use rand::Rng;
use rand::rngs::Xoshiro256PlusPlus;

use crate::config::Config;
use crate::tensors::{FfnPart, TensorName};

/// Standard deviation of norms around 1 and of biases around 0: transformers' `initializer_range`.
const SMALL: f32 = 0.02;

/// Standard deviation of router logits for inputs of variance 1. With it, the probabilities of 8 experts
/// typically span two orders of magnitude.
const ROUTER_SPREAD: f32 = 2.0;

/// Mean and standard deviation of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Init {
    pub(super) mean: f32,
    pub(super) deviation: f32,
}

impl Init {
    /// A linear layer gets the deviation `1 / sqrt(in)`, which maps inputs of variance 1 to outputs of
    /// variance 1; transformers' fixed 0.02 is that for 2500 inputs and lets small models fade. What is
    /// added to the residual stream, twice per layer, is divided by `sqrt(2 layers)` so that the stream
    /// does not grow with depth (Radford et al. 2019, section 2.3).
    pub(super) fn of(name: TensorName, config: &Config) -> Self {
        use TensorName::*;

        let centred = |deviation| Init { mean: 0.0, deviation };
        let linear = |inputs: usize| 1.0 / (inputs as f32).sqrt();
        let residual = 1.0 / (2.0 * config.layers() as f32).sqrt();
        let hidden = linear(config.hidden_size());
        let ffn = |part, width: usize| match part {
            FfnPart::Gate | FfnPart::Up => hidden,
            FfnPart::Down => linear(width) * residual,
        };
        match name {
            InputNorm(_) | PostAttentionNorm(_) | FinalNorm => Init { mean: 1.0, deviation: SMALL },
            QueryBias(_) | KeyBias(_) | ValueBias(_) => centred(SMALL),
            Embed | EmbedGate => centred(linear(config.input_size())),
            Query(_) | Key(_) | Value(_) | SharedExpertGate(_) | Head(_) => centred(hidden),
            AttentionOutput(_) => centred(hidden * residual),
            Router(_) => centred(hidden * ROUTER_SPREAD),
            Expert { part, .. } => {
                let width = config.expert_ffn().unwrap_or(config.intermediate_size());
                centred(ffn(part, width))
            }
            SharedExpert { part, .. } | Dense { part, .. } => centred(ffn(part, config.intermediate_size())),
        }
    }

    /// Fills `out` with values of this mean and deviation, roughly normal: sums of four uniform numbers
    /// (Irwin-Hall), so none is further than 3.47 deviations from the mean.
    ///
    /// One draw of 64 bits per value, and operations that IEEE 754 defines to the bit: the same numbers on
    /// every platform.
    pub(super) fn fill(self, rng: &mut Xoshiro256PlusPlus, out: &mut [f32]) {
        /// Mean of the sum of four uniform integers below 2^16.
        const CENTRE: i32 = 2 * 65_535;
        const LANES: u64 = 0x0000_ffff_0000_ffff;
        // Its standard deviation: four times the variance (2^32 - 1) / 12 of one.
        let scale = self.deviation / ((4_294_967_295.0_f64 / 3.0).sqrt() as f32);
        for value in out {
            let bits = rng.next_u64();
            // Four lanes of 16 bits, added as two pairs and then together.
            let pairs = (bits & LANES) + (bits >> 16 & LANES);
            let sum = (pairs as u32 + (pairs >> 32) as u32) as i32;
            *value = (sum - CENTRE) as f32 * scale + self.mean;
        }
    }
}
