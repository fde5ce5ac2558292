//! The evaluation of the Time-MoE paper on a file: `tmoe_backtest::time_moe` says what that is.

use std::path::PathBuf;

use tmoe_backtest::Window;
use tmoe_backtest::metrics::PointErrors;
use tmoe_backtest::time_moe::{Evaluation, Split, context_for};
use tmoe_runner::{CancelToken, Control, Forecaster, Normalization, Series};

use super::contestant::{Name, Packages};
use super::{Arguments, json, tables};
use crate::progress::WindowBar;
use crate::text::{print, print_json};
use crate::{Failure, interrupt};

/// What was measured.
pub(super) struct Evaluated {
    pub(super) input: PathBuf,
    pub(super) split: Split,
    pub(super) context: usize,
    pub(super) horizon: usize,
    /// Names of the channels.
    pub(super) channels: Vec<String>,
    /// Packages, each with its errors in every channel.
    pub(super) models: Vec<(Name, Vec<ChannelErrors>)>,
}

/// Errors of scaled values.
#[derive(Clone, Copy, Default)]
pub(super) struct ChannelErrors {
    pub(super) windows: u64,
    pub(super) points: PointErrors,
}

impl ChannelErrors {
    /// Over all points of all channels.
    pub(super) fn total(channels: &[Self]) -> Self {
        let mut total = Self::default();
        for channel in channels {
            total.windows += channel.windows;
            total.points.merge(&channel.points);
        }
        total
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (channels, values) = read(arguments)?;
    let packages = Packages::open(arguments)?;
    let horizon = arguments.horizon;
    let context = arguments.context.unwrap_or(context_for(horizon));
    let (window, positions) = (context.saturating_add(horizon), packages.positions);
    if window > positions {
        return Err(format!(
            "context {context} and horizon {horizon} are {window} points together, and the model holds {positions}; choose a \
             shorter --context or --horizon"
        )
        .into());
    }
    let input = arguments.input.input.clone();
    let split = Split::of_file(&input);
    let views: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
    let evaluation = Evaluation::new(split, &views, context, horizon)
        .map_err(|error| format!("{}: {error}", input.display()))?;
    drop(values);

    let token = interrupt::token()?;
    let bar = WindowBar::new();
    bar.plan(evaluation.len() * packages.opened.len(), None);
    let mut evaluated = Evaluated { input, split, context, horizon, channels, models: Vec::new() };
    for (name, forecaster) in packages.forecasters(Normalization::None, context) {
        let measured = measure(&evaluation, &forecaster, &evaluated, arguments.batch(context), &token, &bar);
        let measured = measured.inspect_err(|_| bar.finish())?;
        evaluated.models.push((name, measured));
    }
    bar.finish();
    match arguments.json {
        true => print_json(&json::time_moe(&evaluated, arguments.per_series)),
        false => print(&tables::time_moe(&evaluated, arguments.per_series)),
    }
}

/// All channels of a file, by name: rows as they stand, because the protocol splits rows and not times.
fn read(arguments: &Arguments) -> Result<(Vec<String>, Vec<Vec<f64>>), Failure> {
    let file = arguments.input.input.display();
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for entry in arguments.input.open_rows()? {
        let entry = entry?;
        let series =
            entry.series.map_err(|problem| format!("{file}: the series `{}`: {problem}", entry.id))?;
        names.push(entry.id);
        values.push(series.values);
    }
    Ok((names, values))
}

/// A package's errors in every channel.
fn measure(
    evaluation: &Evaluation,
    forecaster: &Forecaster,
    evaluated: &Evaluated,
    batch: usize,
    token: &CancelToken,
    bar: &WindowBar,
) -> Result<Vec<ChannelErrors>, Failure> {
    let control = Control::new().with_cancel(token);
    let mut errors = vec![ChannelErrors::default(); evaluated.channels.len()];
    let mut windows = evaluation.windows();
    loop {
        let batch: Vec<Window<'_>> = windows.by_ref().take(batch).collect();
        if batch.is_empty() {
            return Ok(errors);
        }
        let all = batch.len();
        let measurable: Vec<Window<'_>> = batch.into_iter().filter(Window::is_measurable).collect();
        let series = measurable.iter().map(|window| {
            let name = evaluated.channels.get(window.series).map_or("", String::as_str);
            Series::new(window.context).named(name)
        });
        let forecasts = forecaster.forecast_with(series, evaluated.horizon, &control)?;
        for (window, forecast) in measurable.iter().zip(forecasts) {
            if let Some(errors) = errors.get_mut(window.series) {
                errors.windows += 1;
                errors.points.add(window.truth, &forecast.values, None)?;
            }
        }
        bar.done(all);
    }
}
