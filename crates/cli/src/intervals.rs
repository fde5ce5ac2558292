//! The arguments that ask for prediction intervals, the same for every command that gives some.

use std::fmt;
use std::str::FromStr;

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
        self.interval_origins.unwrap_or(8)
    }

    /// Whether anything was said about intervals.
    pub(crate) fn is_given(&self) -> bool {
        self.is_wanted() || self.interval_origins.is_some()
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
}
