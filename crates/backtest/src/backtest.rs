//! A rolling-origin backtest of any forecaster, with intervals calibrated as they would have been at the time.

use std::collections::BTreeMap;

use crate::conformal::{Calibration, Distribution, Pool, Scale, Scores, scores};
use crate::metrics::{IntervalErrors, MetricError, PointErrors, QuantileErrors, SeasonalErrors};
use crate::windows::{RollingOrigin, Window};

/// Forecast points whose forecasts and scores are held at the same time: 12 bytes each, 192 MiB.
const POINTS_HELD: usize = 16 << 20;

/// What is backtested and measured, see [`Backtest::run`].
#[derive(Clone, Debug)]
pub struct Backtest {
    layout: RollingOrigin,
    season: usize,
    batch: usize,
    calibration: Option<Calibration>,
    levels: Vec<f64>,
    quantiles: Vec<f64>,
}

/// Why a backtest stopped.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError<E> {
    /// The model failed.
    #[error(transparent)]
    Model(E),
    /// The model did not give one forecast per window.
    #[error("the model gave {found} forecasts for {expected} windows")]
    Forecasts {
        /// Forecasts given.
        found: usize,
        /// Windows asked for.
        expected: usize,
    },
    /// A forecast has the wrong length.
    #[error(transparent)]
    Steps(#[from] MetricError),
}

/// What was measured of one series, or of all.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Windows with something to compare.
    pub windows: u64,
    /// Errors of the points forecast.
    pub points: PointErrors,
    /// Errors of the quantiles; without points where no interval was asked for or could be calibrated.
    pub quantiles: QuantileErrors,
    /// Coverage and width of the interval of each level, likewise.
    pub intervals: Vec<IntervalErrors>,
}

/// A window that was measured, see [`Backtest::run_observed`].
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// The window.
    pub window: Window<'a>,
    /// Its forecast, one point per step of the horizon.
    pub forecast: &'a [f32],
    /// How far the truth was expected to be from it; `None` where no interval was asked for or could be calibrated.
    pub distribution: Option<&'a Distribution>,
}

impl Report {
    /// Adds what was measured with the same levels and quantiles elsewhere.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        self.quantiles.merge(&other.quantiles)?;
        self.windows += other.windows;
        self.points.merge(&other.points);
        for (mine, other) in self.intervals.iter_mut().zip(&other.intervals) {
            mine.merge(other);
        }
        Ok(())
    }
}

impl Backtest {
    /// Point errors of these windows, with seasons of one point, 256 windows at a time.
    pub fn new(layout: RollingOrigin) -> Self {
        Self { layout, season: 1, batch: 256, calibration: None, levels: Vec::new(), quantiles: Vec::new() }
    }

    /// Points of a season, for MASE.
    #[must_use]
    pub fn with_season(mut self, season: usize) -> Self {
        self.season = season;
        self
    }

    /// How many windows the model gets at once, at most; 0 counts as 1.
    #[must_use]
    pub fn with_batch(mut self, windows: usize) -> Self {
        self.batch = windows.max(1);
        self
    }

    /// Also measures conformal intervals of these levels and quantiles. Calibration is on what was known at each window's
    /// origin. Its origins cost nothing where they are also those of windows or of other windows' calibration: a stride that
    /// divides the horizon shares all but the first ones.
    ///
    /// The scores of other series come from the window that lies as many strides from the series' end, which takes all series
    /// to end at the same time.
    #[must_use]
    pub fn with_intervals(mut self, calibration: Calibration, levels: &[f64], quantiles: &[f64]) -> Self {
        self.calibration = Some(calibration);
        self.levels = levels.to_vec();
        self.quantiles = quantiles.to_vec();
        self
    }

    /// A report with nothing measured, to merge the series' into.
    pub fn empty_report(&self) -> Report {
        Report {
            windows: 0,
            points: PointErrors::default(),
            quantiles: QuantileErrors::new(&self.quantiles),
            intervals: vec![IntervalErrors::default(); self.levels.len()],
        }
    }

