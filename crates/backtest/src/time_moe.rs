//! The evaluation protocol of the original Time-MoE (`run_eval.py` and `BenchmarkEvalDataset`), exactly.
//!
//! - The file's name decides the [`Split`]: ETTh and ETTm are split after 12 and 16 of 20 months of 30 days, everything
//!   else after 70 % and before the last 20 % of its rows.
//! - Every channel is scaled by mean and population standard deviation of its train split, and rounded to float32.
//! - The test split begins one context before its first forecast point. Its windows are all that end before its last
//!   row: the original counts `range(window_length, n)`, which leaves out the window that ends with it.
//! - Channels are forecast separately, without window normalisation.
//! - MSE and MAE are sums over all points of all windows, divided by their number: [`PointErrors`] of everything. The
//!   original sums in float32, this crate in float64.
//!
//! One thing differs: in the original a missing value makes both numbers NaN; here, missing points of the truth do not
//! count.
//!
//! [`PointErrors`]: crate::metrics::PointErrors

use std::ops::Range;
use std::path::Path;

use crate::windows::{RollingOrigin, Window};

/// Where a file's rows are split into train, validation and test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// 12, 4 and 4 months of 30 days of hours; later rows are not used.
    EttHourly,
    /// The same of quarter hours.
    EttQuarterHourly,
    /// 70 %, 10 % and 20 % of the rows.
    Fractions,
}

impl Split {
    /// What the original takes for a file: by whether its name, in lower case, contains `etth` or `ettm`.
    ///
    /// ```
    /// use tmoe_backtest::time_moe::Split;
    ///
    /// assert_eq!(Split::of_file("data/ETTh1.csv".as_ref()), Split::EttHourly);
    /// assert_eq!(Split::of_file("ettm/weather.csv".as_ref()), Split::Fractions);
    /// ```
    pub fn of_file(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        if name.contains("etth") {
            Self::EttHourly
        } else if name.contains("ettm") {
            Self::EttQuarterHourly
        } else {
            Self::Fractions
        }
    }

    /// The rows that the scaling is fitted on, and those of the test split, which begins `context` rows before the first
    /// row that is forecast.
    pub fn borders(self, rows: usize, context: usize) -> Result<Borders, ProtocolError> {
        const MONTH: usize = 30 * 24;
        let (train, first_forecast, end) = match self {
            Self::EttHourly => (12 * MONTH, 16 * MONTH, 20 * MONTH),
            Self::EttQuarterHourly => (4 * 12 * MONTH, 4 * 16 * MONTH, 4 * 20 * MONTH),
            // The products are truncated as the original's are.
            Self::Fractions => ((rows as f64 * 0.7) as usize, rows - (rows as f64 * 0.2) as usize, rows),
        };
        if rows < end || train == 0 {
            return Err(ProtocolError::TooFewRows { rows, needed: end.max(2) });
        }
        let start = first_forecast
            .checked_sub(context)
            .ok_or(ProtocolError::ContextTooLong { context, first_forecast })?;
        Ok(Borders { train: 0..train, test: start..end })
    }
}

/// Rows of a file, see [`Split::borders`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Borders {
    /// What the scaling is fitted on.
    pub train: Range<usize>,
    /// What the windows are cut from, the first context included.
    pub test: Range<usize>,
}

/// The context that the original takes for a horizon: 512, 1024, 2048 and 3072 for 96, 192, 336 and 720, otherwise four
/// times the horizon.
pub const fn context_for(horizon: usize) -> usize {
    match horizon {
        96 => 512,
        192 => 1024,
        336 => 2048,
        720 => 3072,
        _ => horizon.saturating_mul(4),
    }
}

/// Why the protocol cannot be followed on some data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The file ends before the split does.
    #[error(
        "{rows} rows are fewer than the {needed} that the Time-MoE protocol splits into train, validation and test"
    )]
    TooFewRows {
        /// Rows there are.
        rows: usize,
        /// Rows needed.
        needed: usize,
    },
    /// The first context would begin before the file does.
    #[error(
        "a context of {context} points is longer than the {first_forecast} before the test split; choose a shorter one"
    )]
    ContextTooLong {
        /// The context.
        context: usize,
        /// Rows before the first that is forecast.
        first_forecast: usize,
    },
    /// Context and horizon must have points.
    #[error("context {context} and horizon {horizon} must both be at least 1")]
    NoPoints {
        /// The context.
        context: usize,
        /// The horizon.
        horizon: usize,
    },
    /// The test split has no window.
    #[error(
        "the test split has {rows} rows with its first context, and a window needs more than {window} (context and \
         horizon); choose a shorter horizon"
    )]
    NoWindow {
        /// Rows of the test split.
        rows: usize,
        /// Context and horizon.
        window: usize,
    },
    /// Channels of one file have the same number of rows.
    #[error("channel {channel} has {found} rows and the first has {expected}; all must have the same")]
    Uneven {
        /// Index of the channel.
        channel: usize,
        /// Its rows.
        found: usize,
        /// Rows of the first channel.
        expected: usize,
    },
}

/// The scaled test split of a file, cut into windows.
///
/// ```
/// use tmoe_backtest::metrics::PointErrors;
/// use tmoe_backtest::time_moe::{Evaluation, Split};
///
/// let channel: Vec<f64> = (0..100).map(f64::from).collect();
/// let evaluation = Evaluation::new(Split::Fractions, &[&channel], 8, 4)?;
/// assert_eq!(evaluation.len(), 28 - 12);
/// let mut errors = PointErrors::default();
/// for window in evaluation.windows() {
///     let forecast = [window.context[7] as f32; 4]; // a model's forecast of window.context
///     errors.add(window.truth, &forecast, None)?;
/// }
/// println!("MSE {:?}, MAE {:?}", errors.mse(), errors.mae());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluation {
    layout: RollingOrigin,
    channels: Vec<Vec<f64>>,
}

