//! Folders that appear complete or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Makes `folder`: `make` fills another one beside it and returns the complete part of that, which then takes the place of what was
/// there. `installed` finds what is wanted in a complete folder.
pub(crate) fn install(
    folder: &Path,
    make: impl FnOnce(&Path) -> Result<PathBuf>,
    installed: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<PathBuf> {
    let staging = folder.with_extension(format!("partial-{}", std::process::id()));
    let result = make(&staging).and_then(|complete| publish(&complete, folder, &installed));
    // What is left there is of no use to anyone; failing to remove it is no reason to fail.
    let _ = fs::remove_dir_all(&staging);
    result?;
    installed(folder).with_context(|| format!("{} is not complete", folder.display()))
}

fn publish(complete: &Path, folder: &Path, installed: impl Fn(&Path) -> Option<PathBuf>) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove the older {}", folder.display()))?;
    }
    match fs::rename(complete, folder) {
        // Another set-up beside this one was faster.
        Err(_) if installed(folder).is_some() => Ok(()),
        renamed => renamed.with_context(|| format!("cannot create {}", folder.display())),
    }
}