    /// How many forecasts [`run`](Self::run) needs of a series: one per origin, of its windows and of their calibration.
    pub fn forecasts(&self, values: &[f64]) -> usize {
        let windows: Vec<Window<'_>> = self.layout.windows(0, values).collect();
        self.needed(&windows).len()
    }

    /// Backtests a model: a function from windows, of which it may look at everything but `truth`, to their forecasts, each
    /// of as many points as the horizon. Gives one report per series, empty where a series has no window.
    ///
    /// Every origin is forecast once, whatever it is needed for.
    pub fn run<E>(
        &self,
        series: &[&[f64]],
        model: impl FnMut(&[Window<'_>]) -> Result<Vec<Vec<f32>>, E>,
    ) -> Result<Vec<Report>, BacktestError<E>> {
        self.run_observed(series, model, |_| {})
    }

    /// As [`run`](Self::run), and shows every window that was measured to `observe`, each series' newest first.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use std::convert::Infallible;
    ///
    /// use tmoe_backtest::{Backtest, RollingOrigin, Window};
    ///
    /// let values: Vec<f64> = (0..40).map(f64::from).collect();
    /// let model = |windows: &[Window<'_>]| Ok::<_, Infallible>(vec![vec![20.0; 4]; windows.len()]);
    /// let mut newest = BTreeMap::new();
    /// Backtest::new(RollingOrigin::new(8, 4)).run_observed(&[&values], model, |measured| {
    ///     newest.entry(measured.window.series).or_insert(measured.window.origin());
    /// })?;
    /// assert_eq!(newest[&0], 36);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run_observed<E>(
        &self,
        series: &[&[f64]],
        mut model: impl FnMut(&[Window<'_>]) -> Result<Vec<Vec<f32>>, E>,
        mut observe: impl FnMut(Measured<'_>),
    ) -> Result<Vec<Report>, BacktestError<E>> {
        let mut reports = Vec::with_capacity(series.len());
        let mut held: Vec<Held<'_>> = Vec::new();
        let mut points = 0_usize;
        for (index, values) in series.iter().enumerate() {
            let next = Held::new(self, index, values);
            points += next.needed.len() * self.layout.horizon();
            held.push(next);
            if points > POINTS_HELD {
                self.measure(&mut held, &mut model, &mut observe, &mut reports)?;
                points = 0;
            }
        }
        self.measure(&mut held, &mut model, &mut observe, &mut reports)?;
        Ok(reports)
    }

    /// Forecasts and measures the series that are held, and lets go of them.
    fn measure<E>(
        &self,
        held: &mut Vec<Held<'_>>,
        model: &mut impl FnMut(&[Window<'_>]) -> Result<Vec<Vec<f32>>, E>,
        observe: &mut impl FnMut(Measured<'_>),
        reports: &mut Vec<Report>,
    ) -> Result<(), BacktestError<E>> {
        self.forecast(held, model)?;
        let first = reports.len();
        reports.extend(held.iter().map(|_| self.empty_report()));
        let most = held.iter().map(|series| series.windows.len()).max().unwrap_or(0);
        for from_end in 0..most {
            let mut calibrated = Vec::new();
            let mut pool = Pool::new(self.layout.horizon());
            for (index, series) in held.iter().enumerate() {
                let Some(window) = series.windows.iter().nth_back(from_end) else { continue };
                let scores = self.scores(series, window)?;
                pool.add(&scores)?;
                calibrated.push((index, window, scores));
            }
            let pool = pool.sorted();
            for (index, window, scores) in calibrated {
                if !window.is_measurable() {
                    continue;
                }
                let series = &held[index];
                let forecast = series.forecast(window);
                let report = &mut reports[first + index];
                report.windows += 1;
                report.points.add(window.truth, forecast, series.errors.before(window.origin()))?;
                let scale = Scale::of(window.history, window.context);
                let distribution =
                    self.calibration.and_then(|_| Distribution::new(&scores, Some(&pool), scale));
                if let Some(distribution) = &distribution {
                    self.measure_intervals(distribution, window, forecast, report)?;
                }
                observe(Measured { window: *window, forecast, distribution: distribution.as_ref() });
            }
        }
        held.clear();
        Ok(())
    }

    fn measure_intervals(
        &self,
        distribution: &Distribution,
        window: &Window<'_>,
        forecast: &[f32],
        report: &mut Report,
    ) -> Result<(), MetricError> {
        for (errors, level) in report.intervals.iter_mut().zip(&self.levels) {
            let interval = distribution.interval(*level, forecast)?;
            errors.add(window.truth, &interval.lower, &interval.upper)?;
        }
        let quantiles: Result<Vec<_>, _> =
            self.quantiles.iter().map(|level| distribution.quantile(*level, forecast)).collect();
        report.quantiles.add(window.truth, &quantiles?)
    }

    /// What must be forecast to measure windows of one series, by origin.
    fn needed<'a>(&self, windows: &[Window<'a>]) -> BTreeMap<usize, Window<'a>> {
        let mut needed = BTreeMap::new();
        for window in windows {
            let earlier =
                self.calibration.map(|calibration| calibration.windows(window.series, window.history));
            for window in earlier.into_iter().flatten().chain([*window]) {
                needed.entry(window.origin()).or_insert(window);
            }
        }
        needed
    }

    /// Scores of what was forecast before a window's origin.
    fn scores(&self, series: &Held<'_>, window: &Window<'_>) -> Result<Scores, MetricError> {
        let mut scores = Scores::new(self.layout.horizon());
        if let Some(calibration) = self.calibration {
            for earlier in calibration.windows(window.series, window.history) {
                scores.add_row(series.needed.get(&earlier.origin()).map_or(&[], |needed| &needed.scores))?;
            }
        }
        Ok(scores)
    }

    /// Fills in the forecasts that are needed, in batches across series.
    fn forecast<E>(
        &self,
        held: &mut [Held<'_>],
        model: &mut impl FnMut(&[Window<'_>]) -> Result<Vec<Vec<f32>>, E>,
    ) -> Result<(), BacktestError<E>> {
        let mut needed = held.iter_mut().flat_map(|series| series.needed.values_mut());
        loop {
            let batch: Vec<&mut Needed<'_>> = needed.by_ref().take(self.batch).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let windows: Vec<Window<'_>> = batch.iter().map(|needed| needed.window).collect();
            let forecasts = model(&windows).map_err(BacktestError::Model)?;
            if forecasts.len() != windows.len() {
                return Err(BacktestError::Forecasts { found: forecasts.len(), expected: windows.len() });
            }
            for (needed, forecast) in batch.into_iter().zip(forecasts) {
                crate::metrics::same_steps(forecast.len(), self.layout.horizon())?;
                if self.calibration.is_some() {
                    needed.scores = scores(&needed.window, &forecast);
                }
                needed.forecast = forecast;
            }
        }
    }
}

/// A series that is being backtested.
struct Held<'a> {
    windows: Vec<Window<'a>>,
    /// By origin.
    needed: BTreeMap<usize, Needed<'a>>,
    errors: SeasonalErrors,
}

struct Needed<'a> {
    window: Window<'a>,
    forecast: Vec<f32>,
    /// Worked out once for all windows that are calibrated with them.
    scores: Vec<f64>,
}

impl<'a> Held<'a> {
    fn new(backtest: &Backtest, index: usize, values: &'a [f64]) -> Self {
        let windows: Vec<Window<'a>> = backtest.layout.windows(index, values).collect();
        let needed = backtest
            .needed(&windows)
            .into_iter()
            .map(|(origin, window)| (origin, Needed { window, forecast: Vec::new(), scores: Vec::new() }));
        let needed = needed.collect();
        Self { windows, needed, errors: SeasonalErrors::new(values, backtest.season) }
    }

    fn forecast(&self, window: &Window<'_>) -> &[f32] {
        self.needed.get(&window.origin()).map_or(&[], |needed| &needed.forecast)
    }
}
