//! Progress of a forecaster on a terminal, and nothing elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use tmoe_data::read::ReadShare;
use tmoe_runner::Progress;

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

/// A bar for the windows of a backtest.
pub(crate) struct WindowBar {
    bar: ProgressBar,
    planned: AtomicU64,
}

impl WindowBar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        let template = "evaluate {bar:40} {pos} of {len} windows, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, planned: AtomicU64::new(0) }
    }

    /// More windows will be forecast; with them, this share of the whole was planned.
    pub(crate) fn plan(&self, windows: usize, share: Option<f64>) {
        let planned = self.planned.fetch_add(windows as u64, Ordering::Relaxed) + windows as u64;
        let whole = planned as f64 / share.filter(|share| *share > 0.0).unwrap_or(1.0);
        self.bar.set_length(whole as u64);
    }

    /// So many more are done.
    pub(crate) fn done(&self, windows: usize) {
        self.bar.inc(windows as u64);
    }

    /// Prints without tearing the bar.
    pub(crate) fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
