//! The C interface of [`tmoe_runner`]: `include/tmoe.h`, made by cbindgen of this crate, and `include/tmoe.hpp` over it.
//!
//! Every function is `extern "C"`, and catches panics; what it is given is checked before it is used, as far as a pointer can
//! be. See `README.md` for how to build, install and use the library.
//!
//! | file | |
//! |---|---|
//! | `abi.rs` | versions |
//! | `boundary.rs` | pointers to references and back, panics to errors |
//! | `failure.rs` | what can go wrong, and its code |
//! | `error.rs` | the error object |
//! | `options.rs`, `forecaster.rs`, `stream.rs`, `cancel.rs`, `log.rs` | one handle, or one service, each |

mod abi;
mod boundary;
mod cancel;
mod error;
mod failure;
mod forecaster;
mod log;
mod options;
mod stream;

pub use self::abi::{ABI_VERSION, tmoe_abi_version, tmoe_version};
pub use self::cancel::{
    CancelToken, tmoe_cancel_token_cancel, tmoe_cancel_token_free, tmoe_cancel_token_is_cancelled,
    tmoe_cancel_token_new,
};
pub use self::error::{ErrorObject, tmoe_error_code, tmoe_error_free, tmoe_error_message};
pub use self::failure::Code;
pub use self::forecaster::{
    Forecaster, Series, tmoe_forecaster_forecast, tmoe_forecaster_free, tmoe_forecaster_graph,
    tmoe_forecaster_horizon_lengths, tmoe_forecaster_max_batch, tmoe_forecaster_max_horizon,
    tmoe_forecaster_max_positions, tmoe_forecaster_open, tmoe_forecaster_passed_over,
    tmoe_forecaster_precision, tmoe_forecaster_provider, tmoe_forecaster_threads,
};
pub use self::log::{LogCallback, LogLevel, tmoe_log_set};
pub use self::options::{
    Options, tmoe_options_free, tmoe_options_new, tmoe_options_set_check_hashes, tmoe_options_set_context,
    tmoe_options_set_device, tmoe_options_set_graph, tmoe_options_set_normalization,
    tmoe_options_set_operators, tmoe_options_set_provider, tmoe_options_set_spinning,
    tmoe_options_set_threads, tmoe_options_set_token_budget,
};
pub use self::stream::{
    Stream, tmoe_stream_computed, tmoe_stream_forecast, tmoe_stream_free, tmoe_stream_length,
    tmoe_stream_most, tmoe_stream_open, tmoe_stream_push, tmoe_stream_restart,
};
