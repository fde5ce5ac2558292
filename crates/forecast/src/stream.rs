//! Series of a file to forecasts, chunk by chunk.
//!
//! ```text
//! reader ─ chunks ─┬─ forecaster 1 ─┬─ in order ─ sink
//!                  └─ forecaster 2 ─┘
//! ```
//!
//! A chunk is large enough to be batched by length without much padding, and small enough that a few of them fit into memory.
//! While one is forecast, the next is read and the one before written.

use std::sync::Mutex;
use std::thread;

use tmoe_data::read::{Entry, ReadError};
use tmoe_data::{TimeColumn, TimeSeries};
use tmoe_runner::{Control, Forecast, Forecaster, Series, SeriesError};

use crate::chunk::{CHUNK_POINTS, next_chunk};
use crate::error::{RunError, SeriesProblem};
use crate::intervals::{IntervalForecast, Intervals};
use crate::order::Order;

/// Points of a chunk at least, however many forecasters share them: 128 series of 512 points, a few batches.
const MIN_CHUNK_POINTS: usize = 1 << 16;

/// Forecasts files of series of any number and length.
#[derive(Clone, Debug)]
pub struct FileForecaster {
    forecasters: Vec<Forecaster>,
    horizon: usize,
    /// As it was set.
    chunk_points: Option<usize>,
    intervals: Option<Intervals>,
}

/// What came of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesForecast {
    /// Its name in the file.
    pub id: String,
    /// Its position among the series of the file, from 0.
    pub index: u64,
    /// The forecast with its time stamps and the series itself, or why there is none.
    pub result: Result<Forecasted, SeriesProblem>,
}

/// A series and its forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecasted {
    /// The series, on a regular axis.
    pub series: TimeSeries,
    /// The time stamps of the forecast: the axis continued, or steps from 1.
    pub time: TimeColumn,
    /// The forecast.
    pub forecast: Forecast,
    /// What [`FileForecaster::with_intervals`] asked for: see [`IntervalForecast::quantiles`].
    pub quantiles: Option<Vec<Vec<f32>>>,
}

/// How many series there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// With a forecast.
    pub forecast: u64,
    /// Without.
    pub failed: u64,
}

impl FileForecaster {
    /// Forecasts `horizon` points of every series.
    pub fn new(forecaster: Forecaster, horizon: usize) -> Self {
        Self { forecasters: vec![forecaster], horizon, chunk_points: None, intervals: None }
    }

    /// Chunks are forecast at the same time by this forecaster too, on a session of its own: where a small model does not keep
    /// all cores busy, several sessions of few threads are faster than one of many.
    #[must_use]
    pub fn with_another(mut self, forecaster: Forecaster) -> Self {
        self.forecasters.push(forecaster);
        self
    }

    /// About how many points are held at a time, of each forecaster; a series is never split. More means less padding, and more
    /// memory.
    #[must_use]
    pub fn with_chunk_points(self, chunk_points: usize) -> Self {
        Self { chunk_points: Some(chunk_points), ..self }
    }

    /// Few enough that a file of some hundred series keeps every forecaster busy.
    fn chunk_points(&self) -> usize {
        self.chunk_points.unwrap_or((CHUNK_POINTS / self.forecasters.len()).max(MIN_CHUNK_POINTS))
    }

    /// Gives quantiles beside the forecasts. A series that is too short to learn them from itself has those of its chunk.
    #[must_use]
    pub fn with_intervals(self, intervals: Intervals) -> Self {
        Self { intervals: Some(intervals), ..self }
    }

    /// Forecasts series as they come and hands each to `sink`, in their order, on the caller's thread. `control` stops the run, and
    /// is told of the passes of each chunk.
    ///
    /// # Errors
    ///
    /// See [`RunError`]. After `sink` failed it is not called again; after an entry that could not be read, forecasts of series
    /// before it may not have been handed out.
    pub fn run<E>(
        &self,
        entries: impl Iterator<Item = Result<Entry, ReadError>> + Send,
        control: &Control<'_>,
        mut sink: impl FnMut(SeriesForecast) -> Result<(), E>,
    ) -> Result<Summary, RunError<E>> {
        let mut entries = entries.fuse();
        let points = self.chunk_points();
        let source = Mutex::new(move || next_chunk(&mut entries, points));
        // One being read or forecast by each, and one of each to be written.
        let order = Order::new(self.forecasters.len(), 2 * self.forecasters.len());
        thread::scope(|scope| {
            for forecaster in &self.forecasters {
                let (source, order) = (&source, &order);
                scope.spawn(move || {
                    let _leaving = Leaving(order);
                    while let Some((place, chunk)) = order.take(source) {
                        let result = chunk.map_err(Failed::Read).and_then(|entries| {
                            self.forecast(forecaster, entries, control).map_err(Failed::Model)
                        });
                        let failed = result.is_err();
                        order.bring(place, result);
                        if failed {
                            order.stop();
                        }
                    }
                });
            }
            let stopping = Stopping(&order);
            let mut summary = Summary::default();
            while let Some(result) = stopping.0.next() {
                for forecast in result? {
                    match forecast.result {
                        Ok(_) => summary.forecast += 1,
                        Err(_) => summary.failed += 1,
                    }
                    sink(forecast).map_err(RunError::Sink)?;
                }
            }
            Ok(summary)
        })
    }

    fn forecast(
        &self,
        forecaster: &Forecaster,
        entries: Vec<Entry>,
        control: &Control<'_>,
    ) -> Result<Vec<SeriesForecast>, tmoe_runner::Error> {
        let mut forecasts = self.of_usable(forecaster, &entries, control)?.into_iter();
        let joined = entries.into_iter().map(|Entry { id, index, series, .. }| {
            let result = series.map_err(SeriesProblem::from).and_then(|series| {
                let IntervalForecast { points: forecast, quantiles } =
                    forecasts.next().unwrap_or_else(|| unreachable!("every usable series has a result"))?;
                Ok(Forecasted { time: series.future(self.horizon)?, series, forecast, quantiles })
            });
            SeriesForecast { id, index, result }
        });
        Ok(joined.collect())
    }

    /// The forecasts of the series that are in order.
    fn of_usable(
        &self,
        forecaster: &Forecaster,
        entries: &[Entry],
        control: &Control<'_>,
    ) -> Result<Vec<Result<IntervalForecast, SeriesError>>, tmoe_runner::Error> {
        let usable = entries.iter().filter_map(|entry| entry.series.as_ref().ok());
        let series = usable.map(|series| Series::new(series.values.as_slice()).named(series.id.as_str()));
        if let Some(intervals) = &self.intervals {
            return intervals.forecast(forecaster, &series.collect::<Vec<_>>(), self.horizon, control);
        }
        let forecasts = forecaster.forecast_each(series, self.horizon, control)?;
        let alone = |points| IntervalForecast { points, quantiles: None };
        Ok(forecasts.into_iter().map(|forecast| forecast.map(alone)).collect())
    }
}

enum Failed {
    Read(ReadError),
    Model(tmoe_runner::Error),
}

impl<E> From<Failed> for RunError<E> {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Read(error) => Self::Read(error),
            Failed::Model(error) => Self::Model(error),
        }
    }
}

/// Says that a worker ended, even if it panics: else the other side would wait for ever.
struct Leaving<'a, T>(&'a Order<T>);

impl<T> Drop for Leaving<'_, T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Stops the workers when nobody takes results any more.
struct Stopping<'a, T>(&'a Order<T>);

impl<T> Drop for Stopping<'_, T> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
