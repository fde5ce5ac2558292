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
mod triton;
mod usage;

use outcome::{arguments, command, run};

/// The binary under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tmoe-export");
