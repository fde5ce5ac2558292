//! What can be wrong with a configuration: one variant per rule.

use std::path::PathBuf;

/// A configuration that cannot be read, or breaks one of the model's rules.
///
/// Inside [`ConfigError::InFile`] the file is named; the other variants come from text or from code
/// and name the field.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The `config.json`.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is far larger than any configuration.
    #[error("{} has {found} bytes, a config.json has at most {limit}: is this the right file?", path.display())]
    TooLong {
        /// The `config.json`.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The longest accepted, in bytes.
        limit: u64,
    },
    /// The content of a file breaks a rule.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The `config.json`.
        path: PathBuf,
        /// The rule.
        source: Box<ConfigError>,
    },
    /// Not JSON, or a field of the wrong type.
    #[error("not a valid config.json: {0}")]
    Json(#[source] serde_json::Error),
    /// `model_type` is absent.
    #[error("model_type is missing, expected \"time_moe\": this does not describe a Time-MoE model")]
    ModelTypeMissing,
    /// `model_type` is another model's.
    #[error("model_type is {found:?}, expected \"time_moe\": only Time-MoE checkpoints are supported")]
    ModelType {
        /// The model type in the file.
        found: String,
    },
    /// `hidden_act` names no supported function.
    #[error(
        "hidden_act is {found:?}, which is not supported, expected one of silu, gelu, gelu_pytorch_tanh, relu"
    )]
    Activation {
        /// The name in the file.
        found: String,
    },
    /// The model is univariate.
    #[error("input_size is {found}, expected 1: Time-MoE reads one value per point")]
    InputSize {
        /// The number in the file.
        found: usize,
    },
    /// A size that must be positive is zero.
    #[error("{field} is 0, expected at least 1")]
    Zero {
        /// Name of the field in `config.json`.
        field: &'static str,
    },
    /// A size beyond what any model has; rejecting it keeps every product of sizes representable.
    #[error("{field} is {found}, expected at most {limit}")]
    TooLarge {
        /// Name of the field in `config.json`.
        field: &'static str,
        /// The number in the file.
        found: usize,
        /// The largest accepted.
        limit: usize,
    },
    /// The sizes are plausible one by one, but not together.
    #[error("the configuration describes {found} parameters, expected at most {limit}: check its sizes")]
    TooManyParameters {
        /// Parameters of the model.
        found: u128,
        /// The most accepted.
        limit: u64,
    },
    /// The hidden state cannot be cut into heads.
    #[error(
        "hidden_size {hidden_size} is not a multiple of num_attention_heads {heads}: every head needs the same width"
    )]
    HeadsDoNotDivide {
        /// `hidden_size`.
        hidden_size: usize,
        /// `num_attention_heads`.
        heads: usize,
    },
    /// Query heads cannot be shared evenly among key and value heads.
    #[error(
        "num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}: \
         every key/value head needs the same number of query heads"
    )]
    KvHeadsDoNotDivide {
        /// `num_attention_heads`.
        heads: usize,
        /// `num_key_value_heads`.
        kv_heads: usize,
    },
    /// Rotary embedding pairs the first half of a head with the second.
    #[error(
        "a head has {head_dim} values (hidden_size / num_attention_heads), expected an even number: \
         rotary embedding pairs the two halves"
    )]
    OddHeadDim {
        /// `hidden_size / num_attention_heads`.
        head_dim: usize,
    },
    /// More experts wanted per token than there are.
    #[error("num_experts_per_tok is {top_k}, expected at most num_experts, which is {experts}")]
    TopKExceedsExperts {
        /// `num_experts_per_tok`.
        top_k: usize,
        /// `num_experts`.
        experts: usize,
    },
    /// The experts would have no width.
    #[error(
        "intermediate_size {intermediate_size} / num_experts_per_tok {top_k} leaves experts of width 0, \
         expected intermediate_size to be at least num_experts_per_tok"
    )]
    ExpertWidthZero {
        /// `intermediate_size`.
        intermediate_size: usize,
        /// `num_experts_per_tok`.
        top_k: usize,
    },
    /// A model without output.
    #[error("horizon_lengths is empty, expected at least one length")]
    HorizonsEmpty,
    /// A head that forecasts nothing.
    #[error("horizon_lengths[{index}] is 0, expected at least 1 point")]
    HorizonZero {
        /// Position in the list.
        index: usize,
    },
    /// Two heads of one length.
    #[error("horizon_lengths names {length} twice, expected different lengths")]
    HorizonDuplicate {
        /// The repeated length, in points.
        length: usize,
    },
    /// The list does not ascend.
    #[error("horizon_lengths has {length} after {previous}, expected ascending lengths")]
    HorizonsUnsorted {
        /// The length before.
        previous: usize,
        /// The length that is smaller than the one before.
        length: usize,
    },
    /// A number that must be positive and finite is not.
    #[error("{field} is {found}, expected a finite number above 0")]
    NotPositive {
        /// Name of the field in `config.json`.
        field: &'static str,
        /// The number found.
        found: f64,
    },
    /// A number that must be finite and not negative is.
    #[error("{field} is {found}, expected a finite number, 0 or above")]
    Negative {
        /// Name of the field in `config.json`.
        field: &'static str,
        /// The number found.
        found: f64,
    },
}
