//! The project's two programs, built in release mode.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::paths::Workspace;
use crate::process;

/// Builds the two programs in release mode and returns where Cargo put them.
pub(crate) fn build(workspace: &Workspace) -> Result<[PathBuf; 2]> {
    let mut command = workspace.cargo();
    command.args(["build", "--release", "--package", "tmoe-export", "--package", "tmoe-cli", "--bins"]);
    command.arg("--message-format=json-render-diagnostics");
    let messages = process::output(&mut command)?;
    Ok([built(&messages, "tmoe-export")?, built(&messages, "tmoe")?])
}

/// The program `name` among Cargo's build messages, one JSON object per line.
fn built(messages: &str, name: &str) -> Result<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
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
        assert_eq!(built(MESSAGES, "tmoe").unwrap(), Path::new("/t/release/tmoe.exe"));
        assert_eq!(built(MESSAGES, "tmoe-export").unwrap(), Path::new("/t/release/tmoe-export"));
    }

    #[test]
    fn a_program_that_was_not_built_is_named() {
        let error = built(MESSAGES, "tmoe-serve").unwrap_err();
        assert!(error.to_string().contains("tmoe-serve"), "{error}");
    }
}
