//! Series: what a forecaster is given, and how it becomes input for the model.

pub(crate) mod batch;
pub(crate) mod normalize;

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

/// A univariate series of equally spaced points, oldest first. NaN is a missing point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series<'a> {
    name: Option<Cow<'a, str>>,
    values: Cow<'a, [f64]>,
}

impl<'a> Series<'a> {
    /// A series without a name.
    pub fn new(values: impl Into<Cow<'a, [f64]>>) -> Self {
        Self { name: None, values: values.into() }
    }

    /// With the name that error messages use.
    pub fn named(self, name: impl Into<Cow<'a, str>>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The points.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl<'a> From<&'a [f64]> for Series<'a> {
    fn from(values: &'a [f64]) -> Self {
        Self::new(values)
    }
}

impl<'a> From<&'a Vec<f64>> for Series<'a> {
    fn from(values: &'a Vec<f64>) -> Self {
        Self::new(values.as_slice())
    }
}

impl From<Vec<f64>> for Series<'_> {
    fn from(values: Vec<f64>) -> Self {
        Self::new(values)
    }
}

impl<'a, const N: usize> From<&'a [f64; N]> for Series<'a> {
    fn from(values: &'a [f64; N]) -> Self {
        Self::new(values.as_slice())
    }
}

impl From<&[f32]> for Series<'_> {
    fn from(values: &[f32]) -> Self {
        Self::new(values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>())
    }
}

impl From<&Vec<f32>> for Series<'_> {
    fn from(values: &Vec<f32>) -> Self {
        values.as_slice().into()
    }
}

/// Which series an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesLabel {
    /// Its place among the series of the call, from 0.
    pub index: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
}

impl SeriesLabel {
    pub(crate) fn of(index: usize, series: &Series<'_>) -> Self {
        Self { index, name: series.name().map(str::to_owned) }
    }
}

impl fmt::Display for SeriesLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "the series `{name}`"),
            None => write!(f, "series {} (counted from 0)", self.index),
        }
    }
}

/// Why series cannot be forecast.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SeriesError {
    /// A forecast of no points.
    #[error("the horizon is 0; ask for at least one point")]
    HorizonZero,
    /// A context of no points.
    #[error("the context is 0; the model needs at least one point to see")]
    ContextZero,
    /// More points than the model can forecast while it sees any.
    #[error("a horizon of {horizon} is too long: the model holds {positions} points, context and horizon together; ask for at most {}", positions - 1)]
    HorizonTooLong {
        /// Points asked for.
        horizon: usize,
        /// The model's `max_position_embeddings`.
        positions: usize,
    },
    /// As [`SeriesError::HorizonTooLong`], because of missing points at a series' end, which are forecast too.
    #[error(
        "{series} ends in {missing} missing points, which are forecast before the {horizon} asked for: together \
         too many for the model, which holds {positions}; cut them off, or ask for a shorter horizon"
    )]
    GapTooLong {
        /// Which.
        series: SeriesLabel,
        /// Missing points at its end.
        missing: usize,
        /// Points asked for.
        horizon: usize,
        /// The model's `max_position_embeddings`.
        positions: usize,
    },
    /// A stream that has grown to all that it or the model holds.
    #[error(
        "the stream has {points} points, and {more} more are too many: it holds {most}; restart it from its newest points"
    )]
    StreamFull {
        /// Points that the model is to see of it.
        points: usize,
        /// Points that were to be appended or forecast.
        more: usize,
        /// The most that it, or the model, holds.
        most: usize,
    },
    /// A series without points.
    #[error("{series} is empty; it needs at least one point")]
    Empty {
        /// Which.
        series: SeriesLabel,
    },
    /// A series whose points are all missing.
    #[error("{series} has no values: all of its {points} points are missing")]
    AllMissing {
        /// Which.
        series: SeriesLabel,
        /// How many.
        points: usize,
    },
    /// Infinity, or a number that the model's float32 does not hold.
    #[error(
        "{series} has the value {value:e} at position {position} (counted from 0); values must be finite float32 numbers, missing ones NaN"
    )]
    OutOfRange {
        /// Which.
        series: SeriesLabel,
        /// Where.
        position: usize,
        /// The value.
        value: f64,
    },
    /// The model's output is not a number.
    #[error(
        "the forecast of {series} is {value} at step {step} (counted from 0); scale the values down, or use window normalisation"
    )]
    ForecastNotFinite {
        /// Which.
        series: SeriesLabel,
        /// Where.
        step: usize,
        /// The value.
        value: f32,
    },
}
