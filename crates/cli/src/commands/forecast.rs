//! `tmoe forecast`: a CSV file to a forecast.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use tmoe_cli::plot::{self, Figure, PlotFormat, terminal};
use tmoe_data::csv;
use tmoe_data::{Frequency, Series, Table, TimeColumn, json, write_atomically};
use tmoe_runner::{CancelToken, Forecast, Forecaster, Normalization, Session, check_horizon};

use crate::progress::with_bar;
use crate::session::SessionArguments;
use crate::{Failure, interrupt};

/// Forecast the series of a CSV file
///
/// The file has a header, an optional first column of time stamps, and one series per column; empty cells are missing
/// points. The forecast has the same columns and continues the time stamps.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    session: SessionArguments,
    /// CSV file, or - for standard input
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// How many points to forecast
    #[arg(long, value_name = "N")]
    horizon: usize,
    /// How many of the newest points the model sees; as many as it holds unless said
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// How values are scaled: by mean and standard deviation of the context (window), or not at all (none)
    #[arg(long, default_value = "window")]
    normalize: Normalization,
    /// File to write the forecast to; standard output unless said
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also draw history and forecast to a file, .svg or .png; may be given more than once
    #[arg(long, value_name = "FILE")]
    plot: Vec<PathBuf>,
    /// Draw in the terminal, on standard error
    #[arg(long, value_enum, default_value_t = Draw::Auto)]
    draw: Draw,
    /// Write JSON rather than CSV
    #[arg(long)]
    json: bool,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// Whether to draw in the terminal.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Draw {
    /// If standard error is one.
    Auto,
    Always,
    Never,
}

/// Series drawn in the terminal; more would scroll away.
const DRAWN: usize = 4;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    for path in &arguments.plot {
        PlotFormat::of(path)?;
    }
    refuse_existing(arguments)?;
    let history = read(&arguments.input)?;
    let package = arguments.session.package()?;
    check_horizon(arguments.horizon, package.manifest().model.max_positions())?;
    let future = future_axis(&history, arguments.horizon)?;
    let session = arguments.session.open(&package)?;
    let token = interrupt::token()?;
    let forecasts = forecast(arguments, session, &history, &token)?;

    let series = history.series.iter().zip(forecasts);
    let table = Table {
        time: Some(future),
        series: series.map(|(series, forecast)| Series::new(series.name.clone(), forecast.values)).collect(),
    };
    write(arguments, &table)?;
    let draw = match arguments.draw {
        Draw::Auto => std::io::stderr().is_terminal(),
        Draw::Always => true,
        Draw::Never => false,
    };
    if draw || !arguments.plot.is_empty() {
        let title = format!("{}-point forecast", arguments.horizon);
        let figure = Figure::new(title, &history, &table);
        if draw {
            draw_in_terminal(&figure, history.series.len());
        }
        for path in &arguments.plot {
            plot::save(&figure, path, arguments.force)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds out before the work, not after it, that its result has no place.
fn refuse_existing(arguments: &Arguments) -> Result<(), Failure> {
    let files: Vec<&PathBuf> = arguments.output.iter().chain(&arguments.plot).collect();
    let twice = files.iter().enumerate().find(|(index, path)| files[..*index].contains(path));
    if let Some((_, path)) = twice {
        return Err(
            format!("{} is named for two outputs; choose another file for one", path.display()).into()
        );
    }
    match files.into_iter().find(|path| path.is_file() && !arguments.force) {
        Some(path) => Err(format!(
            "{} exists already; choose another file, or pass --force to replace it",
            path.display()
        )
        .into()),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<Table, Failure> {
    if path == Path::new("-") {
        return Ok(csv::read(std::io::stdin().lock(), "standard input")?);
    }
    Ok(csv::open(path)?)
}

/// The time stamps of the forecast; steps from 1 where the input has none.
fn future_axis(history: &Table, horizon: usize) -> Result<TimeColumn, Failure> {
    Ok(match &history.time {
        Some(time) => time.continue_by(Frequency::infer(time)?, horizon)?,
        None => TimeColumn::steps(1, horizon),
    })
}

fn forecast(
    arguments: &Arguments,
    session: Session,
    history: &Table,
    token: &CancelToken,
) -> Result<Vec<Forecast>, Failure> {
    let mut forecaster = Forecaster::new(session).with_normalization(arguments.normalize);
    if let Some(points) = arguments.context {
        forecaster = forecaster.with_context(points);
    }
    let series = history
        .series
        .iter()
        .map(|series| tmoe_runner::Series::new(series.values.as_slice()).named(series.name.as_str()));
    let forecasts =
        with_bar("forecast", token, |control| forecaster.forecast_with(series, arguments.horizon, control));
    Ok(forecasts?)
}

fn write(arguments: &Arguments, table: &Table<f32>) -> Result<(), Failure> {
    let contents = |writer: &mut dyn Write| match arguments.json {
        true => json::write(writer, table),
        false => csv::write(writer, table),
    };
    match &arguments.output {
        Some(path) => Ok(write_atomically(path, arguments.force, contents)?),
        None => {
            let mut out = std::io::stdout().lock();
            contents(&mut out)?;
            Ok(out.flush()?)
        }
    }
}

fn draw_in_terminal(figure: &Figure, series: usize) {
    let width =
        terminal_size::terminal_size_of(std::io::stderr()).map_or(100, |(width, _)| usize::from(width.0));
    let colors = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = terminal::Style { width, height: 14, colors };
    for panel in figure.panels.iter().take(DRAWN) {
        eprintln!("{}", terminal::render_panel(panel, style));
    }
    if series > DRAWN {
        eprintln!("(and {} more series)", series - DRAWN);
    }
}
