//! The project's two programs, built in release mode.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::paths::Workspace;
use crate::process;

/// Builds the two programs in release mode and returns where Cargo put them.
pub(crate) fn build(workspace: &Workspace) -> Result<[PathBuf; 2]> {
    build_with(workspace.cargo(), &[])
}

/// [`build`], by a given Cargo and with features of the program tmoe.
pub(crate) fn build_with(mut command: Command, features: &[&str]) -> Result<[PathBuf; 2]> {
    command.args(["build", "--release", "--package", "tmoe-export", "--package", "tmoe-cli", "--bins"]);
    for feature in features {
        command.arg("--features").arg(format!("tmoe-cli/{feature}"));
    }
    let messages = messages_of(&mut command)?;
    Ok([built(&messages, "tmoe-export")?, built(&messages, "tmoe")?])
}

/// Runs a build and returns what Cargo says of each part of it.
pub(crate) fn messages_of(build: &mut Command) -> Result<Vec<Value>> {
    build.arg("--message-format=json-render-diagnostics");
    Ok(messages(&process::output(build)?))
}

/// One JSON object per line; other lines are of build scripts.
fn messages(printed: &str) -> Vec<Value> {
    printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The program `name` among Cargo's messages.
fn built(messages: &[Value], name: &str) -> Result<PathBuf> {
    messages
        .iter()
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from))
        .find(|executable| executable.file_stem() == Some(OsStr::new(name)))
        .with_context(|| format!("Cargo built no program named {name}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const MESSAGES: &str = r#"{"reason":"compiler-artifact","target":{"name":"tmoe_cli"},"executable":null}
{"reason":"build-script-executed","package_id":"zstd-sys"}
a line that is not JSON
{"reason":"compiler-artifact","target":{"name":"tmoe-export"},"executable":"/t/release/tmoe-export"}
{"reason":"compiler-artifact","target":{"name":"tmoe"},"executable":"/t/release/tmoe.exe"}
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn programs_are_run_from_where_cargo_says_it_put_them() {
        assert_eq!(built(&messages(MESSAGES), "tmoe").unwrap(), Path::new("/t/release/tmoe.exe"));
        assert_eq!(built(&messages(MESSAGES), "tmoe-export").unwrap(), Path::new("/t/release/tmoe-export"));
    }

    #[test]
    fn a_program_that_was_not_built_is_named() {
        let error = built(&messages(MESSAGES), "tmoe-serve").unwrap_err();
        assert!(error.to_string().contains("tmoe-serve"), "{error}");
    }
}
