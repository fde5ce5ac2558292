//! Errors of prediction intervals.

use super::{MetricError, ratio, same_steps};

/// Sums from which coverage and width of intervals of one level follow.
///
/// ```
/// use tmoe_backtest::metrics::IntervalErrors;
///
/// let mut errors = IntervalErrors::default();
/// errors.add(&[1.0, 5.0], &[0.0, 0.0], &[2.0, 4.0])?;
/// assert_eq!((errors.coverage(), errors.mean_width()), (Some(0.5), Some(3.0)));
/// # Ok::<(), tmoe_backtest::metrics::MetricError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IntervalErrors {
    points: u64,
    covered: u64,
    width: f64,
}

impl IntervalErrors {
    /// Adds a window's interval, whose bounds belong to it. A bound that is NaN covers nothing.
    pub fn add(&mut self, truth: &[f64], lower: &[f64], upper: &[f64]) -> Result<(), MetricError> {
        same_steps(lower.len(), truth.len())?;
        same_steps(upper.len(), truth.len())?;
        for ((truth, lower), upper) in truth.iter().zip(lower).zip(upper) {
            if !truth.is_nan() {
                self.points += 1;
                self.covered += u64::from(lower <= truth && truth <= upper);
                self.width += upper - lower;
            }
        }
        Ok(())
    }

    /// Adds everything that was added to another.
    pub fn merge(&mut self, other: &Self) {
        self.points += other.points;
        self.covered += other.covered;
        self.width += other.width;
    }

    /// Points whose truth is known.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// Fraction of points within their interval, to be compared with the interval's level; the prediction interval
    /// coverage probability (PICP) of Khosravi et al. 2011, "Comprehensive review of neural network-based prediction
    /// intervals".
    pub fn coverage(&self) -> Option<f64> {
        ratio(self.covered as f64, self.points as f64)
    }

    /// Mean of `upper - lower`, in the unit of the series; the mean prediction interval width (MPIW) of the same source.
    pub fn mean_width(&self) -> Option<f64> {
        ratio(self.width, self.points as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_interval_and_missing_points_do_not_count() {
        let mut errors = IntervalErrors::default();
        assert_eq!((errors.coverage(), errors.mean_width()), (None, None));
        errors.add(&[1.0, 2.0, f64::NAN, 2.5], &[1.0; 4], &[2.0; 4]).unwrap();
        assert_eq!(
            (errors.points(), errors.coverage(), errors.mean_width()),
            (3, Some(2.0 / 3.0), Some(1.0))
        );
        let mut more = IntervalErrors::default();
        more.add(&[0.0], &[f64::NAN], &[1.0]).unwrap();
        assert_eq!(more.coverage(), Some(0.0));
        errors.merge(&more);
        assert_eq!(errors.coverage(), Some(0.5));
    }

    #[test]
    fn bounds_of_another_length_are_refused() {
        let mut errors = IntervalErrors::default();
        assert!(errors.add(&[1.0], &[1.0], &[]).is_err());
        assert!(errors.add(&[1.0], &[], &[1.0]).is_err());
        assert_eq!(errors, IntervalErrors::default());
    }
}
