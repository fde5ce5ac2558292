//! `tmoe evaluate`: how good packages' forecasts are on data that is known, beside those of naive methods.

mod contestant;
mod json;
mod newest;
mod protocol;
mod rolling;
mod season;
mod series;
mod setup;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use tmoe_runner::Normalization;

use crate::drawing::DrawArguments;
use crate::input::InputArguments;
use crate::intervals::IntervalArguments;
use crate::session::EngineArguments;
use crate::{Failure, outputs};

/// Windows that a model gets at once, at least.
const BATCH: usize = 256;

/// Backtest packages: forecast what is known, and measure the errors
///
/// Each series is cut at rolling origins: --windows of --horizon points, --stride apart, the last of which ends with the series.
/// Every window is forecast from the --context points before it. A naive forecast (the last point) and a seasonal naive one (the
/// last season, repeated) of the same windows stand in the same table. With several packages, of one model in several precisions
/// for example, the first is what the others are compared with.
///
/// MSE, MAE and RMSE are in the unit of the data; MASE is the error in units of the seasonal naive error before each window; sMAPE is in
/// percent; WAPE and WQL (the mean weighted quantile loss) are shares of the sum of the data. For WQL, and for coverage and width of
/// the --levels, each window gets conformal intervals from the errors of earlier forecasts of its series. Those earlier forecasts
/// are of other windows too where --stride divides the horizon, as it does unless said: then only the first windows of each
/// series cost more, --interval-origins forecasts. --no-intervals saves them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Package folders
    #[arg(value_name = "PACKAGE", required = true)]
    packages: Vec<PathBuf>,
    #[command(flatten)]
    input: InputArguments,
    /// What is measured, and how
    #[arg(long, value_enum, default_value_t = Protocol::Rolling)]
    protocol: Protocol,
    /// How many points to forecast from each origin
    #[arg(long, value_name = "N", default_value_t = 96, value_parser = from_1())]
    horizon: usize,
    /// How many points the model sees before each origin [default: 512, or as many as the model holds]
    #[arg(long, value_name = "N", value_parser = from_1())]
    context: Option<usize>,
    /// How many windows of each series, the newest; as many as there are unless said
    #[arg(long, value_name = "N", value_parser = from_1())]
    windows: Option<usize>,
    /// Points from one window to the next; as many as the horizon unless said
    #[arg(long, value_name = "N", value_parser = from_1())]
    stride: Option<usize>,
    /// Points in a season, for MASE and the seasonal naive forecast; seen from the time stamps unless said
    #[arg(long, value_name = "N", value_parser = from_1())]
    season: Option<usize>,
    /// How values are scaled for the model: by mean and standard deviation of each context (window, the default), or not at all (none)
    #[arg(long, value_name = "window|none")]
    normalize: Option<Normalization>,
    /// Unit of the errors: the data's (none, the default), or each series' standard deviation (series), so that all count alike
    #[arg(long, value_enum)]
    scale: Option<Scale>,
    #[command(flatten)]
    intervals: IntervalArguments,
    /// Measure points alone, without intervals and WQL
    #[arg(long, conflicts_with_all = ["levels", "quantiles", "interval_origins"])]
    no_intervals: bool,
    /// Points of context, padding included, that one pass takes; more is faster until memory or caches are full
    #[arg(long, value_name = "N")]
    batch_points: Option<usize>,
    #[command(flatten)]
    engine: EngineArguments,
    /// Also print the errors of every series
    #[arg(long)]
    per_series: bool,
    /// Fail if any series cannot be evaluated; otherwise such series are named, and the others evaluated
    #[arg(long)]
    strict: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    draw: DrawArguments,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// What is measured, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Windows at rolling origins, as the options say
    Rolling,
    /// The evaluation of the Time-MoE paper: every window of the test split, channels scaled by their train split and forecast
    /// separately, and a context of 512, 1024, 2048 or 3072 points for a horizon of 96, 192, 336 or 720
    TimeMoe,
}

/// The unit of the errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Scale {
    None,
    Series,
}

impl Arguments {
    /// Windows of so many points of context that a model gets at once: as many as one pass takes, and no fewer than [`BATCH`].
    fn batch(&self, context: usize) -> usize {
        (self.batch_points.unwrap_or(0) / context).max(BATCH)
    }
}

fn from_1() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.draw.check()?;
    outputs::refuse_existing(arguments.draw.files().iter(), arguments.force)?;
    match arguments.protocol {
        Protocol::Rolling => rolling::run(arguments)?,
        Protocol::TimeMoe => {
            refuse_options(arguments)?;
            protocol::run(arguments)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the protocol fixes cannot be chosen.
fn refuse_options(arguments: &Arguments) -> Result<(), Failure> {
    let given = [
        ("--windows", arguments.windows.is_some()),
        ("--stride", arguments.stride.is_some()),
        ("--season", arguments.season.is_some()),
        ("--normalize", arguments.normalize.is_some()),
        ("--scale", arguments.scale.is_some()),
        ("--levels, --quantiles and --interval-origins", arguments.intervals.is_given()),
        ("--no-intervals", arguments.no_intervals),
        ("--plot and --draw", arguments.draw.is_given()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(format!(
            "{option} cannot be combined with --protocol time-moe, which fixes windows, scaling and errors; leave it out, or \
             choose --protocol rolling"
        )
        .into()),
        None => Ok(()),
    }
}
