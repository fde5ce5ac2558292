//! The model's configuration, valid by construction.

mod error;
mod hf;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::error::ConfigError;
pub use self::hf::{HfConfig, Horizons};
use crate::activation::Activation;
use crate::bounded;

/// Longest `config.json` read, in bytes. Real ones have about a thousand.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Largest width or length in any dimension.
const MAX_DIMENSION: usize = 1 << 24;

/// Most layers, heads, experts or horizons: each multiplies the number of tensors or graph nodes.
const MAX_COUNT: usize = 1 << 14;

/// Most parameters. At 8 bytes each, every byte offset stays far inside `i64`.
const MAX_PARAMETERS: u64 = 1 << 48;

/// The configuration of a Time-MoE model.
///
/// A value of this type has passed every rule of [`ConfigError`], so code that holds one can divide by
/// its sizes and multiply them without checks. It serialises as a Hugging Face `config.json` and is
/// checked again when it is deserialised, wherever it is embedded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "HfConfig", into = "HfConfig")]
pub struct Config {
    hidden_size: usize,
    intermediate_size: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    activation: Activation,
    horizon_lengths: Vec<usize>,
    max_positions: usize,
    rms_norm_eps: f64,
    rope_theta: f64,
    experts: usize,
    top_k: usize,
    use_dense: bool,
    apply_aux_loss: bool,
    router_aux_loss_factor: f64,
}

