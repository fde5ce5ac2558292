//! What a backtest at rolling origins measures, as its arguments say.

use std::path::PathBuf;

use tmoe_backtest::conformal::Calibration;
use tmoe_backtest::{Backtest, RollingOrigin};
use tmoe_runner::Normalization;

use super::{Arguments, Scale};
use crate::intervals::{Level, Quantile};

/// What is measured.
pub(super) struct Setup {
    pub(super) input: PathBuf,
    pub(super) context: usize,
    pub(super) horizon: usize,
    pub(super) stride: usize,
    pub(super) windows: Option<usize>,
    pub(super) normalization: Normalization,
    pub(super) scale: Scale,
    /// Of the intervals; none without them.
    pub(super) levels: Vec<Level>,
    /// Of the weighted quantile loss; none without intervals.
    pub(super) quantiles: Vec<f64>,
    /// Earlier origins that intervals are calibrated on; `None` without them.
    pub(super) origins: Option<usize>,
}

impl Setup {
    pub(super) fn new(arguments: &Arguments, positions: usize) -> Self {
        let horizon = arguments.horizon;
        // What is too much for a model is less for all, so that they see the same.
        let context = arguments.context.unwrap_or(512).min(positions - horizon);
        let intervals = &arguments.intervals;
        let mut setup = Self {
            input: arguments.input.input.clone(),
            context,
            horizon,
            stride: arguments.stride.unwrap_or(horizon),
            windows: arguments.windows,
            normalization: arguments.normalize.unwrap_or_default(),
            scale: arguments.scale.unwrap_or(Scale::None),
            levels: Vec::new(),
            quantiles: Vec::new(),
            origins: None,
        };
        if !arguments.no_intervals {
            setup.levels = intervals.levels_or(&[80.0, 95.0]);
            setup.quantiles = with_tenths(&intervals.quantiles());
            setup.origins = Some(intervals.origins());
        }
        setup
    }

    pub(super) fn layout(&self) -> RollingOrigin {
        let layout = RollingOrigin::new(self.context, self.horizon).with_stride(self.stride);
        self.windows.map_or(layout, |windows| layout.with_windows(windows))
    }

    /// Of `batch` windows at once.
    pub(super) fn backtest(&self, batch: usize) -> Backtest {
        let backtest = Backtest::new(self.layout()).with_batch(batch);
        let Some(origins) = self.origins else { return backtest };
        let calibration = Calibration::new(self.context, self.horizon).with_origins(origins);
        let levels: Vec<f64> = self.levels.iter().map(|level| level.fraction()).collect();
        backtest.with_intervals(calibration, &levels, &self.quantiles)
    }
}

/// 0.1 to 0.9 and those that were asked for, ascending, each once.
fn with_tenths(quantiles: &[Quantile]) -> Vec<f64> {
    let tenths = (1..10).map(|tenths| f64::from(tenths) / 10.0);
    let mut levels: Vec<f64> = quantiles.iter().map(|quantile| quantile.fraction()).chain(tenths).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_asked_for_stand_among_the_tenths_and_none_twice() {
        let asked: Vec<Quantile> = ["0.975", "0.3", "0.05"].map(|text| text.parse().unwrap()).to_vec();
        let expected = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975];
        assert_eq!(with_tenths(&asked), expected);
    }
}
