//! Programs of the C++ compiler that stand in for those on a GPU.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libtest_mimic::Failed;

/// `$CXX`, `c++` or `g++`.
pub(crate) fn compiler() -> Option<PathBuf> {
    let chosen = env::var_os("CXX").filter(|program| !program.is_empty());
    let candidates = chosen.into_iter().chain(["c++", "g++"].map(OsString::from));
    candidates.map(PathBuf::from).find(|program| {
        let mut version = Command::new(program);
        version.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    })
}

/// Runs a test program; what it printed of failures is the error.
pub(crate) fn run(mut program: Command) -> Result<(), Failed> {
    program.stdin(Stdio::null());
    let output = program.output().map_err(|error| format!("cannot start {program:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let failures: Vec<&str> = printed.lines().filter(|line| !line.starts_with("ok ")).collect();
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program:?} ended with {}\n{}\n{error}", output.status, failures.join("\n")).into())
}