impl Config {
    /// The `model_type` of Time-MoE.
    pub const MODEL_TYPE: &str = "time_moe";

    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Read`] and [`ConfigError::TooLong`] about the file itself;
    /// [`ConfigError::InFile`] around whichever rule its content breaks.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = bounded::read_to_string(path, MAX_FILE_BYTES).map_err(|error| match error {
            bounded::ReadError::Io(source) => ConfigError::Read { path: path.to_path_buf(), source },
            bounded::ReadError::TooLong { found } => {
                ConfigError::TooLong { path: path.to_path_buf(), found, limit: MAX_FILE_BYTES }
            }
        })?;
        Self::from_json_str(&text)
            .map_err(|source| ConfigError::InFile { path: path.to_path_buf(), source: Box::new(source) })
    }

    /// Parses and checks the text of a `config.json`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Json`] for text that is not JSON or has a field of the wrong type, otherwise the
    /// rule that is broken.
    pub fn from_json_str(text: &str) -> Result<Self, ConfigError> {
        // Through HfConfig by hand: deserialising a Config directly would flatten the broken rule
        // into serde's text.
        let raw: HfConfig = serde_json::from_str(text).map_err(ConfigError::Json)?;
        Config::try_from(raw)
    }

    /// The text of a `config.json` that transformers and [`Config::from_json_str`] read.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("strings, finite numbers and lists of numbers are always JSON") + "\n"
    }

    /// Values per point: always 1.
    pub const fn input_size(&self) -> usize {
        1
    }

    /// Width of the residual stream.
    pub const fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// Width of the shared expert, or of the dense feed-forward network.
    pub const fn intermediate_size(&self) -> usize {
        self.intermediate_size
    }

    /// Number of transformer layers (`num_hidden_layers`).
    pub const fn layers(&self) -> usize {
        self.layers
    }

    /// Number of query heads (`num_attention_heads`).
    pub const fn heads(&self) -> usize {
        self.heads
    }

    /// Number of key and value heads (`num_key_value_heads`); divides [`Config::heads`].
    pub const fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Width of one attention head, even: `hidden_size / heads`.
    pub const fn head_dim(&self) -> usize {
        self.hidden_size / self.heads
    }

    /// Width of all keys, or all values, of one point: `kv_heads * head_dim`.
    pub const fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim()
    }

    /// The activation of embedding, experts and dense feed-forward network (`hidden_act`).
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    /// Forecast length of each output head in points: ascending, different, at least one.
    pub fn horizon_lengths(&self) -> &[usize] {
        &self.horizon_lengths
    }

    /// Longest sequence the model is made for, in points (`max_position_embeddings`).
    pub const fn max_positions(&self) -> usize {
        self.max_positions
    }

    /// Added to the mean square in every RMSNorm.
    pub const fn rms_norm_eps(&self) -> f64 {
        self.rms_norm_eps
    }

    /// Base of the rotary embedding's wavelengths.
    pub const fn rope_theta(&self) -> f64 {
        self.rope_theta
    }

    /// Routed experts per layer (`num_experts`). Without meaning when [`Config::use_dense`].
    pub const fn experts(&self) -> usize {
        self.experts
    }

    /// Experts that each token is routed to (`num_experts_per_tok`). Without meaning when
    /// [`Config::use_dense`].
    pub const fn top_k(&self) -> usize {
        self.top_k
    }

    /// Width of one routed expert: `intermediate_size / num_experts_per_tok`, rounded down as the
    /// original does; `None` when [`Config::use_dense`].
    pub const fn expert_ffn(&self) -> Option<usize> {
        if self.use_dense { None } else { Some(self.intermediate_size / self.top_k) }
    }

    /// Whether each layer has one plain gated feed-forward network in place of experts.
    pub const fn use_dense(&self) -> bool {
        self.use_dense
    }

    /// Whether the training loss includes the load-balancing loss.
    pub const fn apply_aux_loss(&self) -> bool {
        self.apply_aux_loss
    }

    /// Weight of the load-balancing loss in the training loss.
    pub const fn router_aux_loss_factor(&self) -> f64 {
        self.router_aux_loss_factor
    }

    /// Number of parameters: the sum of the elements of all tensors.
    pub fn parameter_count(&self) -> u64 {
        // At most MAX_PARAMETERS, which try_from has checked.
        self.parameter_count_wide() as u64
    }

    /// In closed form rather than as a sum over tensors, because it has to be known for sizes that
    /// name more tensors than one would want to enumerate. `u128` holds it for all sizes in limits.
    fn parameter_count_wide(&self) -> u128 {
        let wide = |n: usize| n as u128;
        let hidden = wide(self.hidden_size);
        let kv = wide(self.kv_width());
        let shared = wide(self.intermediate_size);
        let attention = 2 * hidden * hidden + hidden + 2 * (kv * hidden + kv);
        let feed_forward = match self.expert_ffn() {
            None => 3 * hidden * shared,
            Some(expert_ffn) => {
                let experts = wide(self.experts);
                let router = experts * hidden;
                let shared_expert = 3 * hidden * shared + hidden;
                router + experts * 3 * hidden * wide(expert_ffn) + shared_expert
            }
        };
        let norms = 2 * hidden;
        let embedding = 2 * hidden * wide(self.input_size());
        let horizon: u128 = self.horizon_lengths.iter().copied().map(wide).sum();
        let heads = horizon * wide(self.input_size()) * hidden;
        embedding + wide(self.layers) * (attention + feed_forward + norms) + hidden + heads
    }
}

impl TryFrom<HfConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: HfConfig) -> Result<Self, ConfigError> {
        match raw.model_type {
            None => return Err(ConfigError::ModelTypeMissing),
            Some(found) if found != Config::MODEL_TYPE => {
                return Err(ConfigError::ModelType { found });
            }
            Some(_) => {}
        }
        let Ok(activation) = raw.hidden_act.parse() else {
            return Err(ConfigError::Activation { found: raw.hidden_act });
        };
        if raw.input_size != 1 {
            return Err(ConfigError::InputSize { found: raw.input_size });
        }

