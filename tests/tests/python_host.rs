//! `libtmoe_ops.so` in a host that has nothing else of this project: onnxruntime in Python, through `tools/run_plugin.py`.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};
use tmoe_tests::python::{PYTHON, run_tool, trial};

/// The variable that names the library's file; `cargo xtask test` sets it.
const LIBRARY: &str = "TMOE_OPS_LIBRARY";

fn main() -> ExitCode {
    let packages = Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
    let packages = Arc::new(packages);
    let trials = Golden::all().into_iter().map(|golden| {
        let name =
            format!("{}: plain onnxruntime runs the plugin graph with the operator library", golden.name());
        let packages = Arc::clone(&packages);
        trial(name, [PYTHON, LIBRARY], move |[python, library]| {
            for variant in [Variant::Full, Variant::Last, Variant::Half, Variant::Bf16, Variant::Int8] {
                let package = packages.package(&golden, variant)?;
                run_tool(&python, "run_plugin.py", [package.folder().as_os_str(), &library])
                    .map_err(|printed| format!("{}: {printed}", variant.name()))?;
            }
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
