//! Errors of point forecasts.

use super::{MetricError, ratio, same_steps};

/// Sums from which the metrics of point forecasts follow.
///
/// ```
/// use tmoe_backtest::metrics::PointErrors;
///
/// let mut errors = PointErrors::default();
/// errors.add(&[2.0, f64::NAN, 4.0], &[3.0, 9.0, 2.0], Some(0.5))?;
/// assert_eq!(errors.points(), 2);
/// assert_eq!(errors.mse(), Some(2.5));
/// assert_eq!(errors.mae(), Some(1.5));
/// assert_eq!(errors.mase(), Some(3.0));
/// assert_eq!(errors.wape(), Some(0.5));
/// # Ok::<(), tmoe_backtest::metrics::MetricError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PointErrors {
    points: u64,
    squared: f64,
    absolute: f64,
    truth: f64,
    symmetric: f64,
    scaled: f64,
    scaled_points: u64,
}

impl PointErrors {
    /// Adds a window. `scale` is the error of the seasonal naive forecast in its history, for MASE
    /// ([`SeasonalErrors::before`](super::SeasonalErrors::before)); a window without one does not count in MASE.
    pub fn add<T: Copy + Into<f64>>(
        &mut self,
        truth: &[f64],
        forecast: &[T],
        scale: Option<f64>,
    ) -> Result<(), MetricError> {
        same_steps(forecast.len(), truth.len())?;
        for (&truth, &forecast) in truth.iter().zip(forecast) {
            if truth.is_nan() {
                continue;
            }
            let forecast: f64 = forecast.into();
            let error = (truth - forecast).abs();
            self.points += 1;
            self.squared += error * error;
            self.absolute += error;
            self.truth += truth.abs();
            if error != 0.0 {
                self.symmetric += error / (truth.abs() + forecast.abs());
            }
            if let Some(scale) = scale {
                self.scaled += error / scale;
                self.scaled_points += 1;
            }
        }
        Ok(())
    }

    /// Adds everything that was added to another.
    pub fn merge(&mut self, other: &Self) {
        self.points += other.points;
        self.squared += other.squared;
        self.absolute += other.absolute;
        self.truth += other.truth;
        self.symmetric += other.symmetric;
        self.scaled += other.scaled;
        self.scaled_points += other.scaled_points;
    }

    /// Points whose truth is known.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// Mean squared error, `mean((y - f)^2)`.
    pub fn mse(&self) -> Option<f64> {
        ratio(self.squared, self.points as f64)
    }

    /// Mean absolute error, `mean(|y - f|)`.
    pub fn mae(&self) -> Option<f64> {
        ratio(self.absolute, self.points as f64)
    }

    /// Root of the mean squared error over all points.
    pub fn rmse(&self) -> Option<f64> {
        self.mse().map(f64::sqrt)
    }

    /// Mean absolute scaled error: `mean(|y - f| / scale)` with the scale of each point's window.
    ///
    /// Source: Hyndman and Koehler 2006, "Another look at measures of forecast accuracy".
    pub fn mase(&self) -> Option<f64> {
        ratio(self.scaled, self.scaled_points as f64)
    }

    /// Symmetric mean absolute percentage error as in the M4 competition, in percent from 0 to 200:
    /// `200 mean(|y - f| / (|y| + |f|))`. A point where truth and forecast are both zero has no error.
    ///
    /// Source: Makridakis, Spiliotis and Assimakopoulos 2020, "The M4 Competition: 100,000 time series and 61
    /// forecasting methods".
    pub fn smape(&self) -> Option<f64> {
        ratio(200.0 * self.symmetric, self.points as f64)
    }

