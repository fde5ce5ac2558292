//! The binary `tmoe` as a user meets it: its results, its errors, and what it leaves behind.
//!
//! The tests are listed at run time: what a machine cannot run is reported as ignored, by name.

mod bad_csv;
mod bad_packages;
mod bench;
mod evaluate;
mod evaluate_protocol;
mod forecast;
#[cfg(unix)]
mod interrupt;
mod intervals;
#[cfg(target_os = "linux")]
mod no_cuda;
#[cfg(target_os = "linux")]
mod no_tensorrt;
mod on_onnx_runtime;
#[path = "../../../export/tests/support/outcome.rs"]
mod outcome;
mod outputs;
mod plots;
mod providers;
mod raw_run;
mod real_data;
mod serve;
mod shared;
mod usage;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tmoe_runner::{Availability, Provider};

use outcome::{arguments, command, run};
use shared::Shared;

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tmoe");

/// A test; it panics when what it says does not hold.
type Test = fn(&Shared);

/// Tests with their names.
macro_rules! tests {
    ($($(#[$attribute:meta])* $test:ident),* $(,)?) => {
        &[$($(#[$attribute])* (stringify!($test), $test as crate::Test)),*]
    };
}
use tests;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let no_runtime = match Provider::Cpu.availability() {
        Availability::Ready { .. } => None,
        Availability::Missing { .. } => Some("no ONNX Runtime"),
    };
    let has_cuda = Provider::Cuda.availability().is_ready().then_some("ONNX Runtime has CUDA");
    let no_bindings = match Provider::Engine.availability() {
        Availability::Missing { reason } if reason.contains("built without TensorRT") => {
            Some("built without the feature `tensorrt`")
        }
        _ => None,
    };
    let no_data = (!real_data::path().is_file()).then_some("no ETTh1.csv");
    let groups = [
        ("bad_csv", bad_csv::TESTS, None),
        ("bad_packages", bad_packages::TESTS, None),
        ("bench", bench::TESTS, None),
        ("evaluate", evaluate::TESTS, None),
        ("evaluate_protocol", evaluate_protocol::TESTS, None),
        ("forecast", forecast::TESTS, None),
        #[cfg(unix)]
        ("interrupt", interrupt::TESTS, None),
        ("intervals", intervals::TESTS, None),
        #[cfg(target_os = "linux")]
        ("no_cuda", no_cuda::TESTS, None),
        #[cfg(target_os = "linux")]
        ("no_cuda", no_cuda::WITH_RUNTIME, no_runtime.or(has_cuda)),
        #[cfg(target_os = "linux")]
        ("no_tensorrt", no_tensorrt::TESTS, None),
        #[cfg(target_os = "linux")]
        ("no_tensorrt", no_tensorrt::WITH_BINDINGS, no_bindings),
        ("on_onnx_runtime", on_onnx_runtime::TESTS, no_runtime),
        ("outputs", outputs::TESTS, None),
        ("plots", plots::TESTS, None),
        ("plots", plots::WITH_NODE, (!plots::has_node()).then_some("no Node.js")),
        ("providers", providers::TESTS, None),
        ("raw_run", raw_run::TESTS, None),
        ("real_data", real_data::TESTS, no_data),
        ("serve", serve::TESTS, None),
        ("usage", usage::TESTS, None),
        ("verify", verify::TESTS, None),
    ];
    let shared = Arc::new(Shared::new());
    let mut trials = Vec::new();
    for (group, tests, missing) in groups {
        for &(name, test) in tests {
            let name = match missing {
                Some(reason) => format!("{group}::{name} [{reason}]"),
                None => format!("{group}::{name}"),
            };
            let shared = Arc::clone(&shared);
            let trial = Trial::test(name, move || {
                test(&shared);
                Ok(())
            });
            trials.push(trial.with_ignored_flag(missing.is_some()));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    conclusion.exit_code()
}