impl Evaluation {
    /// Scales the test split of every channel, all of the same length; NaN is a missing point.
    pub fn new(
        split: Split,
        channels: &[&[f64]],
        context: usize,
        horizon: usize,
    ) -> Result<Self, ProtocolError> {
        if context == 0 || horizon == 0 {
            return Err(ProtocolError::NoPoints { context, horizon });
        }
        let rows = channels.first().map_or(0, |channel| channel.len());
        let uneven = channels.iter().position(|channel| channel.len() != rows);
        if let Some(channel) = uneven {
            return Err(ProtocolError::Uneven { channel, found: channels[channel].len(), expected: rows });
        }
        let Borders { train, test } = split.borders(rows, context)?;
        let window = context.saturating_add(horizon);
        if test.len() <= window {
            return Err(ProtocolError::NoWindow { rows: test.len(), window });
        }
        let scaled = channels.iter().map(|channel| {
            let (mean, deviation) = standard_scale(&channel[train.clone()]);
            // Without the last row: no window ends with it. What the model and the errors see is float32.
            let values = &channel[test.start..test.end - 1];
            values.iter().map(|value| f64::from(((value - mean) / deviation) as f32)).collect()
        });
        Ok(Self { layout: RollingOrigin::new(context, horizon).with_stride(1), channels: scaled.collect() })
    }

    /// The number of windows of all channels.
    pub fn len(&self) -> usize {
        self.channels.iter().map(|channel| self.layout.count(channel.len())).sum()
    }

    /// Whether there is no window, because there is no channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scaled test split of a channel, without its last row.
    pub fn channel(&self, index: usize) -> Option<&[f64]> {
        self.channels.get(index).map(Vec::as_slice)
    }

    /// All windows in the original's order: channel by channel, oldest first. `series` is the channel, and the origin
    /// counts from the start of the test split.
    pub fn windows(&self) -> impl Iterator<Item = Window<'_>> {
        self.channels.iter().enumerate().flat_map(|(index, channel)| self.layout.windows(index, channel))
    }
}

/// Mean and standard deviation (with n) of the known points, as scikit-learn's `StandardScaler` has them: the deviation of
/// a channel that is constant up to rounding is 1.
fn standard_scale(values: &[f64]) -> (f64, f64) {
    let known = || values.iter().filter(|value| !value.is_nan());
    let count = known().count() as f64;
    let mean = known().sum::<f64>() / count;
    let variance = known().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
    (mean, if variance <= rounding { 1.0 } else { variance.sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ett_is_split_by_months_of_30_days_and_anything_else_by_fractions() {
        let borders = |split: Split, rows, context| split.borders(rows, context).unwrap();
        let hourly = borders(Split::EttHourly, 17420, 512);
        assert_eq!((hourly.train, hourly.test), (0..8640, 11008..14400));
        let quarter = borders(Split::EttQuarterHourly, 69680, 3072);
        assert_eq!((quarter.train, quarter.test), (0..34560, 43008..57600));
        // 0.7 and 0.2 of 52,696 are 36,887.2 and 10,539.2.
        let weather = borders(Split::Fractions, 52696, 512);
        assert_eq!((weather.train, weather.test), (0..36887, 41645..52696));
    }

    #[test]
    fn contexts_are_those_of_the_original() {
        let contexts = [96, 192, 336, 720, 24].map(context_for);
        assert_eq!(contexts, [512, 1024, 2048, 3072, 96]);
    }

    #[test]
    fn what_the_protocol_cannot_split_is_an_error() {
        let series = vec![1.0; 14399];
        let found = |split, channels: &[&[f64]], context, horizon| {
            Evaluation::new(split, channels, context, horizon).map(|evaluation| evaluation.len())
        };
        let needed = ProtocolError::TooFewRows { rows: 14399, needed: 14400 };
        assert_eq!(found(Split::EttHourly, &[&series], 512, 96), Err(needed));
        let long = ProtocolError::ContextTooLong { context: 81, first_forecast: 80 };
        assert_eq!(found(Split::Fractions, &[&series[..100]], 81, 1), Err(long));
        let no_window = ProtocolError::NoWindow { rows: 30, window: 30 };
        assert_eq!(found(Split::Fractions, &[&series[..100]], 10, 20), Err(no_window));
        assert_eq!(found(Split::Fractions, &[&series[..100]], 10, 19), Ok(1));
        assert!(found(Split::Fractions, &[&series[..100], &series[..99]], 10, 19).is_err());
        assert!(found(Split::Fractions, &[&series[..100]], 0, 19).is_err());
        assert!(found(Split::Fractions, &[&series[..100]], 10, usize::MAX).is_err());
        assert!(found(Split::Fractions, &[], 10, 5).is_err());
        assert!(found(Split::Fractions, &[&[1.0]], 1, 1).is_err());
    }

    #[test]
    fn a_constant_channel_is_divided_by_one_and_missing_points_take_no_part() {
        assert_eq!(standard_scale(&[3.0, f64::NAN, 3.0]), (3.0, 1.0));
        assert_eq!(standard_scale(&[1.0, f64::NAN, 5.0]), (3.0, 2.0));
        // Constant but for rounding: 0.1 + 0.2 is not 0.3.
        assert_eq!(standard_scale(&[0.3, 0.1 + 0.2]).1, 1.0);
    }
}
