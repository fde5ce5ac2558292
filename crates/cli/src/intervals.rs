//! The arguments that ask for prediction intervals, the same for every command that gives some.

use std::fmt;
use std::str::FromStr;

use tmoe_backtest::conformal::Calibration;
use tmoe_cli::plot::Band;
use tmoe_forecast::{Intervals, LevelError};

/// Which intervals, and from how many earlier forecasts.
#[derive(clap::Args)]
pub(crate) struct IntervalArguments {
    /// Prediction intervals that hold the truth in so many percent of cases, as 80,95
    ///
    /// The model forecasts points. Intervals are conformal: each series is forecast again from earlier origins of its own history, and
    /// how far those forecasts were off, at each step, says how wide the interval is. A series too short for that gets the errors of the
    /// others. Each origin costs as much as the forecast itself.
    #[arg(long, value_name = "PERCENT", value_delimiter = ',')]
    levels: Vec<Level>,
    /// Quantiles of the same distribution, as 0.1,0.5,0.9
    #[arg(long, value_name = "Q", value_delimiter = ',')]
    quantiles: Vec<Quantile>,
    /// Earlier origins that each series is forecast from for its intervals [default: 8]
    #[arg(long, value_name = "N", value_parser = origins)]
    interval_origins: Option<usize>,
}

/// What was asked for: bounds of intervals from the lowest to the highest, then quantiles.
pub(crate) struct Bounds {
    levels: Vec<Level>,
    quantiles: Vec<Quantile>,
}

/// An interval's level, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level(f64);

/// A quantile's level, between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantile(f64);

impl IntervalArguments {
    /// Whether any were asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.levels.is_empty() || !self.quantiles.is_empty()
    }

    /// What was asked for.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { levels: self.levels(), quantiles: self.quantiles() }
    }

    /// How they are computed; `None` if none were asked for.
    pub(crate) fn intervals(&self) -> Result<Option<Intervals>, LevelError> {
        if !self.is_wanted() {
            return Ok(None);
        }
        let intervals = Intervals::of_quantiles(self.bounds().fractions())?;
        Ok(Some(intervals.with_origins(self.origins())))
    }

    /// The intervals' levels, ascending, each once.
    pub(crate) fn levels(&self) -> Vec<Level> {
        sorted(&self.levels, |level| level.0)
    }

    /// The intervals' levels, or these where none were asked for.
    pub(crate) fn levels_or(&self, percent: &[f64]) -> Vec<Level> {
        match self.levels.is_empty() {
            true => percent.iter().copied().map(Level).collect(),
            false => self.levels(),
        }
    }

    /// The quantiles, ascending, each once.
    pub(crate) fn quantiles(&self) -> Vec<Quantile> {
        sorted(&self.quantiles, |quantile| quantile.0)
    }

    /// From how many origins each series is forecast again.
    pub(crate) fn origins(&self) -> usize {
        self.interval_origins.unwrap_or(Calibration::ORIGINS)
    }

    /// Whether anything was said about intervals.
    pub(crate) fn is_given(&self) -> bool {
        self.is_wanted() || self.interval_origins.is_some()
    }
}

impl Bounds {
    /// The quantiles that all of these are, in their order.
    fn fractions(&self) -> Vec<f64> {
        let lower = self.levels.iter().rev().map(|level| Intervals::lower(level.fraction()));
        let upper = self.levels.iter().map(|level| Intervals::upper(level.fraction()));
        lower.chain(upper).chain(self.quantiles.iter().map(|quantile| quantile.fraction())).collect()
    }

    /// What each is called: `lo-95`, `lo-80`, `hi-80`, `hi-95`, `q-0.1`.
    pub(crate) fn names(&self) -> Vec<String> {
        let lower = self.levels.iter().rev().map(|level| format!("lo-{level}"));
        let upper = self.levels.iter().map(|level| format!("hi-{level}"));
        lower.chain(upper).chain(self.quantiles.iter().map(|quantile| format!("q-{quantile}"))).collect()
    }

    /// The intervals, to be drawn, of values for all of these in their order.
    pub(crate) fn bands(&self, values: &[Vec<f32>]) -> Vec<Band> {
        let count = self.levels.len();
        let side = |index: usize| values.get(index).into_iter().flatten().copied().map(f64::from).collect();
        let band = |(index, level): (usize, &Level)| Band {
            level: level.percent(),
            lower: side(count - 1 - index),
            upper: side(count + index),
        };
        self.levels.iter().enumerate().map(band).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        2 * self.levels.len() + self.quantiles.len()
    }
}

fn sorted<T: Copy + PartialEq>(values: &[T], key: impl Fn(&T) -> f64) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_by(|a, b| key(a).total_cmp(&key(b)));
    values.dedup();
    values
}

impl Level {
    /// In percent.
    pub(crate) fn percent(self) -> f64 {
        self.0
    }

    /// Between 0 and 1.
    pub(crate) fn fraction(self) -> f64 {
        self.0 / 100.0
    }
}

impl Quantile {
    /// Between 0 and 1.
    pub(crate) fn fraction(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse() {
            Ok(percent) if 0.0 < percent && percent < 100.0 => Ok(Self(percent)),
            _ => Err("expected a percentage between 0 and 100, as 95".to_owned()),
        }
    }
}

impl FromStr for Quantile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse() {
            Ok(level) if 0.0 < level && level < 1.0 => Ok(Self(level)),
            _ => Err("expected a number between 0 and 1, as 0.9".to_owned()),
        }
    }
}

fn origins(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1000) => Ok(number),
        _ => Err("expected a whole number from 1 to 1000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_percentages_and_quantiles_fractions() {
        assert_eq!("99.5".parse(), Ok(Level(99.5)));
        assert_eq!(Level(99.5).to_string(), "99.5");
        assert_eq!(Level(80.0).to_string(), "80");
        assert_eq!(" 0.9".parse(), Ok(Quantile(0.9)));
        for text in ["0", "100", "-5", "nan", "95%", ""] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
        for text in ["0", "1", "95", "nan", ""] {
            assert!(text.parse::<Quantile>().is_err(), "{text}");
        }
    }

    #[test]
    fn levels_ascend_and_stand_once() {
        let arguments = IntervalArguments {
            levels: vec![Level(95.0), Level(80.0), Level(95.0)],
            quantiles: Vec::new(),
            interval_origins: None,
        };
        assert_eq!(arguments.levels(), [Level(80.0), Level(95.0)]);
        assert!(arguments.is_wanted());
        assert_eq!(arguments.levels_or(&[50.0]), arguments.levels());
    }

    #[test]
    fn bounds_stand_from_the_lowest_to_the_highest_before_the_quantiles() {
        let bounds =
            Bounds { levels: vec![Level(80.0), Level(95.0)], quantiles: vec![Quantile(0.1), Quantile(0.5)] };
        assert_eq!(bounds.names(), ["lo-95", "lo-80", "hi-80", "hi-95", "q-0.1", "q-0.5"]);
        let expected = [0.025, 0.1, 0.9, 0.975, 0.1, 0.5];
        let fractions = bounds.fractions();
        assert_eq!((fractions.len(), bounds.len()), (6, 6));
        for (found, expected) in fractions.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
        let values: Vec<Vec<f32>> = (0..6_u8).map(|bound| vec![f32::from(bound)]).collect();
        let bands = bounds.bands(&values);
        let bands = bands.iter().map(|band| (band.level, band.lower[0], band.upper[0]));
        assert_eq!(bands.collect::<Vec<_>>(), [(80.0, 1.0, 2.0), (95.0, 0.0, 3.0)]);
    }
}
