//! Progress of a forecaster on a terminal, and nothing elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use tmoe_data::read::ReadShare;
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

/// A bar for series that stream from a file: it shows the share of the file whose forecasts are done.
pub(crate) struct SeriesBar {
    bar: ProgressBar,
    share: ReadShare,
    read: AtomicU64,
    done: AtomicU64,
}

/// Steps of the bar.
const STEPS: f64 = 1000.0;

impl SeriesBar {
    pub(crate) fn new(share: ReadShare) -> Self {
        let bar = ProgressBar::new(STEPS as u64);
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {percent}%, {eta} left") {
            bar.set_style(style);
        }
        bar.set_message("forecast");
        Self { bar, share, read: AtomicU64::new(0), done: AtomicU64::new(0) }
    }

    /// Entries, counted as they are taken.
    pub(crate) fn counting<T>(
        &self,
        entries: impl Iterator<Item = T> + Send,
    ) -> impl Iterator<Item = T> + Send {
        entries.inspect(|_| {
            self.read.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// A series is done.
    pub(crate) fn done(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let rate = done as f64 / self.bar.elapsed().as_secs_f64().max(1e-3);
        self.bar.set_message(format!("forecast {done} series, {rate:.0}/s"));
        self.show(Progress { done: 0, total: 1 });
    }

    /// Passes of the series that were read and are not done.
    pub(crate) fn show(&self, passes: Progress) {
        let (read, done) =
            (self.read.load(Ordering::Relaxed) as f64, self.done.load(Ordering::Relaxed) as f64);
        let open = (read - done).max(0.0) * passes.done as f64 / passes.total.max(1) as f64;
        if let Some(share) = self.share.get() {
            let position = share * (done + open) / read.max(1.0) * STEPS;
            // Of two chunks at a time, either reports.
            self.bar.set_position(self.bar.position().max(position as u64));
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
