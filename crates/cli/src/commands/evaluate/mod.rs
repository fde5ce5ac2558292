//! `tmoe evaluate`: how good a package's forecasts are on data that is known, and how packages differ in it.

mod scores;
mod windows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use tmoe_data::csv;
use tmoe_package::Precision;
use tmoe_runner::{CancelToken, Forecaster, OpSet};

use self::scores::Scores;
use self::windows::{Window, windows};
use crate::progress::with_bar;
use crate::session::EngineArguments;
use crate::text::{print, print_json, table};
use crate::{Failure, interrupt};

/// Backtest packages on a CSV file: forecast what is known, and measure the error
///
/// Every series is cut into windows of context and horizon, one every --stride points. Errors are those of values scaled by
/// each series' mean and standard deviation, so that all series count alike. With several packages, of one model in several
/// precisions for example, the first is what the others are compared with.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Package folders
    #[arg(value_name = "PACKAGE", required = true)]
    packages: Vec<PathBuf>,
    /// CSV file
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// How many points to forecast from each window
    #[arg(long, value_name = "N", default_value_t = 96)]
    horizon: usize,
    /// How many points the model sees of each window
    #[arg(long, value_name = "N", default_value_t = 512)]
    context: usize,
    /// Points from one window to the next; as many as the horizon unless said
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    #[command(flatten)]
    engine: EngineArguments,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What was measured of one package.
#[derive(Serialize)]
struct Evaluation {
    package: PathBuf,
    precision: Precision,
    provider: &'static str,
    graph: OpSet,
    windows: usize,
    /// Mean squared error of the scaled values.
    mse: f64,
    /// Mean absolute error of the scaled values.
    mae: f64,
    /// Difference of `mse` from the first package's, relative to that.
    mse_change: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let history = csv::open(&arguments.input)?;
    let stride = arguments.stride.unwrap_or(arguments.horizon);
    let windows = windows(&history, arguments.context, arguments.horizon, stride)
        .map_err(|error| format!("{}: {error}", arguments.input.display()))?;
    let token = interrupt::token()?;
    let mut evaluations: Vec<Evaluation> = Vec::new();
    for path in &arguments.packages {
        let evaluation = evaluate(arguments, path, &windows, evaluations.first(), &token)?;
        evaluations.push(evaluation);
    }
    if arguments.json {
        print_json(&evaluations)?;
    } else {
        print(&for_people(arguments, &evaluations))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn evaluate(
    arguments: &Arguments,
    path: &Path,
    windows: &[Window<'_>],
    first: Option<&Evaluation>,
    token: &CancelToken,
) -> Result<Evaluation, Failure> {
    let package = arguments.engine.package(path)?;
    let session = arguments.engine.open(&package)?;
    let (provider, graph) = (session.provider().name(), session.graph());
    let forecaster = Forecaster::new(session).with_context(arguments.context);

    let series = windows.iter().map(|window| tmoe_runner::Series::new(window.context));
    let forecasts =
        with_bar("evaluate", token, |control| forecaster.forecast_with(series, arguments.horizon, control));

    let mut scores = Scores::default();
    for (window, forecast) in windows.iter().zip(forecasts?) {
        scores.add(window, &forecast.values);
    }
    let mse = scores.mse();
    Ok(Evaluation {
        package: path.to_owned(),
        precision: package.manifest().precision,
        provider,
        graph,
        windows: windows.len(),
        mse,
        mae: scores.mae(),
        mse_change: first.map_or(0.0, |first| mse / first.mse - 1.0),
    })
}

fn for_people(arguments: &Arguments, evaluations: &[Evaluation]) -> String {
    let rows: Vec<Vec<String>> = evaluations
        .iter()
        .map(|row| {
            vec![
                row.package.display().to_string(),
                row.precision.to_string(),
                format!("{} {}", row.provider, row.graph),
                format!("{:.5}", row.mse),
                format!("{:.5}", row.mae),
                format!("{:+.3} %", row.mse_change * 100.0),
            ]
        })
        .collect();
    let count = evaluations.first().map_or(0, |row| row.windows);
    format!(
        "{}: {count} windows, context {}, horizon {}\n{}",
        arguments.input.display(),
        arguments.context,
        arguments.horizon,
        table(&["package", "precision", "on", "MSE", "MAE", "MSE against the first"], &rows)
    )
}
