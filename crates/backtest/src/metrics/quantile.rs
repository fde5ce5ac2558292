//! Errors of quantile forecasts.

use super::{MetricError, ratio, same_steps};

/// Sums from which the weighted quantile loss follows, at fixed levels.
///
/// ```
/// use tmoe_backtest::metrics::QuantileErrors;
///
/// let mut errors = QuantileErrors::new(&[0.1, 0.9]);
/// errors.add(&[10.0], &[[8.0], [11.0]])?; // one forecast per level
/// // 2 (2 x 0.1) and 2 (1 x 0.1), over 10.
/// assert!((errors.weighted_quantile_loss().unwrap() - 0.03).abs() < 1e-12);
/// # Ok::<(), tmoe_backtest::metrics::MetricError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct QuantileErrors {
    levels: Vec<f64>,
    losses: Vec<f64>,
    truth: f64,
    points: u64,
}

impl QuantileErrors {
    /// Nothing added yet, at these levels between 0 and 1.
    pub fn new(levels: &[f64]) -> Self {
        Self { levels: levels.to_vec(), losses: vec![0.0; levels.len()], truth: 0.0, points: 0 }
    }

    /// Adds a window: one forecast per level, each with as many points as the truth.
    pub fn add<F: AsRef<[f64]>>(&mut self, truth: &[f64], quantiles: &[F]) -> Result<(), MetricError> {
        if quantiles.len() != self.levels.len() {
            return Err(MetricError::Quantiles { found: quantiles.len(), expected: self.levels.len() });
        }
        for forecast in quantiles {
            same_steps(forecast.as_ref().len(), truth.len())?;
        }
        for ((loss, level), forecast) in self.losses.iter_mut().zip(&self.levels).zip(quantiles) {
            for (truth, forecast) in truth.iter().zip(forecast.as_ref()) {
                if !truth.is_nan() {
                    let error = truth - forecast;
                    *loss += 2.0 * if error >= 0.0 { level * error } else { (level - 1.0) * error };
                }
            }
        }
        for truth in truth.iter().filter(|truth| !truth.is_nan()) {
            self.truth += truth.abs();
            self.points += 1;
        }
        Ok(())
    }

    /// Adds everything that was added to another of the same levels.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if self.levels != other.levels {
            return Err(MetricError::Levels { found: other.levels.clone(), expected: self.levels.clone() });
        }
        for (loss, other) in self.losses.iter_mut().zip(&other.losses) {
            *loss += other;
        }
        self.truth += other.truth;
        self.points += other.points;
        Ok(())
    }

    /// The levels.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// Points whose truth is known.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// Weighted quantile loss of each level: `2 sum(max(q (y - f), (q - 1) (y - f))) / sum(|y|)`, a fraction.
    ///
    /// Source: the "weighted_sum_quantile_loss" of GluonTS; the loss is that of Koenker and Bassett 1978.
    pub fn per_level(&self) -> Option<Vec<f64>> {
        self.losses.iter().map(|&loss| ratio(loss, self.truth)).collect()
    }

    /// Mean of [`per_level`](Self::per_level), the "mean_weighted_sum_quantile_loss" of GluonTS and WQL of Chronos
    /// (Ansari et al. 2024, "Chronos: learning the language of time series").
    pub fn weighted_quantile_loss(&self) -> Option<f64> {
        ratio(self.losses.iter().sum(), self.truth * self.levels.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_defined_is_none() {
        let mut errors = QuantileErrors::new(&[0.5]);
        assert_eq!(errors.weighted_quantile_loss(), None);
        errors.add(&[0.0], &[[1.0]]).unwrap();
        assert_eq!((errors.weighted_quantile_loss(), errors.per_level()), (None, None));
        assert_eq!(QuantileErrors::new(&[]).weighted_quantile_loss(), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_is_added() {
        let mut errors = QuantileErrors::new(&[0.1, 0.9]);
        let one: [[f64; 1]; 1] = [[1.0]];
        assert_eq!(errors.add(&[1.0], &one), Err(MetricError::Quantiles { found: 1, expected: 2 }));
        let uneven = [vec![1.0], vec![]];
        assert_eq!(errors.add(&[1.0], &uneven), Err(MetricError::Steps { found: 0, expected: 1 }));
        assert!(errors.merge(&QuantileErrors::new(&[0.1])).is_err());
        assert_eq!(errors, QuantileErrors::new(&[0.1, 0.9]));
    }

    proptest! {
        /// GluonTS writes the loss as `2 sum(|(f - y) (1[y <= f] - q)|)`.
        #[test]
        fn merged_parts_give_the_formula_of_gluonts(
            points in proptest::collection::vec((-9.0_f64..9.0, -9.0_f64..9.0, -9.0_f64..9.0), 1..30),
            split in 0_usize..30,
        ) {
            let truth: Vec<f64> = points.iter().map(|point| point.0).collect();
            let forecasts = [0, 1].map(|index| -> Vec<f64> {
                points.iter().map(|point| if index == 0 { point.1 } else { point.2 }).collect()
            });
            let split = split.min(truth.len());
            let mut errors = QuantileErrors::new(&[0.2, 0.75]);
            let mut rest = errors.clone();
            errors.add(&truth[..split], &[&forecasts[0][..split], &forecasts[1][..split]]).unwrap();
            rest.add(&truth[split..], &[&forecasts[0][split..], &forecasts[1][split..]]).unwrap();
            errors.merge(&rest).unwrap();

            let absolute: f64 = truth.iter().map(|y| y.abs()).sum();
            let expected: Vec<f64> = [0.2, 0.75].iter().zip(&forecasts).map(|(q, forecast)| {
                let loss = |(y, f): (&f64, &f64)| ((f - y) * (f64::from(y <= f) - q)).abs();
                2.0 * truth.iter().zip(forecast).map(loss).sum::<f64>() / absolute
            }).collect();
            for (found, expected) in errors.per_level().unwrap().iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-9 * expected.max(1.0));
            }
            let mean = (expected[0] + expected[1]) / 2.0;
            prop_assert!((errors.weighted_quantile_loss().unwrap() - mean).abs() < 1e-9 * mean.max(1.0));
        }
    }
}
