//! Progress of a forecaster on a terminal, and nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use tmoe_runner::{CancelToken, Control, Progress};

/// Runs work that `token` cancels, under a bar with the given title that counts its passes.
pub(crate) fn with_bar<R>(title: &str, token: &CancelToken, work: impl FnOnce(&Control<'_>) -> R) -> R {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} passes, {eta} left") {
        bar.set_style(style);
    }
    bar.set_message(title.to_owned());
    let progress = |progress: Progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    };
    let result = work(&Control::new().with_cancel(token).with_progress(&progress));
    bar.finish_and_clear();
    result
}
