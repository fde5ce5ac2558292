//! `cargo xtask gpu-check`: the kernels, the operator library and a package, checked on a GPU.

use std::ffi::OsString;

use anyhow::Result;

use crate::gpu_pack;
use crate::paths::Workspace;

/// Packs, and checks where a GPU is; `extra` goes to the script.
pub(crate) fn run(workspace: &Workspace, extra: &[OsString]) -> Result<()> {
    gpu_pack::pack_and_run(workspace, "check", extra)
}
