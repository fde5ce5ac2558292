//! Ctrl-C and termination as a cancelled token, so that an interrupted command leaves nothing half-written.

use tmoe_runner::CancelToken;

use crate::Failure;

/// A token that the first Ctrl-C, or a request to terminate, cancels. A second one ends the process at once.
pub(crate) fn token() -> Result<CancelToken, Failure> {
    let token = CancelToken::new();
    let handle = token.clone();
    ctrlc::set_handler(move || {
        if handle.is_cancelled() {
            std::process::exit(130);
        }
        handle.cancel();
    })?;
    Ok(token)
}
