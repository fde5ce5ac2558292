//! Progress bars on a terminal, and nothing elsewhere.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use tmoe_export::{Observer, Stage};

/// A bar over bytes; indicatif hides it when standard error is not a terminal.
pub(crate) fn bytes_bar(message: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(message.to_owned());
    bar.set_style(style("{msg:>10} {bar:40} {bytes}/{total_bytes} {bytes_per_sec}"));
    bar
}

/// A bar over steps.
fn steps_bar(message: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(message.to_owned());
    bar.set_style(style("{msg:>10} {bar:40} {pos}/{len}"));
    bar
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a wrong one would only cost its looks.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The progress of an export.
#[derive(Default)]
pub(crate) struct Bars {
    current: Mutex<Option<ProgressBar>>,
}

impl Bars {
    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.replace(None);
    }

    fn replace(&self, bar: Option<ProgressBar>) {
        if let Ok(mut current) = self.current.lock()
            && let Some(old) = std::mem::replace(&mut *current, bar)
        {
            old.finish_and_clear();
        }
    }
}

impl Observer for Bars {
    fn stage(&self, stage: Stage) {
        self.replace(Some(match stage {
            Stage::Weights { total } => bytes_bar("weights", total),
            Stage::SelfTest { total } => steps_bar("self-test", total),
            Stage::Engine { architecture, total } => steps_bar(&format!("sm{architecture}"), total),
        }));
    }

    fn advance(&self, units: u64) {
        if let Ok(current) = self.current.lock()
            && let Some(bar) = &*current
        {
            bar.inc(units);
        }
    }
}
