//! `config.json` as Hugging Face writes it: unchecked, with the original's defaults.

use serde::{Deserialize, Serialize};

use super::Config;

/// The fields of a Time-MoE `config.json` that the model uses, before any check.
///
/// Absent fields take the defaults of the original `TimeMoeConfig`. A wrong `hidden_size` taken from
/// a default does no harm: the shapes of the weights are checked against it. Only `model_type` has no
/// default, because its absence means that the file describes something else. Fields that the model
/// does not use are ignored.
///
/// Fill one and convert it with [`Config::try_from`] to make a configuration in code:
///
/// ```
/// use tmoe_model::{Config, HfConfig};
///
/// let config = Config::try_from(HfConfig {
///     hidden_size: 48,
///     intermediate_size: 96,
///     num_hidden_layers: 2,
///     num_attention_heads: 6,
///     num_key_value_heads: Some(2),
///     num_experts: 5,
///     num_experts_per_tok: 3,
///     horizon_lengths: vec![1, 4, 16].into(),
///     ..HfConfig::time_moe()
/// })?;
/// assert_eq!(config.head_dim(), 8);
/// # Ok::<(), tmoe_model::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HfConfig {
    /// Class names that transformers would instantiate; written for other tools, never read.
    #[serde(skip_deserializing)]
    pub architectures: Vec<String>,
    /// Must be `time_moe`.
    pub model_type: Option<String>,
    /// Values per point.
    pub input_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the shared expert, or of the dense feed-forward network.
    pub intermediate_size: usize,
    /// Forecast lengths of the output heads: a list, or one number.
    pub horizon_lengths: Horizons,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; as many as query heads when absent or null.
    pub num_key_value_heads: Option<usize>,
    /// Name of the activation function, see [`crate::Activation`].
    pub hidden_act: String,
    /// Experts that each token is routed to (top-k).
    pub num_experts_per_tok: usize,
    /// Routed experts per layer.
    pub num_experts: usize,
    /// Longest sequence, in points.
    pub max_position_embeddings: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding's wavelengths.
    pub rope_theta: f64,
    /// A plain gated feed-forward network in place of experts.
    pub use_dense: bool,
    /// Whether the training loss includes the load-balancing loss.
    pub apply_aux_loss: bool,
    /// Weight of the load-balancing loss.
    pub router_aux_loss_factor: f64,
    /// The head's and the embedding's weights are never shared in Time-MoE; written for transformers,
    /// whose own default is true, and never read.
    #[serde(skip_deserializing)]
    pub tie_word_embeddings: bool,
}

impl HfConfig {
    /// The defaults of the original `TimeMoeConfig`, with `model_type` set.
    pub fn time_moe() -> Self {
        HfConfig { model_type: Some(Config::MODEL_TYPE.to_owned()), ..HfConfig::default() }
    }
}

/// The defaults of the original `TimeMoeConfig`, **without** a `model_type`: a file has to name it.
impl Default for HfConfig {
    fn default() -> Self {
        HfConfig {
            architectures: vec!["TimeMoeForPrediction".to_owned()],
            model_type: None,
            input_size: 1,
            hidden_size: 4096,
            intermediate_size: 22016,
            horizon_lengths: Horizons::One(1),
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            hidden_act: "silu".to_owned(),
            num_experts_per_tok: 2,
            num_experts: 1,
            max_position_embeddings: 32768,
            rms_norm_eps: 1e-6,
            rope_theta: 10000.0,
            use_dense: false,
            apply_aux_loss: true,
            router_aux_loss_factor: 0.02,
            tie_word_embeddings: false,
        }
    }
}

/// `horizon_lengths`: the original accepts one number in place of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "horizon_lengths must be a whole number or a list of whole numbers")]
pub enum Horizons {
    /// A single head.
    One(usize),
    /// One head per entry.
    Many(Vec<usize>),
}

impl From<Vec<usize>> for Horizons {
    fn from(lengths: Vec<usize>) -> Self {
        Horizons::Many(lengths)
    }
}

impl From<Horizons> for Vec<usize> {
    fn from(horizons: Horizons) -> Self {
        match horizons {
            Horizons::One(length) => vec![length],
            Horizons::Many(lengths) => lengths,
        }
    }
}

impl From<Config> for HfConfig {
    fn from(config: Config) -> Self {
        HfConfig {
            input_size: config.input_size(),
            hidden_size: config.hidden_size(),
            intermediate_size: config.intermediate_size(),
            horizon_lengths: config.horizon_lengths().to_vec().into(),
            num_hidden_layers: config.layers(),
            num_attention_heads: config.heads(),
            num_key_value_heads: Some(config.kv_heads()),
            hidden_act: config.activation().name().to_owned(),
            num_experts_per_tok: config.top_k(),
            num_experts: config.experts(),
            max_position_embeddings: config.max_positions(),
            rms_norm_eps: config.rms_norm_eps(),
            rope_theta: config.rope_theta(),
            use_dense: config.use_dense(),
            apply_aux_loss: config.apply_aux_loss(),
            router_aux_loss_factor: config.router_aux_loss_factor(),
            ..HfConfig::time_moe()
        }
    }
}
