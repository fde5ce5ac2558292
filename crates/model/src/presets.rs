//! Configurations by name.

use std::fmt;
use std::str::FromStr;

use crate::activation::Activation;
use crate::config::{Config, ConfigError, HfConfig};

/// A named configuration: the three published sizes, and a small one for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// `50m`, the released base model: 12 layers, 12 heads, hidden 384.
    Base50m,
    /// `200m`, the released large model: 12 layers, 12 heads, hidden 768.
    Large200m,
    /// `ultra`, the largest published size: 36 layers, 16 heads, hidden 1024.
    Ultra,
    /// `tiny`: 2 layers, 4 heads, hidden 32, 4 experts. Small enough for a test, and with everything
    /// that a large model has.
    Tiny,
}

impl Preset {
    /// Every preset, by size.
    pub const ALL: [Preset; 4] = [Preset::Tiny, Preset::Base50m, Preset::Large200m, Preset::Ultra];

    /// The name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Base50m => "50m",
            Preset::Large200m => "200m",
            Preset::Ultra => "ultra",
            Preset::Tiny => "tiny",
        }
    }

    /// The configuration.
    ///
    /// # Errors
    ///
    /// Never in practice, which a test holds: the type is the one of [`Config::try_from`].
    pub fn config(self) -> Result<Config, ConfigError> {
        let (layers, heads, hidden, intermediate, experts, positions) = match self {
            Preset::Base50m => (12, 12, 384, 1536, 8, 4096),
            Preset::Large200m => (12, 12, 768, 3072, 8, 4096),
            Preset::Ultra => (36, 16, 1024, 4096, 8, 4096),
            Preset::Tiny => (2, 4, 32, 64, 4, 512),
        };
        Config::try_from(HfConfig {
            num_hidden_layers: layers,
            num_attention_heads: heads,
            hidden_size: hidden,
            intermediate_size: intermediate,
            num_experts: experts,
            num_experts_per_tok: 2,
            max_position_embeddings: positions,
            horizon_lengths: vec![1, 8, 32, 64].into(),
            hidden_act: Activation::Silu.name().to_owned(),
            ..HfConfig::time_moe()
        })
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no [`Preset`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown preset {found:?}, expected one of tiny, 50m, 200m, ultra")]
pub struct UnknownPreset {
    /// The text.
    pub found: String,
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        Preset::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| UnknownPreset { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_valid_configuration_and_is_found_by_its_name() {
        for preset in Preset::ALL {
            preset.config().unwrap();
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
    }

    #[test]
    fn the_published_sizes_have_113_million_453_million_and_2_4_billion_parameters() {
        // Added up by hand from the list of tensors: embedding 2 h; per layer attention 4 h^2 + 3 h,
        // norms 2 h, router 8 h, experts 8 * 3 h i / 2, shared expert 3 h i + h; norm h; heads 105 h.
        let count = |preset: Preset| preset.config().unwrap().parameter_count();
        assert_eq!(count(Preset::Base50m), 113_352_192);
        assert_eq!(count(Preset::Large200m), 453_196_800);
        assert_eq!(count(Preset::Ultra), 2_416_545_792);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "100m".parse::<Preset>().unwrap_err();
        assert_eq!(error.to_string(), "unknown preset \"100m\", expected one of tiny, 50m, 200m, ultra");
    }
}
