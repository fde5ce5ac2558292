//! What the server says of itself and of its models.

/// The server's name.
pub const SERVER: &str = "tmoe";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The extensions of the protocol that it has, by Triton's names.
pub const EXTENSIONS: [&str; 2] = ["binary_tensor_data", "model_repository"];
/// What runs the models.
pub const PLATFORM: &str = "tmoe_time_moe";

/// A tensor's name, type and shape, -1 for a dimension of any size.
pub type Described = (&'static str, &'static str, &'static [i64]);

/// The inputs of every model.
pub const INPUTS: [Described; 4] = [
    ("series", "FP32", &[-1, -1]),
    ("horizon", "INT64", &[1]),
    ("context", "INT64", &[1]),
    ("quantiles", "FP32", &[-1]),
];

/// The outputs of every model.
pub const OUTPUTS: [Described; 2] = [("forecast", "FP32", &[-1, -1]), ("quantiles", "FP32", &[-1, -1, -1])];
