//! Running other programs and passing on how they ended.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

/// A program ran and reported failure. `xtask` ends with the same exit code.
#[derive(Debug)]
pub(crate) struct CommandFailed {
    what: String,
    status: ExitStatus,
    pub(crate) code: u8,
}

impl CommandFailed {
    fn new(command: &Command, status: ExitStatus) -> Self {
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        Self { what: line(command), status, code }
    }
}

impl fmt::Display for CommandFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed ({})", self.what, self.status)
    }
}

impl std::error::Error for CommandFailed {}

/// Runs `command` with its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    check(command, status)
}

/// Prints `command` as a person would type it, then runs it.
pub(crate) fn show_and_run(command: &mut Command) -> Result<()> {
    println!("      $ {}", line(command));
    run(command)
}

/// Runs `command` and returns its standard output; its standard error goes where ours goes.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start `{}`", line(command)))?;
    check(command, output.status)?;
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed text that is not UTF-8", line(command)))
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(CommandFailed::new(command, status).into()) }
}

/// Lets people run a file that was written.
pub(crate) fn make_executable(program: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(program, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} a program", program.display()))?;
    }
    #[cfg(not(unix))]
    let _ = program;
    Ok(())
}

/// The command line of `command`, with paths shortened and quotes where a shell needs them.
fn line(command: &Command) -> String {
    // Cargo hands down its full path; people have it in their PATH.
    let program = match Path::new(command.get_program()) {
        path if path.file_stem() == Some(OsStr::new("cargo")) => OsStr::new("cargo"),
        path => path.as_os_str(),
    };
    let words = std::iter::once(program).chain(command.get_args());
    let quoted = words.map(|word| quote(&crate::paths::for_people(word.as_ref())));
    quoted.collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=+.,:/@%\\".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("tmoe");
        command.args(["forecast", "my data.csv", "--horizon", "96", ""]);
        assert_eq!(line(&command), "tmoe forecast 'my data.csv' --horizon 96 ''");
    }

    #[test]
    fn cargo_is_shown_by_its_name() {
        let mut command = Command::new("/home/me/.rustup/toolchains/stable/bin/cargo");
        assert_eq!(line(command.arg("test")), "cargo test");
    }

    #[test]
    fn a_failed_command_keeps_its_exit_code() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.arg("--no-such-flag").stderr(Stdio::null());
        let expected = command.status().unwrap().code().unwrap();
        let error = run(&mut command).unwrap_err();
        let failed = error.downcast_ref::<CommandFailed>().unwrap();
        assert_eq!(i32::from(failed.code), expected);
        assert!(error.to_string().contains("--no-such-flag"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = run(&mut Command::new("no-such-program-of-tmoe")).unwrap_err();
        assert!(error.to_string().contains("no-such-program-of-tmoe"), "{error}");
    }
}
