//! The binary `tmoe-export` as a user meets it: its results, its errors, and what it leaves behind.

mod bad_checkpoints;
mod checkpoints;
mod init;
mod inspect;
#[cfg(unix)]
mod interrupt;
mod onnx;
#[path = "../support/outcome.rs"]
mod outcome;
mod outputs;
mod usage;

use std::ffi::OsStr;
use std::process::Command;

use outcome::Outcome;

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tmoe-export");

/// `tmoe-export` with these arguments.
fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    command
}

/// Runs `tmoe-export` with these arguments.
fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Outcome {
    Outcome::of(&mut command(arguments))
}

/// Arguments of different types as one list.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => {
        [$(std::ffi::OsStr::new(&$argument).to_owned()),*]
    };
}
use arguments;
