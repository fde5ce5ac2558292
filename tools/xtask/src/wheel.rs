//! Shared libraries, taken out of a wheel on PyPI into a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::python::Python;
use crate::staged;

/// The wheels that are fetched differ by Python version, the libraries in them do not: naming one here lets any Python 3
/// fetch them.
const WHEEL_PYTHON: &str = "3.12";

/// Copies one member of a zip archive: ARCHIVE MEMBER DESTINATION.
const EXTRACT: &str = "import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    with archive.open(sys.argv[2]) as source, open(sys.argv[3], 'wb') as destination:
        shutil.copyfileobj(source, destination)
";

/// A wheel, and what is wanted of it.
#[derive(Debug)]
pub(crate) struct Wheel {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// The folder in the wheel that holds the libraries.
    pub(crate) member_folder: &'static str,
    /// Their file names, the main one first.
    pub(crate) libraries: Vec<String>,
}

impl Wheel {
    /// The main library, if the folder holds all of this version.
    pub(crate) fn installed_in(&self, folder: &Path) -> Option<PathBuf> {
        let version = fs::read_to_string(folder.join("VERSION")).ok()?;
        let complete = self.libraries.iter().all(|library| folder.join(library).is_file());
        (version.trim() == self.version && complete).then(|| folder.join(&self.libraries[0]))
    }

    /// Downloads the wheel with pip and puts its libraries into `folder`.
    pub(crate) fn install(&self, python: &Python, folder: &Path) -> Result<PathBuf> {
        staged::install(folder, |staging| self.fetch(python, staging), |folder| self.installed_in(folder))
    }

    fn fetch(&self, python: &Python, staging: &Path) -> Result<PathBuf> {
        let Self { package, version, member_folder, .. } = self;
        let wheels = staging.join("wheel");
        let complete = staging.join("complete");
        for folder in [&wheels, &complete] {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }

        let mut download = python.pip("download");
        download.args(["--no-deps", "--only-binary=:all:", "--python-version", WHEEL_PYTHON, "--dest"]);
        process::run(download.arg(&wheels).arg(format!("{package}=={version}")))?;

        let wheel = only_wheel(&wheels)?;
        for name in &self.libraries {
            let mut extract = Command::new(&python.executable);
            extract.args(["-c", EXTRACT]).arg(&wheel);
            extract.arg(format!("{member_folder}/{name}")).arg(complete.join(name));
            let status = extract.status().context("cannot start Python")?;
            ensure!(status.success(), "the wheel of {package} {version} holds no {member_folder}/{name}");
        }

        let file = complete.join("VERSION");
        fs::write(&file, version).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(complete)
    }
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut wheels = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheels.next().with_context(|| format!("pip left no wheel in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel() -> Wheel {
        let libraries = vec!["libone.so".to_owned(), "libtwo.so".to_owned()];
        Wheel { package: "example", version: "1.2.3", member_folder: "example/libs", libraries }
    }

    #[test]
    fn libraries_of_another_version_count_as_missing_and_are_replaced() {
        let (wheel, folder) = (wheel(), tempfile::tempdir().unwrap());
        let (old, new) = (folder.path().join("example"), folder.path().join("complete"));
        for (path, version) in [(&old, "1.2.2"), (&new, wheel.version)] {
            fs::create_dir(path).unwrap();
            for library in &wheel.libraries {
                fs::write(path.join(library), version).unwrap();
            }
            fs::write(path.join("VERSION"), version).unwrap();
        }
        assert_eq!(wheel.installed_in(&old), None);
        staged::install(&old, |_| Ok(new.clone()), |folder| wheel.installed_in(folder)).unwrap();
        assert_eq!(fs::read_to_string(wheel.installed_in(&old).unwrap()).unwrap(), wheel.version);
        assert!(!new.exists());
    }

    #[test]
    fn a_folder_without_a_library_or_without_its_version_counts_as_missing() {
        let (wheel, folder) = (wheel(), tempfile::tempdir().unwrap());
        assert_eq!(wheel.installed_in(folder.path()), None);
        fs::write(folder.path().join("VERSION"), wheel.version).unwrap();
        for library in &wheel.libraries {
            assert_eq!(wheel.installed_in(folder.path()), None);
            fs::write(folder.path().join(library), "library").unwrap();
        }
        assert_eq!(wheel.installed_in(folder.path()), Some(folder.path().join("libone.so")));
    }

    #[test]
    fn a_download_folder_without_a_wheel_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("example.tar.gz"), "source").unwrap();
        let error = only_wheel(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&folder.path().display().to_string()), "{error}");
    }
}
