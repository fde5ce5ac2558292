//! `tmoe bench`: how fast a package runs, against what the provider's own matrix product reaches.

mod measure;
mod memory;
mod points;
mod roofline;
mod routing;
mod shapes;

use std::process::ExitCode;

use serde::Serialize;
use tmoe_runner::{OpSet, Provider, ProviderOptions};

use self::measure::{Measured, Timings};
use self::memory::Memory;
use self::roofline::Roofline;
use crate::Failure;
use crate::session::SessionArguments;
use crate::text::{print, print_json, table};

/// Measure prefill, decode and whole forecasts
///
/// Rooflines are measured in the same run, in turn with the model itself. That of matrix products is the time that the
/// provider's own products take, in float32, on exactly the shapes of the model, with as many points for each expert as
/// the router sends there; a graph whose products are faster than the provider's exceeds 100 %. The peak is that of float32
/// multiply-adds on registers; narrower types exceed 100 % where the processor multiplies them faster.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    session: SessionArguments,
    /// Series in a batch
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = at_least_one)]
    batch: usize,
    /// Points of context
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = at_least_one)]
    context: usize,
    /// Points to forecast
    #[arg(long, default_value_t = 96, value_name = "N", value_parser = at_least_one)]
    horizon: usize,
    /// How often each figure is measured; the median counts
    #[arg(long, default_value_t = 9, value_name = "N", value_parser = at_least_one)]
    repeats: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Points of one pass, at most: far more than any machine's memory holds the activations of.
const MAX_POINTS: usize = 1 << 24;

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// Everything that was measured.
#[derive(Serialize)]
struct Report {
    provider: &'static str,
    graph: OpSet,
    threads: usize,
    batch: usize,
    context: usize,
    horizon: usize,
    /// Seconds to open the session, after the package was read once.
    load_seconds: f64,
    prefill: Pass,
    decode: Pass,
    /// A forecast of `horizon` points, normalisation and all.
    forecast: Timings,
    forecast_points_per_second: f64,
    /// What the process held when the session was open; none where the system does not say.
    loaded_memory: Option<Memory>,
    /// Bytes beyond those at the most, during a prefill and a decode.
    pass_memory: Option<u64>,
}

/// One kind of pass.
#[derive(Serialize)]
struct Pass {
    /// New points of each series.
    points: usize,
    /// Points in the cache before.
    past: usize,
    seconds: Timings,
    points_per_second: f64,
    /// Floating-point operations of matrix products and of attention, two for a multiply-add.
    flops: f64,
    /// Time of the model's matrix products alone, by the provider's own.
    roofline: Roofline,
    /// Roofline over measured, pair by pair: 1 would be nothing but matrix products.
    roofline_ratio: f64,
    /// float32 multiply-adds of all threads on registers, in 10^9 operations per second.
    peak_gflops: f64,
    /// Time at that rate over measured, pair by pair.
    peak_ratio: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let package = arguments.session.package()?;
    let positions = package.manifest().model.max_positions();
    if arguments.context.saturating_add(arguments.horizon) > positions {
        let (context, horizon) = (arguments.context, arguments.horizon);
        return Err(format!(
            "context {context} and horizon {horizon} together exceed the {positions} points that the model holds; \
             reduce one of them"
        )
        .into());
    }
    if arguments.batch.saturating_mul(arguments.context) > MAX_POINTS {
        let (batch, context) = (arguments.batch, arguments.context);
        return Err(format!(
            "a batch of {batch} with a context of {context} has more than {MAX_POINTS} points in one pass; reduce \
             --batch"
        )
        .into());
    }
    if arguments.session.engine.provider == Provider::Engine.into() {
        return Err("bench measures a package against the provider's own products of ONNX files, and the provider engine runs \
                    none; `trtexec --loadEngine=<PACKAGE>/engines/<ENGINE>/model.engine` measures an engine"
            .into());
    }
    let begin = std::time::Instant::now();
    let session = arguments.session.open(&package)?;
    let load_seconds = begin.elapsed().as_secs_f64();
    // Products alone have no decode passes that could be captured.
    let resources = ProviderOptions { cuda_graph: false, ..arguments.session.engine.resources() };
    let measured = Measured::take(arguments, session, &resources)?;
    let report = report(arguments, load_seconds, measured);
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&for_people(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn report(arguments: &Arguments, load_seconds: f64, measured: Measured) -> Report {
    let per_second = |points: usize, timings: &Timings| (arguments.batch * points) as f64 / timings.median;
    Report {
        provider: measured.provider.name(),
        graph: measured.graph,
        threads: measured.threads,
        batch: arguments.batch,
        context: arguments.context,
        horizon: arguments.horizon,
        load_seconds,
        forecast_points_per_second: per_second(arguments.horizon, &measured.forecast),
        forecast: measured.forecast,
        prefill: measured.prefill.into_pass(arguments.batch),
        decode: measured.decode.into_pass(arguments.batch),
        loaded_memory: measured.loaded_memory,
        pass_memory: measured.pass_memory,
    }
}

fn for_people(report: &Report) -> String {
    let mut text = format!(
        "{} {}, {} thread(s), batch {}, context {}; loaded in {:.2} s\n",
        report.provider, report.graph, report.threads, report.batch, report.context, report.load_seconds
    );
    let milliseconds = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
    let pass = |name: &str, pass: &Pass| {
        vec![
            format!("{name}, {} on {}", pass.points, pass.past),
            milliseconds(pass.seconds.median),
            milliseconds(pass.seconds.minimum),
            format!("{:.0}", pass.points_per_second),
            format!("{:.0}", pass.flops / pass.seconds.median / 1e9),
            format!("{:.0}", pass.roofline.gflops),
            format!("{:.0} %", pass.roofline_ratio * 100.0),
            format!("{:.0} %", pass.peak_ratio * 100.0),
        ]
    };
    let rows = [
        pass("prefill", &report.prefill),
        pass("decode", &report.decode),
        vec![
            format!("forecast of {}", report.horizon),
            milliseconds(report.forecast.median),
            milliseconds(report.forecast.minimum),
            format!("{:.0}", report.forecast_points_per_second),
        ],
    ];
    let header =
        ["", "median", "minimum", "points/s", "GFLOP/s", "matrix products'", "roofline ratio", "of the peak"];
    text += &table(&header, &rows);
    if let (Some(loaded), Some(pass)) = (&report.loaded_memory, report.pass_memory) {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        text += &format!(
            "memory {:.0} MB when loaded, {:.0} MB of it files', {:.0} MB more during the passes\n",
            megabytes(loaded.resident),
            megabytes(loaded.of_files),
            megabytes(pass)
        );
    }
    text
}
