//! From where a series is forecast again, to see how far the model is off.

use crate::windows::{RollingOrigin, Windows};

/// The earlier origins whose errors calibrate a forecast's intervals.
///
/// They lie one horizon apart, and the newest one horizon before the series' end, so that all of its truth is known. A
/// history that is too short for that has them closer together, down to an eighth of the horizon, with contexts of at least
/// one horizon; then there are fewer; a history shorter than two horizons has none.
///
/// ```
/// use tmoe_backtest::conformal::Calibration;
///
/// let calibration = Calibration::new(512, 96);
/// let origins = |length: usize| -> Vec<usize> {
///     let history = vec![0.0; length];
///     calibration.windows(0, &history).map(|window| window.origin()).collect()
/// };
/// assert_eq!(origins(2000), [1232, 1328, 1424, 1520, 1616, 1712, 1808, 1904]);
/// assert_eq!(origins(512), [101, 146, 191, 236, 281, 326, 371, 416]);
/// assert_eq!(origins(200), [104]);
/// assert_eq!(origins(191), []);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    context: usize,
    horizon: usize,
    origins: usize,
    spacing: usize,
    min_context: usize,
}

impl Calibration {
    /// How many origins at most unless said otherwise.
    pub const ORIGINS: usize = 8;

    /// [`Calibration::ORIGINS`] origins for forecasts of `horizon` points from a context of at most `context`.
    pub fn new(context: usize, horizon: usize) -> Self {
        Self {
            context,
            horizon,
            origins: Self::ORIGINS,
            spacing: horizon.max(1),
            min_context: horizon.max(2),
        }
    }

    /// How many origins at most: each is one more forecast of the series.
    #[must_use]
    pub fn with_origins(mut self, origins: usize) -> Self {
        self.origins = origins;
        self
    }

    /// Points from one origin to the next where the history is long enough; 0 counts as 1.
    #[must_use]
    pub fn with_spacing(mut self, spacing: usize) -> Self {
        self.spacing = spacing.max(1);
        self
    }

    /// The fewest points of a context.
    #[must_use]
    pub fn with_min_context(mut self, min_context: usize) -> Self {
        self.min_context = min_context.max(1);
        self
    }

    /// The number of steps.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// What must be forecast to calibrate the forecast that follows `history`, oldest first.
    pub fn windows<'a>(&self, series: usize, history: &'a [f64]) -> Windows<'a> {
        let min_context = self.min_context.min(self.context);
        let room = history.len().saturating_sub(min_context).saturating_sub(self.horizon);
        let closest = self.horizon.div_ceil(8).clamp(1, self.spacing);
        let fitting = room / self.origins.saturating_sub(1).max(1);
        RollingOrigin::new(self.context, self.horizon)
            .with_stride(fitting.clamp(closest, self.spacing))
            .with_windows(self.origins)
            .with_min_context(min_context)
            .windows(series, history)
    }
}
