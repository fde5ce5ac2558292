//! Quantiles of a forecast, from how far the model was off earlier in the same series: see [`tmoe_backtest::conformal`].
//!
//! The series is forecast again from earlier origins, in the same batch as the forecast itself, so that a request with
//! quantiles costs up to nine times the points of one without.

use std::sync::Arc;

use tmoe_backtest::Window;
use tmoe_backtest::conformal::{Calibration, Distribution, Scale, Scores};

use super::lane::{RowInput, RowResult};

/// The origins that calibrate one series, and the rows to forecast from them.
#[derive(Clone, Debug)]
pub(super) struct Earlier {
    series: Arc<Vec<f64>>,
    /// What the forecast itself is made from.
    context: std::ops::Range<usize>,
    calibration: Calibration,
    /// Which windows of the calibration have a row: those whose context can be forecast.
    windows: Vec<usize>,
}

/// A quantile's level with its value at every step.
pub type Quantile = (f64, Vec<f32>);

impl Earlier {
    /// The earlier origins of a series that is forecast from the points in `row`, and their rows.
    pub(super) fn new(
        row: &RowInput,
        horizon: usize,
        cut: impl Fn(&[f64]) -> Option<(std::ops::Range<usize>, usize)>,
    ) -> (Self, Vec<RowInput>) {
        let calibration = Calibration::new(row.range.len().max(1), horizon);
        let mut rows = Vec::new();
        let mut windows = Vec::new();
        for (index, window) in calibration.windows(0, &row.series).enumerate() {
            let start = window.origin() - window.context.len();
            let Some((range, trailing)) = cut(window.context).filter(|_| window.is_measurable()) else {
                continue;
            };
            let range = start + range.start..start + range.end;
            rows.push(RowInput { series: Arc::clone(&row.series), range, trailing });
            windows.push(index);
        }
        let series = Arc::clone(&row.series);
        (Self { series, context: row.range.clone(), calibration, windows }, rows)
    }

    /// The quantiles around a forecast, from the results of the rows; `None` where the series is too short to tell.
    pub(super) fn quantiles(
        &self,
        results: &[RowResult],
        forecast: &[f32],
        levels: &[f64],
    ) -> Option<Vec<Quantile>> {
        let windows: Vec<Window<'_>> = self.calibration.windows(0, &self.series).collect();
        let mut scores = Scores::new(forecast.len());
        for (&index, result) in self.windows.iter().zip(results) {
            if let (Some(window), Ok(values)) = (windows.get(index), result) {
                scores.add(window, values).ok()?;
            }
        }
        let context = self.series.get(self.context.clone())?;
        let distribution = Distribution::new(&scores, None, Scale::of(&self.series, context))?;
        let quantile = |&level: &f64| {
            let values = distribution.quantile(level, forecast).ok()?;
            Some((level, values.into_iter().map(|value| value as f32).collect()))
        };
        levels.iter().map(quantile).collect()
    }
}
