//! `cargo xtask check-onnx`: the ONNX project's own checker on exported graphs.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::paths::Workspace;
use crate::{process, setup};

/// Runs `tools/check_onnx.py` on `paths`: packages, or single .onnx files.
pub(crate) fn run(workspace: &Workspace, paths: &[OsString]) -> Result<()> {
    let python = setup::python_environment(workspace)
        .map_err(|reason| anyhow!("the ONNX checker is a Python package: {reason}"))?;
    let mut check = Command::new(python);
    process::run(check.arg(workspace.root.join("tools/check_onnx.py")).args(paths))
}
