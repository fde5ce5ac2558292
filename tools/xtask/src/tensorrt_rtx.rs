//! TensorRT-RTX's shared libraries, taken out of the wheel on PyPI: they build engines without a GPU.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::paths::Workspace;
use crate::python::Python;
use crate::wheel::Wheel;

/// The release that the project is tested with: of the minor version of the headers of crates/tensorrt.
fn wheel() -> Wheel {
    Wheel {
        package: "tensorrt-rtx-cu13-libs",
        version: "1.7.1.116",
        member_folder: "tensorrt_rtx_libs",
        libraries: ["libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"].map(str::to_owned).into(),
    }
}

/// The library that tests will find, if it is there already: the one that `TMOE_TENSORRT_RTX` names, or one of the right
/// version in [`Workspace::tensorrt_rtx`].
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    if let Some(chosen) = env::var_os("TMOE_TENSORRT_RTX").filter(|path| !path.is_empty()) {
        return Some(chosen.into());
    }
    wheel().installed_in(&workspace.tensorrt_rtx())
}

/// Puts the libraries into [`Workspace::tensorrt_rtx`].
pub(crate) fn install(workspace: &Workspace, python: &Python) -> Result<PathBuf> {
    wheel().install(python, &workspace.tensorrt_rtx())
}
