//! `tmoe forecast`: a file of series to their forecasts.

mod output;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use tmoe_cli::plot::{Panel, Past};
use tmoe_data::read::SeriesReader;
use tmoe_forecast::{FileForecaster, Forecasted, RunError};
use tmoe_runner::{Control, Forecaster, Normalization, Package, check_horizon};

use self::output::OutputArguments;
use crate::drawing::DrawArguments;
use crate::input::InputArguments;
use crate::intervals::{Bounds, IntervalArguments};
use crate::notes::Notes;
use crate::progress::SeriesBar;
use crate::session::SessionArguments;
use crate::{Failure, interrupt, outputs};

/// Forecast series of a file
///
/// Series stream from the file to the forecast, in bounded memory and in their order. The forecast lies as the input does: wide or
/// long, with the input's column names, and continues its time stamps.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    session: SessionArguments,
    #[command(flatten)]
    input: InputArguments,
    /// How many points to forecast
    #[arg(long, value_name = "N")]
    horizon: usize,
    /// How many of the newest points the model sees; as many as it holds unless said
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// How values are scaled: by mean and standard deviation of the context (window), or not at all (none)
    #[arg(long, default_value = "window")]
    normalize: Normalization,
    /// Sessions that forecast at the same time, each with its share of the threads and with weights of its own [default: as many as
    /// are fastest]
    #[arg(long, value_name = "N")]
    sessions: Option<NonZeroUsize>,
    /// Points of context, padding included, that one pass takes; more is faster until memory or caches are full
    #[arg(long, value_name = "N")]
    batch_points: Option<usize>,
    /// Fail if any series cannot be forecast; otherwise such series are named, and the others forecast
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    intervals: IntervalArguments,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    draw: DrawArguments,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.draw.check()?;
    outputs::refuse_existing(
        arguments.output.file().into_iter().chain(arguments.draw.files()),
        arguments.force,
    )?;
    let reader = arguments.input.open()?;
    let package = arguments.session.package()?;
    check_horizon(arguments.horizon, package.manifest().model.max_positions())?;
    let files = forecaster(arguments, &package)?;
    forecast(arguments, reader, &files)?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the sessions.
fn forecaster(arguments: &Arguments, package: &Package) -> Result<FileForecaster, Failure> {
    let with_options = |session| {
        let mut forecaster = Forecaster::new(session).with_normalization(arguments.normalize);
        if let Some(points) = arguments.context {
            forecaster = forecaster.with_context(points);
        }
        if let Some(points) = arguments.batch_points {
            forecaster = forecaster.with_token_budget(points);
        }
        forecaster
    };
    let (first, others) = arguments.session.engine.open_several(package, arguments.sessions)?;
    let mut files = FileForecaster::new(with_options(first), arguments.horizon);
    for session in others {
        files = files.with_another(with_options(session));
    }
    Ok(match arguments.intervals.intervals()? {
        Some(intervals) => files.with_intervals(intervals),
        None => files,
    })
}

fn forecast(arguments: &Arguments, reader: SeriesReader, files: &FileForecaster) -> Result<(), Failure> {
    let token = interrupt::token()?;
    let bounds = arguments.intervals.bounds();
    let mut writer = arguments.output.writer(&reader, &bounds, arguments.force)?;
    let mut notes = Notes::new("no forecast of");
    let mut drawing = arguments.draw.start(format!("{}-point forecast", arguments.horizon));
    let entries = reader.in_background(READ_AHEAD);
    let bar = SeriesBar::new(entries.share());
    let report = |passes| bar.show(passes);
    let control = Control::new().with_cancel(&token).with_progress(&report);
    let result = files.run(bar.counting(entries), &control, |series| -> Result<(), Failure> {
        bar.done();
        match &series.result {
            Err(problem) if arguments.strict => {
                return Err(format!("the series `{}`: {problem}", series.id).into());
            }
            Err(problem) => notes.problem(&series.id, problem),
            Ok(forecasted) => {
                notes.repairs(&series.id, &forecasted.series.repairs);
                if arguments.intervals.is_wanted() && forecasted.quantiles.is_none() {
                    notes.without_intervals(&series.id, forecasted.series.values.len());
                }
                drawing.add(|| Some(panel(&series.id, forecasted, &bounds)));
            }
        }
        writer.append(&series)
    });
    bar.finish();
    result.map_err(|error| match error {
        RunError::Sink(error) => error,
        other => other.into(),
    })?;
    writer.finish()?;
    notes.print();
    drawing.finish(arguments.force)
}

fn panel(id: &str, forecasted: &Forecasted, bounds: &Bounds) -> Panel {
    let past = Past { time: forecasted.series.time.as_deref(), values: &forecasted.series.values };
    let panel = Panel::new(id, past, &forecasted.time, &forecasted.forecast.values);
    let bands = forecasted.quantiles.as_deref().map(|values| bounds.bands(values));
    panel.with_bands(bands.unwrap_or_default())
}

/// Series that are read ahead of the model.
const READ_AHEAD: usize = 256;
