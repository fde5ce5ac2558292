//! TensorRT-RTX engines of the demo's package, really built: no GPU is needed for that.

#[cfg(feature = "tensorrt")]
mod built;
#[cfg(feature = "tensorrt")]
mod narrowed;

use std::process::ExitCode;

use libtest_mimic::Arguments;
#[cfg(not(feature = "tensorrt"))]
use libtest_mimic::Trial;

fn main() -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

#[cfg(not(feature = "tensorrt"))]
fn trials() -> Vec<Trial> {
    vec![Trial::test("engines [built without the feature `tensorrt`]", || Ok(())).with_ignored_flag(true)]
}

#[cfg(feature = "tensorrt")]
use self::built::trials;
