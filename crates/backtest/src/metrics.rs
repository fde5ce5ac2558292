//! Error metrics as accumulators: add windows, merge what was added elsewhere, read the metric at any time.
//!
//! Sums are float64. A point whose truth is missing (NaN) never counts; a NaN in a forecast whose truth is known makes
//! the metrics NaN, so that it cannot go unnoticed. A metric is `None` where it is not defined: no point was added, or
//! its denominator is zero. "Overall" is over all points of all series that were merged, not a mean of means.

mod interval;
mod point;
mod quantile;
mod seasonal_error;

pub use interval::IntervalErrors;
pub use point::PointErrors;
pub use quantile::QuantileErrors;
pub use seasonal_error::SeasonalErrors;

/// Truth and forecast do not fit, or two accumulators measure different things. Nothing was added.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// A forecast has another number of steps than the truth.
    #[error(
        "a forecast of {found} points is compared with a truth of {expected}; both must cover the same steps"
    )]
    Steps {
        /// Points of the forecast.
        found: usize,
        /// Points of the truth.
        expected: usize,
    },
    /// Another number of quantile forecasts than of levels.
    #[error("{found} quantile forecasts for {expected} levels; there must be one for each")]
    Quantiles {
        /// Quantile forecasts.
        found: usize,
        /// Levels.
        expected: usize,
    },
    /// Accumulators of different quantile levels cannot be merged.
    #[error("errors at the quantile levels {found:?} cannot be merged with those at {expected:?}")]
    Levels {
        /// Levels of the one merged from.
        found: Vec<f64>,
        /// Levels of the one merged into.
        expected: Vec<f64>,
    },
}

pub(crate) fn same_steps(found: usize, expected: usize) -> Result<(), MetricError> {
    if found == expected { Ok(()) } else { Err(MetricError::Steps { found, expected }) }
}

/// `numerator / denominator`, which must not be zero.
pub(crate) fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    (denominator != 0.0).then(|| numerator / denominator)
}
