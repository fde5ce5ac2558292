//! The Open Inference Protocol v2 (KServe, Triton), apart from how it is carried: which tensors a model takes and gives.
//!
//! | input | type | shape | |
//! |---|---|---|---|
//! | `series` | FP32 or FP64 | [batch, points] | oldest point first; NaN is a missing point, so that shorter series are padded with NaN in front |
//! | `horizon` | INT64 | [1] | points to forecast |
//! | `context` | INT64 | [1] | optional: the most points that the model sees |
//! | `quantiles` | FP32 or FP64 | [levels] | optional: levels between 0 and 1 |
//!
//! | output | type | shape | |
//! |---|---|---|---|
//! | `forecast` | FP32 | [batch, horizon] | |
//! | `quantiles` | FP32 | [batch, levels, horizon] | if levels were given; NaN (in JSON `null`) where a series is too short to tell |
//!
//! `horizon` and `context` may be request parameters instead. The parameter `timeout` says how many microseconds the answer may take, as in Triton.

pub mod datatype;
pub mod metadata;
pub mod request;
pub mod response;
pub mod tensor;
