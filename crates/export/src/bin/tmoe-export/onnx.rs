//! `tmoe-export onnx`: a checkpoint to a package.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use serde_json::json;
use tmoe_export::{Accuracy, AccuracyRow, ExportOptions, Exported, export};
use tmoe_model::{Checkpoint, resolve};
use tmoe_package::{Positions, Precision};

use crate::output::print;
use crate::progress::{Bars, bytes_bar};
use crate::{Failure, interrupt};

/// Export a checkpoint as a package of ONNX graphs that share one weights file
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Checkpoint folder (config.json and safetensors), or a hub id such as Maple728/TimeMoE-50M
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: String,
    /// Folder of the package to write
    #[arg(short, long, value_name = "PACKAGE")]
    output: PathBuf,
    /// How weights are stored; fp16 and bf16 halve the package, int8 quarters it
    ///
    /// Norms, router and embedding stay float32, and with int8 the heads. The graph `plugin` multiplies bf16 and int8 weights as
    /// they are (int8 with activations quantised per token), the others convert weights to float32 when they are loaded.
    #[arg(long, value_enum, default_value_t = PrecisionArgument::Fp32)]
    precision: PrecisionArgument,
    /// Where predictions are computed: at the last position (fastest), or at all of them
    #[arg(long, value_enum, default_value_t = PositionsArgument::Last)]
    positions: PositionsArgument,
    /// Add inputs `labels` and `loss_masks`, and the model's training loss as outputs
    #[arg(long)]
    with_loss: bool,
    /// Replace an existing package
    #[arg(long)]
    force: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionArgument {
    Fp32,
    Fp16,
    Bf16,
    Int8,
}

#[derive(Clone, Copy, ValueEnum)]
enum PositionsArgument {
    Last,
    All,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let cancelled = interrupt::flag()?;
    let begin = Instant::now();
    let mut download = None;
    let folder = resolve(&arguments.checkpoint, &mut |step| {
        let (name, bar) =
            download.get_or_insert_with(|| (step.file.to_owned(), bytes_bar(step.file, step.total)));
        if name != step.file {
            bar.finish_and_clear();
            (*name, *bar) = (step.file.to_owned(), bytes_bar(step.file, step.total));
        }
        bar.set_position(step.received);
    })?;
    if let Some((_, bar)) = download {
        bar.finish_and_clear();
    }
    let checkpoint = Checkpoint::open(folder)?;
    let options = ExportOptions {
        precision: match arguments.precision {
            PrecisionArgument::Fp32 => Precision::Fp32,
            PrecisionArgument::Fp16 => Precision::Fp16,
            PrecisionArgument::Bf16 => Precision::Bf16,
            PrecisionArgument::Int8 => Precision::Int8,
        },
        positions: match arguments.positions {
            PositionsArgument::Last => Positions::Last,
            PositionsArgument::All => Positions::All,
        },
        with_loss: arguments.with_loss,
        force: arguments.force,
    };
    let bars = Bars::default();
    let result = export(&checkpoint, &arguments.output, &options, &bars, &cancelled);
    bars.clear();
    print(&report(arguments, &result?, begin.elapsed().as_secs_f64()))
}

fn report(arguments: &Arguments, exported: &Exported, seconds: f64) -> String {
    let Exported { manifest, accuracy } = exported;
    let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    if arguments.json {
        let report = json!({
            "package": arguments.output,
            "parameters": manifest.model.parameter_count(),
            "precision": manifest.precision,
            "bytes": bytes,
            "seconds": seconds,
            "accuracy": accuracy.as_ref().map(|accuracy| {
                let row = |row: &AccuracyRow| json!({
                    "case": row.case, "output": row.output, "relative_error": row.relative_error,
                });
                accuracy.rows.iter().map(row).collect::<Vec<_>>()
            }),
        });
        format!("{report}\n")
    } else {
        let mut text = format!(
            "{}: {:.1} million parameters, {}, {:.1} MB, in {seconds:.2} s\n",
            arguments.output.display(),
            manifest.model.parameter_count() as f64 / 1e6,
            manifest.precision,
            bytes as f64 / 1e6,
        );
        if let Some(accuracy) = accuracy {
            text += &accuracy_text(accuracy);
        }
        text
    }
}

/// What 8-bit weights change, by horizon head: the worst of the self-test's cases.
fn accuracy_text(accuracy: &Accuracy) -> String {
    let mut worst: Vec<&AccuracyRow> = Vec::new();
    for row in &accuracy.rows {
        match worst.iter_mut().find(|other| other.output == row.output) {
            Some(other) if other.relative_error < row.relative_error => *other = row,
            Some(_) => {}
            None => worst.push(row),
        }
    }
    let mut text = "int8 weights against the checkpoint's, on the self-test (rms of the difference over rms of the forecast):\n"
        .to_owned();
    for row in worst {
        text += &format!("  {:<16} {:.2} %  ({})\n", row.output, row.relative_error * 100.0, row.case);
    }
    text + "The graph `plugin` also quantises activations; `tmoe verify` shows what that adds.\n"
}
