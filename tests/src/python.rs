//! Tests that run a script of `tools/` in Python.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

/// The variable that names a Python interpreter with the packages of `tools/requirements.txt`; `cargo xtask test` sets it.
pub const PYTHON: &str = "TMOE_ONNX_PYTHON";

/// A trial that needs the values of environment variables; one that lacks any is reported as ignored, and says so in its name.
pub fn trial<const N: usize>(
    name: String,
    variables: [&str; N],
    test: impl FnOnce([OsString; N]) -> Result<(), String> + Send + 'static,
) -> Trial {
    let values = variables.map(|variable| env::var_os(variable).filter(|value| !value.is_empty()));
    if values.iter().any(Option::is_none) {
        return ignored(&name, format!("{} not set", variables.join(" or ")));
    }
    let values = values.map(Option::unwrap_or_default);
    Trial::test(name, move || test(values).map_err(Into::into))
}

/// A trial that cannot be run here; its name says why.
pub fn ignored(name: &str, reason: String) -> Trial {
    Trial::test(format!("{name} [{reason}]"), || Err(reason.into())).with_ignored_flag(true)
}

/// Whether the interpreter that [`PYTHON`] names can import all of these modules; `true` where it names none, of which trials say so
/// themselves.
pub fn can_import(modules: &[&str]) -> bool {
    let Some(python) = env::var_os(PYTHON).filter(|value| !value.is_empty()) else { return true };
    let output = Command::new(python).args(["-c", &format!("import {}", modules.join(", "))]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Runs a script of `tools/`.
///
/// # Errors
///
/// What it printed, unless its exit code is 0.
pub fn run_tool<A: AsRef<OsStr>>(
    python: &OsStr,
    script: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools").join(script);
    let output = Command::new(python).arg(script).args(arguments).output();
    let output = output.map_err(|error| format!("{}: {error}", python.display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