    /// Weighted absolute percentage error, as a fraction: `sum(|y - f|) / sum(|y|)`; the "ND" of GluonTS.
    ///
    /// Source: Kolassa and Schütz 2007, "Advantages of the MAD/MEAN ratio over the MAPE".
    pub fn wape(&self) -> Option<f64> {
        ratio(self.absolute, self.truth)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_metrics_are_those_worked_out_by_hand() {
        let mut errors = PointErrors::default();
        // Errors 1, 3, 0, 4; |y| + |f| is 3, 5, 0, 4.
        errors.add(&[1.0, -4.0, 0.0, 0.0], &[2.0_f32, -1.0, 0.0, 4.0], Some(2.0)).unwrap();
        assert_eq!(errors.mse(), Some(6.5));
        assert_eq!(errors.mae(), Some(2.0));
        assert_eq!(errors.rmse(), Some(6.5_f64.sqrt()));
        assert_eq!(errors.mase(), Some(1.0));
        assert_eq!(errors.wape(), Some(1.6));
        assert!((errors.smape().unwrap() - 50.0 * (1.0 / 3.0 + 3.0 / 5.0 + 1.0)).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let mut errors = PointErrors::default();
        assert_eq!((errors.mse(), errors.mae(), errors.rmse(), errors.smape()), (None, None, None, None));
        errors.add(&[f64::NAN], &[1.0], Some(1.0)).unwrap();
        assert_eq!((errors.points(), errors.mse(), errors.mase()), (0, None, None));
        errors.add(&[0.0, 0.0], &[1.0, 0.0], None).unwrap();
        assert_eq!((errors.wape(), errors.mase()), (None, None));
        assert_eq!((errors.mae(), errors.smape()), (Some(0.5), Some(100.0)));
    }

    #[test]
    fn a_forecast_of_another_length_is_refused_and_nothing_is_added() {
        let mut errors = PointErrors::default();
        let refused = errors.add(&[1.0, 2.0], &[1.0], None);
        assert_eq!(refused, Err(MetricError::Steps { found: 1, expected: 2 }));
        assert_eq!(errors, PointErrors::default());
    }

    #[test]
    fn a_forecast_that_is_not_a_number_cannot_go_unnoticed() {
        let mut errors = PointErrors::default();
        errors.add(&[1.0, 2.0], &[f64::NAN, 2.0], Some(1.0)).unwrap();
        for metric in
            [errors.mse(), errors.mae(), errors.rmse(), errors.mase(), errors.smape(), errors.wape()]
        {
            assert!(metric.unwrap().is_nan());
        }
    }

    fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let truth = prop_oneof![4 => -100.0..100.0, 1 => Just(f64::NAN), 1 => Just(0.0)];
        proptest::collection::vec((truth, -100.0..100.0), 0..40)
    }

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.map_or(expected.is_nan(), |found| (found - expected).abs() <= 1e-9 * expected.abs().max(1.0))
    }

    proptest! {
        #[test]
        fn merged_parts_give_what_the_definitions_give_over_all_points(
            points in points(), split in 0_usize..40, scale in 0.1_f64..10.0,
        ) {
            let (truth, forecast): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
            let split = split.min(truth.len());
            let mut errors = PointErrors::default();
            let mut rest = PointErrors::default();
            errors.add(&truth[..split], &forecast[..split], Some(scale)).unwrap();
            rest.add(&truth[split..], &forecast[split..], Some(scale)).unwrap();
            errors.merge(&rest);

            let known: Vec<(f64, f64)> = points.into_iter().filter(|(truth, _)| !truth.is_nan()).collect();
            let count = known.len() as f64;
            let mean = |of: &dyn Fn(f64, f64) -> f64| known.iter().map(|&(y, f)| of(y, f)).sum::<f64>() / count;
            let symmetric = |y: f64, f: f64| if y == f { 0.0 } else { 200.0 * (y - f).abs() / (y.abs() + f.abs()) };
            prop_assert!(close(errors.mse(), mean(&|y, f| (y - f).powi(2))));
            prop_assert!(close(errors.mae(), mean(&|y, f| (y - f).abs())));
            prop_assert!(close(errors.mase(), mean(&|y, f| (y - f).abs() / scale)));
            prop_assert!(close(errors.smape(), mean(&symmetric)));
            let absolute_truth = mean(&|y, _| y.abs());
            let wape = if absolute_truth == 0.0 { f64::NAN } else { mean(&|y, f| (y - f).abs()) / absolute_truth };
            prop_assert!(close(errors.wape(), wape));
        }
    }
}
