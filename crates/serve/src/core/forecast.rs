//! From a request to its forecasts: check, cut, admit, queue, wait, put together. Every protocol goes through here.

use std::sync::Arc;
use std::time::Duration;

use tmoe_runner::{Limits, Series, SeriesError, SeriesLabel, check_horizon};

use super::Core;
use super::admission::Permit;
use super::error::{ForecastError, Invalid};
use super::intervals::{Earlier, Quantile};
use super::lane::{Closed, RowInput, RowResult, Ticket};
use super::model::Facts;
use super::name::{ModelName, Version};

/// The most quantiles of one request.
const MOST_QUANTILES: usize = 99;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Which model; the only one unless said.
    pub model: Option<String>,
    /// Which version of it; the newest that is ready unless said.
    pub version: Option<String>,
    /// The series.
    pub series: Vec<Input>,
    /// Points to forecast of each.
    pub horizon: usize,
    /// The most points of a series that the model sees; as many as it holds unless said.
    pub context: Option<usize>,
    /// Levels between 0 and 1.
    pub quantiles: Vec<f64>,
    /// How long the answer may take; as long as the server allows unless said.
    pub timeout: Option<Duration>,
}

/// One series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// What errors call it.
    pub name: Option<String>,
    /// Its points, oldest first; NaN is a missing one.
    pub values: Vec<f64>,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: Version,
    /// What it ran on.
    pub facts: Facts,
    /// One per series, in their order.
    pub forecasts: Vec<Result<Forecast, SeriesError>>,
    /// How many quantiles were asked for.
    pub levels: usize,
    /// What it cost.
    pub usage: Usage,
}

impl Answer {
    /// How many numbers there are in it.
    pub fn values(&self) -> usize {
        let of_series = |forecast: &Forecast| forecast.values.len() * (1 + self.levels);
        self.forecasts.iter().flatten().map(of_series).sum()
    }
}

/// The forecast of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The points after the last of the series.
    pub values: Vec<f32>,
    /// One per level asked for; `None` if none was, or if the series is too short to tell.
    pub quantiles: Option<Vec<Quantile>>,
    /// How many points the model saw.
    pub context: usize,
}

/// Points that a request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Given to the model, those of calibration included.
    pub context_points: usize,
    /// Forecast by the model, those of calibration included.
    pub forecast_points: usize,
}

/// A series with its place among the rows.
struct Planned {
    row: RowInput,
    earlier: Option<(Earlier, usize)>,
}

/// All rows of a request: each series' own, followed by those of its earlier origins.
struct Plan {
    series: Vec<Planned>,
    rows: Vec<RowInput>,
}

impl Core {
    /// Forecasts. Dropping the future frees the work.
    ///
    /// # Errors
    ///
    /// [`ForecastError`]. A request that cannot be forecast runs nothing: only a series whose forecast is no number has its
    /// own place for the error in the answer.
    pub async fn forecast(&self, permit: &Permit, request: Request) -> Result<Answer, ForecastError> {
        let allowed = request.timeout.map_or(self.limits.timeout, |asked| asked.min(self.limits.timeout));
        let work = self.forecast_untimed(permit, request);
        match tokio::time::timeout(allowed, work).await {
            Ok(result) => result,
            Err(_) => Err(ForecastError::Deadline { after: allowed }),
        }
    }

    async fn forecast_untimed(&self, permit: &Permit, request: Request) -> Result<Answer, ForecastError> {
        let Request { model, version, series, horizon, context, quantiles, .. } = request;
        check_counts(series.len(), self.limits.series, &quantiles)?;
        check_values(series.len(), horizon, quantiles.len(), self.limits.values)?;
        let series: Vec<(Option<String>, Arc<Vec<f64>>)> =
            series.into_iter().map(|input| (input.name, Arc::new(input.values))).collect();
        loop {
            let serving = self.registry.resolve(model.as_deref(), version.as_deref())?;
            let facts = serving.lane.model().facts();
            let limits = Limits { horizon, context, positions: facts.positions };
            let plan = Plan::new(&series, limits, !quantiles.is_empty()).map_err(Invalid::from)?;
            let usage = plan.usage(horizon);
            permit.charge(usage.context_points + usage.forecast_points)?;
            let ticket: Ticket = match serving.lane.submit(plan.rows, horizon) {
                Ok(ticket) => ticket,
                // It was replaced or unloaded since it was resolved.
                Err(Closed) => continue,
            };
            let facts = facts.clone();
            let results = ticket.await?;
            permit.discharge();
            let forecasts = put_together(&series, &plan.series, &results, &quantiles);
            let levels = quantiles.len();
            let (model, version) = (serving.name, serving.version);
            return Ok(Answer { model, version, facts, forecasts, levels, usage });
        }
    }
}

