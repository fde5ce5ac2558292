//! `cargo xtask bench`: the table of speeds in the README, measured on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::paths::Workspace;
use crate::programs::build;
use crate::{process, setup};

/// How packages are exported, and the graph that is measured of each.
const SUBJECTS: [(&str, &str); 4] =
    [("fp32", "standard"), ("fp32", "plugin"), ("bf16", "plugin"), ("int8", "plugin")];

/// Batch, context and horizon of each measurement.
const SHAPES: [[&str; 3]; 4] =
    [["1", "512", "96"], ["8", "512", "96"], ["1", "2048", "96"], ["1", "3072", "720"]];

/// Sets up, builds, exports a model of the 50M shape with random weights in every precision, and prints a table.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::onnxruntime(workspace).map_err(anyhow::Error::msg)?;
    let [tmoe_export, tmoe] = build(workspace)?;

    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let checkpoint = folder.join("50m");
    if !checkpoint.exists() {
        let mut init = Command::new(&tmoe_export);
        init.args(["init", "--preset", "50m", "--seed", "1", "--output"]).arg(&checkpoint);
        process::show_and_run(&mut init)?;
    }
    let packages = SUBJECTS
        .iter()
        .map(|(precision, _)| export(&tmoe_export, &checkpoint, &folder, precision))
        .collect::<Result<Vec<_>>>()?;
    // Row by row, as they are measured: each takes up to a minute.
    println!("\n{HEADER}");
    for ((precision, graph), package) in SUBJECTS.into_iter().zip(&packages) {
        for shape in SHAPES {
            println!("{}", measure(&tmoe, package, precision, graph, shape)?);
        }
    }
    Ok(())
}

const HEADER: &str = "\
| weights, graph | batch x context | prefill | of matrix products | of the peak | decode of 64 | of matrix products | forecast | memory |
|---|---|---|---|---|---|---|---|---|";

fn export(tmoe_export: &Path, checkpoint: &Path, folder: &Path, precision: &str) -> Result<PathBuf> {
    let package = folder.join(format!("50m-{precision}"));
    if !package.exists() {
        let mut export = Command::new(tmoe_export);
        export.arg("onnx").arg(checkpoint).args(["--precision", precision, "--output"]).arg(&package);
        process::show_and_run(&mut export)?;
    }
    Ok(package)
}

/// One row of the table.
fn measure(
    tmoe: &Path,
    package: &Path,
    precision: &str,
    graph: &str,
    [batch, context, horizon]: [&str; 3],
) -> Result<String> {
    let mut bench = Command::new(tmoe);
    bench.arg("bench").arg(package).args(["--graph", graph, "--provider", "cpu", "--skip-hashes", "--json"]);
    bench.args(["--batch", batch, "--context", context, "--horizon", horizon, "--repeats", "5"]);
    let report: Value =
        serde_json::from_str(&process::output(&mut bench)?).context("`tmoe bench` did not print JSON")?;
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    Ok(format!(
        "| {precision} {graph} | {batch} x {context} | {:.1} ms | {:.0} % | {:.0} % | {:.1} ms | {:.0} % | {horizon} points: {:.3} s | {:.0} MB |",
        number("/prefill/seconds/median") * 1e3,
        number("/prefill/roofline_ratio") * 100.0,
        number("/prefill/peak_ratio") * 100.0,
        number("/decode/seconds/median") * 1e3,
        number("/decode/roofline_ratio") * 100.0,
        number("/forecast/median"),
        number("/pass_memory") / 1e6,
    ))
}