        let heads = raw.num_attention_heads;
        let kv_heads = raw.num_key_value_heads.unwrap_or(heads);
        size("hidden_size", raw.hidden_size, MAX_DIMENSION)?;
        size("intermediate_size", raw.intermediate_size, MAX_DIMENSION)?;
        size("num_hidden_layers", raw.num_hidden_layers, MAX_COUNT)?;
        size("num_attention_heads", heads, MAX_COUNT)?;
        size("num_key_value_heads", kv_heads, MAX_COUNT)?;
        size("max_position_embeddings", raw.max_position_embeddings, MAX_DIMENSION)?;
        attention(raw.hidden_size, heads, kv_heads)?;
        if !raw.use_dense {
            routing(raw.num_experts, raw.num_experts_per_tok, raw.intermediate_size)?;
        }
        let horizon_lengths = Vec::from(raw.horizon_lengths);
        horizons(&horizon_lengths)?;
        positive("rms_norm_eps", raw.rms_norm_eps)?;
        positive("rope_theta", raw.rope_theta)?;
        if !(raw.router_aux_loss_factor.is_finite() && raw.router_aux_loss_factor >= 0.0) {
            return Err(ConfigError::Negative {
                field: "router_aux_loss_factor",
                found: raw.router_aux_loss_factor,
            });
        }

        let config = Config {
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            layers: raw.num_hidden_layers,
            heads,
            kv_heads,
            activation,
            horizon_lengths,
            max_positions: raw.max_position_embeddings,
            rms_norm_eps: raw.rms_norm_eps,
            rope_theta: raw.rope_theta,
            experts: raw.num_experts,
            top_k: raw.num_experts_per_tok,
            use_dense: raw.use_dense,
            apply_aux_loss: raw.apply_aux_loss,
            router_aux_loss_factor: raw.router_aux_loss_factor,
        };
        let found = config.parameter_count_wide();
        if found > u128::from(MAX_PARAMETERS) {
            return Err(ConfigError::TooManyParameters { found, limit: MAX_PARAMETERS });
        }
        Ok(config)
    }
}

fn size(field: &'static str, found: usize, limit: usize) -> Result<(), ConfigError> {
    match found {
        0 => Err(ConfigError::Zero { field }),
        _ if found > limit => Err(ConfigError::TooLarge { field, found, limit }),
        _ => Ok(()),
    }
}

fn attention(hidden_size: usize, heads: usize, kv_heads: usize) -> Result<(), ConfigError> {
    if !hidden_size.is_multiple_of(heads) {
        return Err(ConfigError::HeadsDoNotDivide { hidden_size, heads });
    }
    if !heads.is_multiple_of(kv_heads) {
        return Err(ConfigError::KvHeadsDoNotDivide { heads, kv_heads });
    }
    let head_dim = hidden_size / heads;
    if !head_dim.is_multiple_of(2) {
        return Err(ConfigError::OddHeadDim { head_dim });
    }
    Ok(())
}

fn routing(experts: usize, top_k: usize, intermediate_size: usize) -> Result<(), ConfigError> {
    size("num_experts", experts, MAX_COUNT)?;
    size("num_experts_per_tok", top_k, MAX_COUNT)?;
    if top_k > experts {
        return Err(ConfigError::TopKExceedsExperts { top_k, experts });
    }
    if intermediate_size < top_k {
        return Err(ConfigError::ExpertWidthZero { intermediate_size, top_k });
    }
    Ok(())
}

fn horizons(lengths: &[usize]) -> Result<(), ConfigError> {
    if lengths.is_empty() {
        return Err(ConfigError::HorizonsEmpty);
    }
    if lengths.len() > MAX_COUNT {
        return Err(ConfigError::TooLarge {
            field: "the number of horizon_lengths",
            found: lengths.len(),
            limit: MAX_COUNT,
        });
    }
    let mut previous = 0;
    for (index, &length) in lengths.iter().enumerate() {
        if length == 0 {
            return Err(ConfigError::HorizonZero { index });
        }
        if length > MAX_DIMENSION {
            return Err(ConfigError::TooLarge {
                field: "horizon_lengths",
                found: length,
                limit: MAX_DIMENSION,
            });
        }
        if length == previous {
            return Err(ConfigError::HorizonDuplicate { length });
        }
        if length < previous {
            return Err(ConfigError::HorizonsUnsorted { previous, length });
        }
        previous = length;
    }
    Ok(())
}

fn positive(field: &'static str, found: f64) -> Result<(), ConfigError> {
    if found.is_finite() && found > 0.0 { Ok(()) } else { Err(ConfigError::NotPositive { field, found }) }
}
