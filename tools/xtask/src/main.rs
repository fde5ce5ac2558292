//! The project's own commands, run as `cargo xtask COMMAND`. One file per command.

mod bench;
mod browser;
mod clang;
mod cuda_toolkit;
mod demo;
mod gpu_archive;
mod gpu_bench;
mod gpu_check;
mod gpu_pack;
mod install_capi;
mod onnx_check;
mod onnxruntime;
mod paths;
mod process;
mod programs;
mod python;
mod setup;
mod staged;
mod tensorrt_rtx;
mod test;
mod wheel;

// How kernels are compiled, shared with the build of the operators.
#[path = "../../../crates/ops/build/objects.rs"]
mod objects;
#[path = "../../../crates/ops/build/toolkit.rs"]
mod toolkit;

// Where browsers are found, shared with the tests that drive one.
#[path = "../../../tests/src/browser.rs"]
#[allow(unreachable_pub, reason = "public where the tests have it")]
mod chromium;

// What an installed C interface consists of, shared with its tests.
#[path = "../../../crates/capi/install/prefix.rs"]
mod prefix;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use gpu_pack::NoGpu;
use paths::Workspace;
use process::CommandFailed;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo                  exports the demo checkpoint, forecasts tools/demo/operations.csv and plots it
  test [ARGS]           runs all tests; ARGS go to `cargo test`
  bench                 measures the 50M shape on this machine and prints the README's table (minutes)
  setup                 fetches all that the others need (they do so themselves), fails if it cannot
  browser               makes sure that there is a Chromium, for the tests of pages (200 MB, with npm)
  clang                 makes sure that there is a Clang, for the tests of the C interface (100 MB)
  check-onnx PATH...    runs the ONNX checker on packages or .onnx files
  cuda                  makes sure that there is a CUDA compiler, for builds with the feature cuda (100 MB)
  install-capi --prefix DIR [--features LIST] [--profile NAME]
                        builds the C interface (release, unless said otherwise) and installs it below DIR
  gpu-pack [OPTIONS]    packs target/gpu and compresses it, for a machine with a GPU; prints the size of every file
                        --architectures LIST: 90a, say, in place of all; --split MIB: in parts of at most so much
  gpu-check [ARGS]      packs target/gpu, and checks kernels and packages where a GPU is; ARGS go to its run.py
  gpu-bench [ARGS]      packs target/gpu, and measures kernels and forecasts where a GPU is; ARGS go to its run.py
  help                  shows this text

gpu-check and gpu-bench exit with 77 where there is no GPU: the folder is packed, and runs on any machine with a driver.
Everything fetched or written goes below the target folder. Nothing else on the machine changes.
Python is the first of $PYTHON, python3 and python that is Python 3 with pip.
";

/// The command line cannot be understood; exits with code 2.
#[derive(Debug)]
struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (`cargo xtask help` lists the commands)", self.0)
    }
}

impl std::error::Error for UsageError {}

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<UsageError>() {
                ExitCode::from(2)
            } else if error.is::<NoGpu>() {
                ExitCode::from(NoGpu::CODE)
            } else if let Some(failed) = error.downcast_ref::<CommandFailed>() {
                ExitCode::from(failed.code)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(mut arguments: Vec<OsString>) -> anyhow::Result<()> {
    if arguments.is_empty() {
        return Err(UsageError("no command given".into()).into());
    }
    let command = arguments.remove(0);
    match command.to_str().unwrap_or_default() {
        "demo" => demo::run(&no_arguments("demo", &arguments)?),
        "bench" => bench::run(&no_arguments("bench", &arguments)?),
        "test" => test::run(&Workspace::find()?, &arguments),
        "setup" => setup::run(&no_arguments("setup", &arguments)?),
        "browser" => browser::run(&no_arguments("browser", &arguments)?),
        "clang" => clang::run(&no_arguments("clang", &arguments)?),
        "cuda" => cuda_toolkit::run(&no_arguments("cuda", &arguments)?),
        "install-capi" => install_capi::run(&Workspace::find()?, &arguments),
        "gpu-pack" => gpu_pack::run(&Workspace::find()?, &arguments),
        "gpu-check" => gpu_check::run(&Workspace::find()?, &arguments),
        "gpu-bench" => gpu_bench::run(&Workspace::find()?, &arguments),
        "check-onnx" if arguments.is_empty() => {
            Err(UsageError("check-onnx needs the path of a package or of an .onnx file".into()).into())
        }
        "check-onnx" => onnx_check::run(&Workspace::find()?, &arguments),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(UsageError(format!("no command named {}", command.display())).into()),
    }
}

fn no_arguments(command: &str, arguments: &[OsString]) -> anyhow::Result<Workspace> {
    match arguments.first() {
        None => Workspace::find(),
        Some(extra) => {
            Err(UsageError(format!("{command} takes no arguments, found {}", extra.display())).into())
        }
    }
}
