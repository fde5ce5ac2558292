//! `tmoe-export init`: a checkpoint with random weights.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::ArgGroup;
use serde_json::json;
use tmoe_model::{Config, FloatType, Preset, random};

use crate::output::print;
use crate::progress::bytes_bar;
use crate::{Failure, interrupt};

/// Write a checkpoint with random weights, for tests and measurements
#[derive(clap::Args)]
#[command(group = ArgGroup::new("shape").required(true))]
pub(crate) struct Arguments {
    /// A published size, or `tiny`: 50m, 200m, ultra, tiny
    #[arg(long, group = "shape")]
    preset: Option<Preset>,
    /// A config.json to take the shape from
    #[arg(long, group = "shape", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Equal seeds give equal weights on every machine
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Type of the stored weights: f32, bf16 or f16
    #[arg(long, default_value = "f32", value_name = "TYPE")]
    dtype: FloatType,
    /// Begin a new file before one exceeds so many bytes
    #[arg(long, value_name = "BYTES")]
    shard_bytes: Option<u64>,
    /// Folder of the checkpoint to write
    #[arg(short, long, value_name = "CHECKPOINT")]
    output: PathBuf,
    /// Replace an existing checkpoint
    #[arg(long)]
    force: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let cancelled = interrupt::flag()?;
    let config = match (&arguments.preset, &arguments.config) {
        (Some(preset), _) => preset.config()?,
        (None, Some(file)) => Config::from_json_file(file)?,
        (None, None) => return Err("give --preset or --config".into()),
    };
    let options = random::Options {
        seed: arguments.seed,
        float_type: arguments.dtype,
        shard_bytes: arguments.shard_bytes,
        force: arguments.force,
    };
    let bar = bytes_bar("weights", 0);
    let result = random::write(&config, &options, &arguments.output, &mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.written);
        if cancelled.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    result?;
    if arguments.json {
        let report = json!({ "checkpoint": arguments.output, "parameters": config.parameter_count() });
        print(&format!("{report}\n"))
    } else {
        let millions = config.parameter_count() as f64 / 1e6;
        print(&format!("{}: {millions:.1} million random parameters\n", arguments.output.display()))
    }
}
