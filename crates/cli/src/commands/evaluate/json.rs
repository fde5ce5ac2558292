//! What was measured, as JSON.

use std::path::Path;

use serde::Serialize;
use tmoe_backtest::Report;
use tmoe_backtest::metrics::PointErrors;
use tmoe_runner::Normalization;

use super::Scale;
use super::contestant::Name;
use super::protocol::{ChannelErrors, Evaluated as ProtocolEvaluated};
use super::rolling::{Evaluated, Measurement, SeriesReport};
use super::setup::Setup;
use super::tables::mse_change;

/// A backtest at rolling origins.
#[derive(Serialize)]
pub(super) struct Rolling<'a> {
    protocol: &'static str,
    input: &'a Path,
    context: usize,
    horizon: usize,
    stride: usize,
    normalize: Normalization,
    scale: Scale,
    /// Earlier origins of the intervals; null without intervals.
    interval_origins: Option<usize>,
    series: u64,
    models: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    #[serde(flatten)]
    name: &'a Name,
    #[serde(flatten)]
    errors: Errors,
    /// Difference of `mse` from the first model's, relative to that.
    mse_change: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    per_series: Vec<Series<'a>>,
}

#[derive(Serialize)]
struct Series<'a> {
    series: &'a str,
    season: usize,
    #[serde(flatten)]
    errors: Errors,
}

#[derive(Serialize)]
struct Errors {
    windows: u64,
    points: u64,
    mse: Option<f64>,
    mae: Option<f64>,
    rmse: Option<f64>,
    mase: Option<f64>,
    /// In percent.
    smape: Option<f64>,
    /// A fraction.
    wape: Option<f64>,
    /// A fraction: the mean of `quantile_losses`.
    wql: Option<f64>,
    quantile_losses: Vec<QuantileLoss>,
    intervals: Vec<Interval>,
}

#[derive(Serialize)]
struct QuantileLoss {
    quantile: f64,
    loss: Option<f64>,
}

#[derive(Serialize)]
struct Interval {
    /// In percent.
    level: f64,
    /// In percent.
    coverage: Option<f64>,
    mean_width: Option<f64>,
    /// Points that had an interval.
    points: u64,
}

impl Errors {
    fn new(report: &Report, setup: &Setup) -> Self {
        let Report { windows, points, quantiles, intervals } = report;
        let losses = quantiles.per_level();
        let loss = |place: usize| losses.as_ref().and_then(|losses| losses.get(place).copied());
        let quantile_losses = quantiles
            .levels()
            .iter()
            .enumerate()
            .map(|(place, &quantile)| QuantileLoss { quantile, loss: loss(place) });
        let intervals = setup.levels.iter().zip(intervals).map(|(level, errors)| Interval {
            level: level.percent(),
            coverage: errors.coverage().map(|coverage| coverage * 100.0),
            mean_width: errors.mean_width(),
            points: errors.points(),
        });
        Self {
            windows: *windows,
            points: points.points(),
            mse: points.mse(),
            mae: points.mae(),
            rmse: points.rmse(),
            mase: points.mase(),
            smape: points.smape(),
            wape: points.wape(),
            wql: quantiles.weighted_quantile_loss(),
            quantile_losses: quantile_losses.collect(),
            intervals: intervals.collect(),
        }
    }
}

pub(super) fn rolling<'a>(
    setup: &'a Setup,
    evaluated: &Evaluated,
    measurements: &'a [Measurement],
) -> Rolling<'a> {
    let first = measurements.first().and_then(|first| first.overall.points.mse());
    let series = |SeriesReport { id, season, report }: &'a SeriesReport| Series {
        series: id,
        season: *season,
        errors: Errors::new(report, setup),
    };
    let models = measurements.iter().map(|measurement| Model {
        name: &measurement.name,
        errors: Errors::new(&measurement.overall, setup),
        mse_change: mse_change(&measurement.overall.points, first),
        per_series: measurement.series.iter().map(series).collect(),
    });
    Rolling {
        protocol: "rolling",
        input: &setup.input,
        context: setup.context,
        horizon: setup.horizon,
        stride: setup.stride,
        normalize: setup.normalization,
        scale: setup.scale,
        interval_origins: setup.origins,
        series: evaluated.series,
        models: models.collect(),
    }
}

/// The evaluation of the Time-MoE paper.
#[derive(Serialize)]
pub(super) struct TimeMoe<'a> {
    protocol: &'static str,
    input: &'a Path,
    context: usize,
    horizon: usize,
    series: usize,
    models: Vec<TimeMoeModel<'a>>,
}

#[derive(Serialize)]
struct TimeMoeModel<'a> {
    #[serde(flatten)]
    name: &'a Name,
    #[serde(flatten)]
    errors: TimeMoeErrors,
    mse_change: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    per_series: Vec<TimeMoeSeries<'a>>,
}

#[derive(Serialize)]
struct TimeMoeSeries<'a> {
    series: &'a str,
    #[serde(flatten)]
    errors: TimeMoeErrors,
}

#[derive(Serialize)]
struct TimeMoeErrors {
    windows: u64,
    mse: Option<f64>,
    mae: Option<f64>,
}

impl TimeMoeErrors {
    fn new(windows: u64, points: &PointErrors) -> Self {
        Self { windows, mse: points.mse(), mae: points.mae() }
    }
}

pub(super) fn time_moe<'a>(evaluated: &'a ProtocolEvaluated, per_series: bool) -> TimeMoe<'a> {
    let first =
        evaluated.models.first().and_then(|(_, channels)| ChannelErrors::total(channels).points.mse());
    let models = evaluated.models.iter().map(|(name, channels)| {
        let total = ChannelErrors::total(channels);
        let series =
            evaluated.channels.iter().zip(channels).filter(|_| per_series).map(|(series, errors)| {
                TimeMoeSeries { series, errors: TimeMoeErrors::new(errors.windows, &errors.points) }
            });
        TimeMoeModel {
            name,
            errors: TimeMoeErrors::new(total.windows, &total.points),
            mse_change: mse_change(&total.points, first),
            per_series: series.collect(),
        }
    });
    TimeMoe {
        protocol: "time-moe",
        input: &evaluated.input,
        context: evaluated.context,
        horizon: evaluated.horizon,
        series: evaluated.channels.len(),
        models: models.collect(),
    }
}
