//! `cargo xtask clang`: a second compiler for the tests of the C interface, out of the wheel of Zig, which contains Clang.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::paths::{Workspace, for_people};
use crate::process;
use crate::python::Python;
use crate::staged;

/// Clang with the libraries of C and C++; it has no AddressSanitizer.
const WHEEL: &str = "ziglang==0.17.1";

/// The programs, and what Zig calls them.
const PROGRAMS: [(&str, &str); 2] = [("clang", "cc"), ("clang++", "c++")];

/// Makes sure that there is a Clang, and prints where.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let found = match on_path().or_else(|| installed_in(&workspace.clang())) {
        Some(found) => found,
        None => install(workspace, &Python::find()?)?,
    };
    println!("Clang: {}", for_people(&found));
    Ok(())
}

/// The PATH for tests, if they find Clang only with it: the one that [`run`] has installed.
pub(crate) fn path_for_tests(workspace: &Workspace) -> Option<OsString> {
    if on_path().is_some() {
        return None;
    }
    let installed = installed_in(&workspace.clang())?;
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(installed.parent().map(Path::to_owned));
    env::join_paths(folders).ok()
}

fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join("clang++")).find(|program| program.is_file())
}

fn installed_in(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("bin/clang++");
    let version = fs::read_to_string(folder.join("VERSION")).ok()?;
    (version == WHEEL && program.is_file()).then_some(program)
}

/// Installs the wheel with pip into [`Workspace::clang`].
fn install(workspace: &Workspace, python: &Python) -> Result<PathBuf> {
    ensure!(cfg!(target_os = "linux"), "the C interface is tested on Linux only");
    staged::install(&workspace.clang(), |staging| fetch(python, staging), installed_in)
}

fn fetch(python: &Python, staging: &Path) -> Result<PathBuf> {
    let programs = staging.join("bin");
    fs::create_dir_all(&programs).with_context(|| format!("cannot create {}", programs.display()))?;
    let mut pip = python.pip("install");
    pip.args(["--no-deps", "--only-binary=:all:", "--no-warn-conflicts", "--quiet", "--target"]);
    process::run(pip.arg(staging.join("package")).arg(WHEEL))?;
    for (name, subcommand) in PROGRAMS {
        write_program(&programs.join(name), subcommand)?;
    }
    let version = staging.join("VERSION");
    fs::write(&version, WHEEL).with_context(|| format!("cannot write {}", version.display()))?;
    Ok(staging.to_owned())
}

/// A program that keeps what it compiles for itself, the library of C++, in the folder that it is in.
fn write_program(path: &Path, subcommand: &str) -> Result<()> {
    let text = format!(
        "#!/bin/sh\n\
         here=$(dirname \"$(readlink -f \"$0\")\")/..\n\
         export ZIG_GLOBAL_CACHE_DIR=\"$here/cache\" ZIG_LOCAL_CACHE_DIR=\"$here/cache\"\n\
         exec \"$here/package/ziglang/zig\" {subcommand} \"$@\"\n"
    );
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    process::make_executable(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_of_another_version_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(folder.path().join("VERSION"), "ziglang==0.1").unwrap();
        write_program(&folder.path().join("bin/clang++"), "c++").unwrap();
        assert_eq!(installed_in(folder.path()), None);
        fs::write(folder.path().join("VERSION"), WHEEL).unwrap();
        assert_eq!(installed_in(folder.path()), Some(folder.path().join("bin/clang++")));
    }
}
