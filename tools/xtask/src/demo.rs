//! `cargo xtask demo`: from a checkpoint to a forecast, on data that ships with the project.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::paths::{Workspace, for_people};
use crate::programs::build;
use crate::{process, setup};

const HORIZON: &str = "96";

/// The demo checkpoint was trained on windows of up to 640 points, context and horizon together.
const CONTEXT: &str = "512";

/// Sets up, builds, exports, forecasts, and says what to try next.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let checkpoint = workspace.demo_input().join("checkpoint");
    let series = workspace.demo_input().join("operations.csv");
    let output = workspace.demo_output();
    let package = output.join("package");

    println!("[1/4] Setting up");
    let provider = match setup::onnxruntime(workspace) {
        Ok(_) => "cpu",
        Err(_) => {
            println!("      Going on without it: the forecast runs on tract, which is built in.");
            "tract"
        }
    };

    println!("[2/4] Building tmoe-export and tmoe (the first build takes minutes)");
    let [tmoe_export, tmoe] = build(workspace)?;

    println!("[3/4] Exporting the checkpoint to an ONNX package");
    fs::create_dir_all(&output).with_context(|| format!("cannot create {}", output.display()))?;
    let mut export = Command::new(&tmoe_export);
    export.arg("onnx").arg(&checkpoint).arg("--output").arg(&package).arg("--force");
    process::show_and_run(&mut export)?;

    println!(
        "[4/4] Forecasting {HORIZON} hours from the last {CONTEXT} of {} on {provider}",
        for_people(&series)
    );
    let [forecast, svg, png] = ["csv", "svg", "png"].map(|kind| output.join("forecast").with_extension(kind));
    remove_older(&[&forecast, &svg, &png])?;
    let mut command = Command::new(&tmoe);
    command.arg("forecast").arg(&package).arg("--input").arg(&series);
    command.args(["--horizon", HORIZON, "--context", CONTEXT, "--provider", provider]);
    command.arg("--output").arg(&forecast).arg("--plot").arg(&svg).arg("--plot").arg(&png);
    command.args(["--draw", "always"]);
    process::show_and_run(&mut command)?;

    let [package, forecast, svg, png, tmoe, series] =
        [&package, &forecast, &svg, &png, &tmoe, &series].map(|path| for_people(path));
    println!(
        "
Done.
  package    {package}
  forecast   {forecast}
  plots      {svg}
             {png}

To try next:
  {tmoe} providers
  {tmoe} verify {package}
  {tmoe} forecast {package} --input {series} --horizon 24 --context {CONTEXT}"
    );
    Ok(())
}

fn remove_older(files: &[&Path]) -> Result<()> {
    for file in files.iter().filter(|file| file.exists()) {
        fs::remove_file(file).with_context(|| format!("cannot remove the older {}", file.display()))?;
    }
    Ok(())
}