fn check_counts(series: usize, most: usize, quantiles: &[f64]) -> Result<(), Invalid> {
    if series == 0 {
        return Err(Invalid::NoSeries);
    }
    if series > most {
        return Err(Invalid::TooManySeries { found: series, limit: most });
    }
    if quantiles.len() > MOST_QUANTILES {
        return Err(Invalid::TooManyQuantiles { found: quantiles.len(), limit: MOST_QUANTILES });
    }
    match quantiles.iter().find(|&&level| !(level > 0.0 && level < 1.0)) {
        Some(&found) => Err(Invalid::Quantile { found }),
        None => Ok(()),
    }
}

/// A short request must not have an answer that fills the memory.
fn check_values(series: usize, horizon: usize, quantiles: usize, most: usize) -> Result<(), Invalid> {
    let found = series.saturating_mul(horizon).saturating_mul(1 + quantiles);
    if found > most { Err(Invalid::TooManyValues { found, limit: most }) } else { Ok(()) }
}

impl Plan {
    fn new(
        series: &[(Option<String>, Arc<Vec<f64>>)],
        limits: Limits,
        with_quantiles: bool,
    ) -> Result<Self, SeriesError> {
        check_horizon(limits.horizon, limits.positions)?;
        limits.check()?;
        let mut plan = Self { series: Vec::with_capacity(series.len()), rows: Vec::new() };
        for (index, (name, values)) in series.iter().enumerate() {
            let (range, trailing) = cut(limits, index, name.as_deref(), values)?;
            let row = RowInput { series: Arc::clone(values), range, trailing };
            plan.rows.push(row.clone());
            let earlier = with_quantiles.then(|| {
                let cut = |context: &[f64]| cut(limits, index, None, context).ok();
                let (earlier, rows) = Earlier::new(&row, limits.horizon, cut);
                let count = rows.len();
                plan.rows.extend(rows);
                (earlier, count)
            });
            plan.series.push(Planned { row, earlier });
        }
        Ok(plan)
    }

    fn usage(&self, horizon: usize) -> Usage {
        Usage {
            context_points: self.rows.iter().map(RowInput::length).sum(),
            forecast_points: self.rows.iter().map(|row| row.trailing + horizon).sum(),
        }
    }
}

/// Which part of a series the model sees, missing points at the end included, and how many those are.
fn cut(
    limits: Limits,
    index: usize,
    name: Option<&str>,
    values: &[f64],
) -> Result<(std::ops::Range<usize>, usize), SeriesError> {
    let series = Series::new(values);
    let series = match name {
        Some(name) => series.named(name),
        None => series,
    };
    let window = limits.window(index, &series)?;
    let start = values.len() - window.trailing - window.points.len();
    Ok((start..values.len(), window.trailing))
}

fn put_together(
    series: &[(Option<String>, Arc<Vec<f64>>)],
    planned: &[Planned],
    results: &[RowResult],
    levels: &[f64],
) -> Vec<Result<Forecast, SeriesError>> {
    let mut results = results.iter();
    let mut forecasts = Vec::with_capacity(planned.len());
    for (index, (planned, (name, _))) in planned.iter().zip(series).enumerate() {
        let own = results.next();
        let earlier = planned.earlier.as_ref().map(|(earlier, rows)| {
            let (of_origins, rest) = results.as_slice().split_at((*rows).min(results.len()));
            results = rest.iter();
            (earlier, of_origins)
        });
        let Some(own) = own else { break };
        forecasts.push(match own {
            Ok(values) => Ok(Forecast {
                quantiles: earlier.and_then(|(earlier, rows)| earlier.quantiles(rows, values, levels)),
                values: values.clone(),
                context: planned.row.length(),
            }),
            Err(error) => Err(relabelled(error, SeriesLabel { index, name: name.clone() })),
        });
    }
    forecasts
}

/// The model counts the rows of its batch; the client counts the series of its request.
fn relabelled(error: &SeriesError, label: SeriesLabel) -> SeriesError {
    match error {
        &SeriesError::ForecastNotFinite { step, value, .. } => {
            SeriesError::ForecastNotFinite { series: label, step, value }
        }
        other => other.clone(),
    }
}
