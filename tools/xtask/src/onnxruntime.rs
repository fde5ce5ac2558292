//! ONNX Runtime's shared library, taken out of the wheel on PyPI.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::paths::Workspace;
use crate::process;
use crate::python::Python;

/// The release that the project is tested with. Keep it at or above the API that `ort` is built for.
const VERSION: &str = "1.32.0";

/// The wheels differ by Python version, the library in them does not: naming one here lets any
/// Python 3 fetch it.
const WHEEL_PYTHON: &str = "3.12";

/// Copies one member of a zip archive: ARCHIVE MEMBER DESTINATION.
const EXTRACT: &str = "import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    with archive.open(sys.argv[2]) as source, open(sys.argv[3], 'wb') as destination:
        shutil.copyfileobj(source, destination)
";

/// The library's file name in the wheel for `os` (as in [`std::env::consts::OS`]).
fn library_name(os: &str) -> String {
    match os {
        "windows" => "onnxruntime.dll".to_owned(),
        "macos" => format!("libonnxruntime.{VERSION}.dylib"),
        _ => format!("libonnxruntime.so.{VERSION}"),
    }
}

/// The library that the runner will find, if it is there already: the one that `ORT_DYLIB_PATH`
/// names, or one of the right version in [`Workspace::onnxruntime`].
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    if let Some(chosen) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return Some(chosen.into());
    }
    installed_in(&workspace.onnxruntime())
}

fn installed_in(folder: &Path) -> Option<PathBuf> {
    let library = folder.join(library_name(env::consts::OS));
    let version = fs::read_to_string(folder.join("VERSION")).ok()?;
    (version.trim() == VERSION && library.is_file()).then_some(library)
}

/// Downloads the wheel with pip and puts its library into [`Workspace::onnxruntime`]. The folder
/// appears complete or not at all.
pub(crate) fn install(workspace: &Workspace, python: &Python) -> Result<PathBuf> {
    let folder = workspace.onnxruntime();
    let staging = workspace.target.join(format!("onnxruntime.partial-{}", std::process::id()));
    let result = fetch(python, &staging).and_then(|complete| publish(&complete, &folder));
    // What is left there is of no use to anyone; failing to remove it is no reason to fail.
    let _ = fs::remove_dir_all(&staging);
    result?;
    installed_in(&folder).with_context(|| format!("{} is not complete", folder.display()))
}

fn fetch(python: &Python, staging: &Path) -> Result<PathBuf> {
    let wheels = staging.join("wheel");
    let complete = staging.join("complete");
    for folder in [&wheels, &complete] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }

    let mut download = python.pip("download");
    download.args(["--no-deps", "--only-binary=:all:", "--python-version", WHEEL_PYTHON, "--dest"]);
    process::run(download.arg(&wheels).arg(format!("onnxruntime=={VERSION}")))?;

    let name = library_name(env::consts::OS);
    let mut extract = Command::new(&python.executable);
    extract.args(["-c", EXTRACT]).arg(only_wheel(&wheels)?);
    extract.arg(format!("onnxruntime/capi/{name}")).arg(complete.join(&name));
    let status = extract.status().context("cannot start Python")?;
    ensure!(status.success(), "the wheel of onnxruntime {VERSION} holds no onnxruntime/capi/{name}");

    let version = complete.join("VERSION");
    fs::write(&version, VERSION).with_context(|| format!("cannot write {}", version.display()))?;
    Ok(complete)
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut wheels = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheels.next().with_context(|| format!("pip left no wheel in {}", folder.display()))
}

fn publish(complete: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove the older {}", folder.display()))?;
    }
    match fs::rename(complete, folder) {
        // Another set-up beside this one was faster.
        Err(_) if installed_in(folder).is_some() => Ok(()),
        renamed => renamed.with_context(|| format!("cannot create {}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_has_the_name_it_has_in_the_wheel_of_each_system() {
        assert_eq!(library_name("linux"), "libonnxruntime.so.1.32.0");
        assert_eq!(library_name("macos"), "libonnxruntime.1.32.0.dylib");
        assert_eq!(library_name("windows"), "onnxruntime.dll");
    }

    #[test]
    fn a_library_of_another_version_counts_as_missing_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("onnxruntime"), folder.path().join("complete"));
        for (path, version) in [(&old, "1.31.0"), (&new, VERSION)] {
            fs::create_dir(path).unwrap();
            fs::write(path.join(library_name(env::consts::OS)), version).unwrap();
            fs::write(path.join("VERSION"), version).unwrap();
        }
        assert_eq!(installed_in(&old), None);
        publish(&new, &old).unwrap();
        assert_eq!(fs::read_to_string(installed_in(&old).unwrap()).unwrap(), VERSION);
        assert!(!new.exists());
    }

    #[test]
    fn a_folder_without_the_library_or_without_its_version_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(installed_in(folder.path()), None);
        fs::write(folder.path().join("VERSION"), VERSION).unwrap();
        assert_eq!(installed_in(folder.path()), None);
        fs::write(folder.path().join(library_name(env::consts::OS)), "library").unwrap();
        assert!(installed_in(folder.path()).is_some());
    }

    #[test]
    fn a_download_folder_without_a_wheel_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("onnxruntime.tar.gz"), "source").unwrap();
        let error = only_wheel(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }
}
