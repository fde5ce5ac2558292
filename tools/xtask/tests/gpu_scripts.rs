//! The tests of tools/gpu, one case for each of Python's: ignored where there is no Python 3, and those of the class `Folder`, which
//! build a stand-in for the driver, where that cannot be built.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gpu/test_run.py");
    let python = python();
    let names = match fs::read_to_string(&script) {
        Ok(source) => names(&source),
        Err(error) => {
            eprintln!("cannot read {}: {error}", script.display());
            return ExitCode::FAILURE;
        }
    };
    let has_driver = cfg!(target_os = "linux") && starts("cc", &["--version"]);
    let trials = names.into_iter().map(|name| {
        let (script, python) = (script.clone(), python.clone());
        let ignored = python.is_none() || (name.starts_with("Folder.") && !has_driver);
        let title = name.replace("test_", "");
        Trial::test(title, move || run(python, &script, &name)).with_ignored_flag(ignored)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// `Class.test_name` of every test.
fn names(source: &str) -> Vec<String> {
    let mut class = "";
    let mut found = Vec::new();
    for line in source.lines() {
        let word = |rest: &'static str| line.trim_start().strip_prefix(rest);
        if let Some(name) = line.strip_prefix("class ") {
            class = name.split('(').next().unwrap_or_default();
        } else if let Some(name) = word("def test_") {
            found.push(format!("{class}.test_{}", name.split('(').next().unwrap_or_default()));
        }
    }
    found
}

/// Python 3.9 or newer.
fn python() -> Option<OsString> {
    let given = std::env::var_os("PYTHON").into_iter();
    given.chain(["python3", "python"].map(OsString::from)).find(|program| {
        let is_new = "import sys; sys.exit(sys.version_info < (3, 9))";
        starts(program, &["-c", is_new])
    })
}

/// Whether a program runs and succeeds.
fn starts(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run(python: Option<OsString>, script: &PathBuf, name: &str) -> Result<(), Failed> {
    let python = python.ok_or("there is no Python 3.9")?;
    // No caches in the sources' folder.
    let output = Command::new(python).arg("-B").arg(script).arg(name).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}
