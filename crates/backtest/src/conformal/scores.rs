//! Errors of earlier forecasts, made comparable.

use crate::metrics::{MetricError, same_steps};
use crate::windows::Window;

/// What the errors of a forecast are divided by: the standard deviation (with n) of its context's known points, but no
/// less than a tenth of the whole history's, so that a context that happens to be flat does not make every error
/// enormous. 1 for a history that is constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale(f64);

impl Scale {
    /// Of a context, the newest points of a history.
    pub fn of(history: &[f64], context: &[f64]) -> Self {
        let floor = standard_deviation(history) / 10.0;
        let scale = standard_deviation(context).max(floor);
        Self(if scale > 0.0 && scale.is_finite() { scale } else { 1.0 })
    }

    /// The divisor, positive and finite.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// NaN or 0 without two known points.
fn standard_deviation(values: &[f64]) -> f64 {
    let known = || values.iter().filter(|value| !value.is_nan());
    let count = known().count() as f64;
    let mean = known().sum::<f64>() / count;
    (known().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// Absolute scaled errors of one series' earlier forecasts, one row of `horizon` steps per origin. A step whose truth is
/// missing, or whose forecast is no number, has none (NaN).
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    horizon: usize,
    rows: Vec<f64>,
}

impl Scores {
    /// No origin yet.
    pub fn new(horizon: usize) -> Self {
        Self { horizon, rows: Vec::new() }
    }

    /// Adds an origin: a window of [`Calibration::windows`](super::Calibration::windows) and its forecast.
    pub fn add<T: Copy + Into<f64>>(
        &mut self,
        window: &Window<'_>,
        forecast: &[T],
    ) -> Result<(), MetricError> {
        same_steps(window.truth.len(), self.horizon)?;
        same_steps(forecast.len(), self.horizon)?;
        self.rows.extend(scores(window, forecast));
        Ok(())
    }

    /// Adds an origin whose [`scores`] were worked out before.
    pub(crate) fn add_row(&mut self, scores: &[f64]) -> Result<(), MetricError> {
        same_steps(scores.len(), self.horizon)?;
        self.rows.extend_from_slice(scores);
        Ok(())
    }

    /// The number of steps.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The number of origins.
    pub fn origins(&self) -> usize {
        self.rows.len().checked_div(self.horizon).unwrap_or(0)
    }

    /// One slice of `horizon` scores per origin.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.rows.chunks_exact(self.horizon.max(1))
    }
}

/// The scores of one origin, one per step.
pub(crate) fn scores<T: Copy + Into<f64>>(window: &Window<'_>, forecast: &[T]) -> Vec<f64> {
    let scale = Scale::of(window.history, window.context).value();
    let score = |(truth, &forecast): (&f64, &T)| {
        let score = (truth - forecast.into()).abs() / scale;
        if score.is_finite() { score } else { f64::NAN }
    };
    window.truth.iter().zip(forecast).map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window<'a>(history: &'a [f64], context: usize, truth: &'a [f64]) -> Window<'a> {
        Window { series: 0, history, context: &history[history.len() - context..], truth }
    }

    #[test]
    fn errors_are_in_units_of_the_contexts_deviation() {
        let mut scores = Scores::new(3);
        scores.add(&window(&[1.0, 5.0], 2, &[4.0, f64::NAN, 0.0]), &[2.0_f32, 1.0, f32::INFINITY]).unwrap();
        let rows: Vec<&[f64]> = scores.rows().collect();
        assert_eq!(rows[0][0], 1.0);
        assert!(rows[0][1].is_nan() && rows[0][2].is_nan());
        assert!(scores.add(&window(&[1.0, 5.0], 2, &[4.0]), &[2.0]).is_err());
        assert!(scores.add(&window(&[1.0, 5.0], 2, &[4.0; 3]), &[2.0]).is_err());
        assert_eq!(scores.origins(), 1);
    }

    #[test]
    fn a_flat_context_is_scaled_by_a_tenth_of_its_histories_deviation() {
        assert_eq!(Scale::of(&[1.0, 3.0, 2.0, 2.0], &[2.0, 2.0]).value(), 0.5_f64.sqrt() / 10.0);
        assert_eq!(Scale::of(&[2.0, 2.0], &[2.0, 2.0]).value(), 1.0);
        assert_eq!(Scale::of(&[f64::NAN], &[]).value(), 1.0);
        assert_eq!(Scale::of(&[f64::MAX, f64::MIN], &[1.0]).value(), 1.0);
    }
}
