//! Errors of forecasts, summed up.

use super::windows::Window;

/// Mean errors over all points that are known, of values scaled by their series' standard deviation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scores {
    squared: f64,
    absolute: f64,
    points: usize,
}

impl Scores {
    /// Adds a window's forecast. Missing points of the truth do not count.
    pub(super) fn add(&mut self, window: &Window<'_>, forecast: &[f32]) {
        for (truth, forecast) in window.truth.iter().zip(forecast) {
            let error = (f64::from(*forecast) - truth) / window.deviation;
            if !truth.is_nan() {
                self.squared += error * error;
                self.absolute += error.abs();
                self.points += 1;
            }
        }
    }

    /// Mean squared error.
    pub(super) fn mse(&self) -> f64 {
        self.squared / self.points as f64
    }

    /// Mean absolute error.
    pub(super) fn mae(&self) -> f64 {
        self.absolute / self.points as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_means_over_known_points_in_units_of_the_deviation() {
        let window = Window { context: &[], truth: &[2.0, f64::NAN, 6.0], deviation: 2.0 };
        let mut scores = Scores::default();
        scores.add(&window, &[4.0, 100.0, 2.0]);
        assert_eq!((scores.mse(), scores.mae()), (2.5, 1.5));
    }
}
