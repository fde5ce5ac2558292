//! `cargo xtask setup`: fetches what Cargo does not. The demo and the tests begin with what they need of it.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::paths::{Workspace, for_people};
use crate::python::{self, Python};
use crate::{cuda_toolkit, onnxruntime, tensorrt_rtx};

/// A part of the set-up: where it is, or why it is not there.
pub(crate) type Part = Result<PathBuf, String>;

/// Fetches everything, and fails if anything could not be had.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut parts = vec![onnxruntime(workspace), python_environment(workspace)];
    if cfg!(target_os = "linux") {
        parts.push(cuda_toolkit(workspace));
    }
    parts.extend(tensorrt_rtx(workspace));
    let missing = parts.iter().filter(|part| part.is_err()).count();
    if missing > 0 {
        bail!("the set-up is not complete: {missing} of {} parts are missing", parts.len());
    }
    Ok(())
}

/// ONNX Runtime's library, for the provider `cpu`.
pub(crate) fn onnxruntime(workspace: &Workspace) -> Part {
    part("ONNX Runtime", onnxruntime::installed(workspace), |python| onnxruntime::install(workspace, python))
}

/// The Python environment that holds the ONNX checker. Returns its interpreter.
pub(crate) fn python_environment(workspace: &Workspace) -> Part {
    part("Python environment", python::installed(workspace), |python| python::install(workspace, python))
}

/// TensorRT-RTX's libraries, for tests that build engines; `None` on systems that its wheel is not for.
pub(crate) fn tensorrt_rtx(workspace: &Workspace) -> Option<Part> {
    let has_wheel = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    has_wheel.then(|| {
        part("TensorRT-RTX", tensorrt_rtx::installed(workspace), |python| {
            tensorrt_rtx::install(workspace, python)
        })
    })
}

/// The CUDA compiler, for builds with the feature `cuda`.
pub(crate) fn cuda_toolkit(workspace: &Workspace) -> Part {
    part("CUDA compiler", cuda_toolkit::installed(workspace), |python| {
        cuda_toolkit::install(workspace, python)
    })
}

/// Makes sure that a part is there, and prints where, or why it is not.
fn part(name: &str, installed: Option<PathBuf>, install: impl FnOnce(&Python) -> Result<PathBuf>) -> Part {
    let found = installed.map_or_else(
        || {
            let python = Python::find()?;
            println!("{name}: setting up with Python {}", python.version);
            install(&python)
        },
        Ok,
    );
    match found {
        Ok(path) => {
            println!("{name}: {}", for_people(&path));
            Ok(path)
        }
        Err(error) => {
            let reason = format!("{error:#}");
            println!("{name}: MISSING, {reason}");
            Err(reason)
        }
    }
}
