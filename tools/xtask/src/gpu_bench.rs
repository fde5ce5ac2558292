//! `cargo xtask gpu-bench`: the kernels and whole forecasts, measured on a GPU.

use std::ffi::OsString;

use anyhow::Result;

use crate::gpu_pack;
use crate::paths::Workspace;

/// Packs, and measures where a GPU is; `extra` goes to the script.
pub(crate) fn run(workspace: &Workspace, extra: &[OsString]) -> Result<()> {
    gpu_pack::pack_and_run(workspace, "bench", extra)
}
