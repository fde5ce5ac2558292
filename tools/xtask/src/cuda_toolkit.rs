//! `cargo xtask cuda`: the CUDA compiler, out of NVIDIA's wheels on PyPI.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::paths::Workspace;
use crate::process;
use crate::python::Python;
use crate::setup;
use crate::staged;
use crate::toolkit::{self, Toolkit};

/// What compiling and linking the kernels needs; each pinned, since together they are one toolkit.
const WHEELS: [&str; 5] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
];

/// Names under which linkers look for the libraries; the wheels hold them under others only.
#[cfg(unix)]
const LINKS: [(&str, &str); 2] = [("lib64", "lib"), ("lib/libcudart.so", "libcudart.so.13")];

/// Makes sure that there is a CUDA compiler, and prints where.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::cuda_toolkit(workspace).map(drop).map_err(anyhow::Error::msg)
}

/// The toolkit that a build of the feature `cuda` uses.
pub(crate) fn find(workspace: &Workspace) -> Result<Toolkit> {
    let toolkit = toolkit::find(&workspace.target).map_err(anyhow::Error::msg)?;
    toolkit.check_version().map_err(anyhow::Error::msg)?;
    Ok(toolkit)
}

/// The compiler, if it is there already: that of `$CUDA_HOME` or of the PATH where it is new enough, or one of the right version in
/// the target folder.
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    let found = toolkit::find(&workspace.target).ok()?;
    let is_ours = found.nvcc.starts_with(workspace.cuda());
    if is_ours || found.check_version().is_err() { installed_in(&workspace.cuda()) } else { Some(found.nvcc) }
}

fn installed_in(folder: &Path) -> Option<PathBuf> {
    let nvcc = folder.parent()?.join(toolkit::INSTALLED).join("bin/nvcc");
    let version = fs::read_to_string(folder.join("VERSION")).ok()?;
    (version == versions() && nvcc.is_file()).then_some(nvcc)
}

/// What is written into the folder's file `VERSION`.
fn versions() -> String {
    WHEELS.join("\n") + "\n"
}

/// Installs the wheels with pip into [`Workspace::cuda`].
pub(crate) fn install(workspace: &Workspace, python: &Python) -> Result<PathBuf> {
    ensure!(cfg!(target_os = "linux"), "the kernels are built for Linux only");
    staged::install(&workspace.cuda(), |staging| fetch(python, staging), installed_in)
}

fn fetch(python: &Python, staging: &Path) -> Result<PathBuf> {
    fs::create_dir_all(staging).with_context(|| format!("cannot create {}", staging.display()))?;
    let mut pip = python.pip("install");
    pip.args(["--no-deps", "--only-binary=:all:", "--no-warn-conflicts", "--quiet", "--target"]);
    process::run(pip.arg(staging).args(WHEELS))?;
    #[cfg(unix)]
    for (link, target) in LINKS {
        let link = staging.join("nvidia/cu13").join(link);
        if !link.exists() {
            std::os::unix::fs::symlink(target, &link)
                .with_context(|| format!("cannot create {}", link.display()))?;
        }
    }
    let version = staging.join("VERSION");
    fs::write(&version, versions()).with_context(|| format!("cannot write {}", version.display()))?;
    Ok(staging.to_owned())
}

/// The jobs that may run at once.
pub(crate) fn jobs() -> usize {
    let given = env::var("CARGO_BUILD_JOBS").ok().and_then(|jobs| jobs.parse().ok());
    given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_toolkit(target: &Path) -> PathBuf {
        let home = target.join(toolkit::INSTALLED);
        for (folder, file) in [("bin", "nvcc"), ("lib", "libcudart_static.a")] {
            fs::create_dir_all(home.join(folder)).unwrap();
            fs::write(home.join(folder).join(file), "").unwrap();
        }
        home.join("bin/nvcc")
    }

    #[test]
    fn a_toolkit_of_other_versions_counts_as_missing() {
        let target = tempfile::tempdir().unwrap();
        let folder = target.path().join("cuda");
        let nvcc = write_toolkit(target.path());
        assert_eq!(installed_in(&folder), None);
        fs::write(folder.join("VERSION"), "nvidia-cuda-nvcc==12.0.0\n").unwrap();
        assert_eq!(installed_in(&folder), None);
        fs::write(folder.join("VERSION"), versions()).unwrap();
        assert_eq!(installed_in(&folder), Some(nvcc));
    }

    /// A toolkit whose `nvcc` is a script that prints `version`.
    #[cfg(unix)]
    fn toolkit_that_prints(folder: &Path, version: &str) -> Toolkit {
        use std::os::unix::fs::PermissionsExt;

        let nvcc = write_toolkit(folder);
        fs::write(&nvcc, format!("#!/bin/sh\necho '{version}'\n")).unwrap();
        fs::set_permissions(&nvcc, fs::Permissions::from_mode(0o755)).unwrap();
        Toolkit { nvcc, libraries: folder.to_owned(), origin: "PATH" }
    }

    #[cfg(unix)]
    #[test]
    fn a_compiler_that_is_too_old_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = |version: &str| toolkit_that_prints(folder.path(), version).check_version();
        for version in ["release 12.8, V12.8.61", "release 12.10, V12.10.1", "release 13.0, V13.0.88"] {
            verdict(&format!("Cuda compilation tools, {version}")).unwrap();
        }
        for (version, found) in [("12.4, V12.4.131", "12.4"), ("11.9, V11.9.1", "11.9")] {
            let error = verdict(&format!("Cuda compilation tools, release {version}")).unwrap_err();
            for part in
                [&format!("(from PATH) is of CUDA {found};"), "need CUDA 12.8 or newer", "set CUDA_HOME"]
            {
                assert!(error.contains(part), "{part:?} is not in {error}");
            }
        }
        assert!(verdict("no compiler").unwrap_err().contains("it printed \"no compiler\""));
    }

    #[test]
    fn a_compiler_that_does_not_start_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let nvcc = folder.path().join("nvcc");
        let toolkit = Toolkit { nvcc, libraries: folder.path().to_owned(), origin: "CUDA_HOME" };
        assert!(toolkit.check_version().unwrap_err().contains("cannot start"));
    }

    #[test]
    fn the_folder_of_the_wheels_is_the_one_where_builds_look() {
        assert!(Path::new(toolkit::INSTALLED).starts_with("cuda"));
    }
}
