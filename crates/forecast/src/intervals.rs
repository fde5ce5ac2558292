//! Prediction intervals around the model's points.

use thiserror::Error;
use tmoe_backtest::Window;
use tmoe_backtest::conformal::{Calibration, Distribution, Pool, PooledScores, Scale, Scores};
use tmoe_backtest::metrics::MetricError;
use tmoe_runner::{Control, Forecast, Forecaster, Series, SeriesError};

/// Which quantiles to give beside the points, and from how many earlier forecasts they are learnt.
///
/// The model forecasts points. How far they may be off is learnt from the series itself: it is forecast again from earlier
/// origins, and the errors at each step of the horizon become the quantiles (split conformal prediction, see
/// [`tmoe_backtest::conformal`]). A series with few points has few origins, or none; the errors of the series that are forecast
/// together with it help out. Each origin costs as much as the forecast itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervals {
    quantiles: Vec<f64>,
    origins: usize,
}

/// A level that is not between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("the level {0} is not between 0 and 1; a 95 % interval has the level 0.95")]
pub struct LevelError(pub f64);

/// A forecast with its quantiles.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalForecast {
    /// The points.
    pub points: Forecast,
    /// `horizon` values for each quantile that was asked for, in their order; `None` where nothing is known of how far forecasts
    /// are off: the series is too short for an earlier origin, and so are those forecast together with it.
    pub quantiles: Option<Vec<Vec<f32>>>,
}

impl Intervals {
    /// The bounds of intervals of these levels, such as 0.95: ascending quantiles, each once.
    ///
    /// # Errors
    ///
    /// [`LevelError`] for a level that is not between 0 and 1.
    pub fn of_levels(levels: impl IntoIterator<Item = f64>) -> Result<Self, LevelError> {
        let levels: Vec<f64> = levels.into_iter().map(checked).collect::<Result<_, _>>()?;
        let bounds = levels.iter().flat_map(|level| [Self::lower(*level), Self::upper(*level)]);
        let mut quantiles: Vec<f64> = bounds.collect();
        quantiles.sort_by(f64::total_cmp);
        quantiles.dedup();
        Self::of_quantiles(quantiles)
    }

    /// These quantiles, such as 0.1, 0.5 and 0.9, in this order. That of 0.5 is the forecast itself.
    ///
    /// # Errors
    ///
    /// [`LevelError`] for one that is not between 0 and 1.
    pub fn of_quantiles(quantiles: impl IntoIterator<Item = f64>) -> Result<Self, LevelError> {
        let quantiles = quantiles.into_iter().map(checked).collect::<Result<_, _>>()?;
        Ok(Self { quantiles, origins: Calibration::ORIGINS })
    }

    /// From how many earlier origins each series is forecast again, at most: 8 unless said. More are slower and steadier.
    #[must_use]
    pub fn with_origins(self, origins: usize) -> Self {
        Self { origins, ..self }
    }

    /// The quantiles, in the order of the results.
    pub fn quantiles(&self) -> &[f64] {
        &self.quantiles
    }

    /// The quantile at the lower end of an interval: 0.025 for 0.95.
    pub fn lower(level: f64) -> f64 {
        (1.0 - level) / 2.0
    }

    /// The quantile at the upper end of an interval: 0.975 for 0.95.
    pub fn upper(level: f64) -> f64 {
        1.0 - Self::lower(level)
    }

    /// Forecasts series as [`Forecaster::forecast_each`] does, with their quantiles.
    ///
    /// # Errors
    ///
    /// As [`Forecaster::forecast_each`].
    pub fn forecast(
        &self,
        forecaster: &Forecaster,
        series: &[Series<'_>],
        horizon: usize,
        control: &Control<'_>,
    ) -> Result<Vec<Result<IntervalForecast, SeriesError>>, tmoe_runner::Error> {
        let context = forecaster.context(horizon)?;
        let calibration = Calibration::new(context, horizon).with_origins(self.origins);
        let windows: Vec<Window<'_>> = series
            .iter()
            .enumerate()
            .flat_map(|(index, series)| calibration.windows(index, series.values()))
            .collect();
        let earlier = windows.iter().map(|window| Series::new(window.context));
        let mut forecasts =
            forecaster.forecast_each(series.iter().cloned().chain(earlier), horizon, control)?.into_iter();
        let points: Vec<_> = forecasts.by_ref().take(series.len()).collect();

        let scores = fitting(scores(&windows, forecasts, series.len(), horizon));
        let pool = fitting(pool(&scores, horizon));
        let with_quantiles = |((points, series), scores): ((Result<Forecast, _>, &Series<'_>), &Scores)| {
            let points = points?;
            let history = series.values();
            let seen = history.get(history.len().saturating_sub(context)..).unwrap_or_default();
            let distribution = Distribution::new(scores, Some(&pool), Scale::of(history, seen));
            let quantiles = distribution.map(|distribution| self.of(&distribution, &points));
            Ok(IntervalForecast { points, quantiles })
        };
        Ok(points.into_iter().zip(series).zip(&scores).map(with_quantiles).collect())
    }

    fn of(&self, distribution: &Distribution, points: &Forecast) -> Vec<Vec<f32>> {
        let quantile = |level: &f64| {
            let values = fitting(distribution.quantile(*level, &points.values));
            values.into_iter().map(|value| value as f32).collect()
        };
        self.quantiles.iter().map(quantile).collect()
    }
}

fn checked(level: f64) -> Result<f64, LevelError> {
    if 0.0 < level && level < 1.0 { Ok(level) } else { Err(LevelError(level)) }
}

/// How far each series' earlier forecasts were off. An earlier origin that cannot be forecast, its context all missing for example,
/// teaches nothing.
fn scores(
    windows: &[Window<'_>],
    forecasts: impl Iterator<Item = Result<Forecast, SeriesError>>,
    series: usize,
    horizon: usize,
) -> Result<Vec<Scores>, MetricError> {
    let mut scores = vec![Scores::new(horizon); series];
    for (window, forecast) in windows.iter().zip(forecasts) {
        if let (Some(scores), Ok(forecast)) = (scores.get_mut(window.series), forecast) {
            scores.add(window, &forecast.values)?;
        }
    }
    Ok(scores)
}

fn pool(scores: &[Scores], horizon: usize) -> Result<PooledScores, MetricError> {
    let mut pool = Pool::new(horizon);
    for scores in scores {
        pool.add(scores)?;
    }
    Ok(pool.sorted())
}

/// Every length here is the horizon.
fn fitting<T>(result: Result<T, MetricError>) -> T {
    result.unwrap_or_else(|error| unreachable!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_become_ascending_quantiles_each_once() {
        let intervals = Intervals::of_levels([0.9, 0.5, 0.9]).unwrap();
        let expected = [0.05, 0.25, 0.75, 0.95];
        assert_eq!(intervals.quantiles().len(), expected.len());
        for (found, expected) in intervals.quantiles().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }

    #[test]
    fn levels_beyond_0_and_1_are_refused() {
        for level in [0.0, 1.0, 95.0, -0.5, f64::NAN] {
            let error = Intervals::of_levels([0.5, level]).unwrap_err();
            assert!(error.to_string().contains(&level.to_string()), "{error}");
            assert!(Intervals::of_quantiles([level]).is_err());
        }
    }
}
