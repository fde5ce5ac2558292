//! Where packages are: those of the command line, and those below a folder.
//!
//! ```text
//! <repository>/<model>/manifest.json              version 1
//! <repository>/<model>/<version>/manifest.json
//! ```
//!
//! Names that clients send are names of models and versions ([`ModelName`], [`Version`]), which have no way out of the folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;
use tmoe_package::files;

use crate::core::name::{ModelName, NameError, Version};

/// A version of a model, and the folder of its package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The model.
    pub name: ModelName,
    /// Its version.
    pub version: Version,
    /// The package.
    pub package: PathBuf,
}

/// Why a text names no package.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    /// The folder has no name, as `/` and `..` have none.
    #[error("{0:?} gives the model no name; write NAME=FOLDER")]
    NoName(String),
    /// The name.
    #[error("{0}; write NAME=FOLDER to give the model another")]
    Name(#[from] NameError),
}

/// `[NAME[@VERSION]=]FOLDER`: the folder's name and version 1 unless said.
impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        // A folder may have a `=` in its path, but then not a `/` before it.
        let (label, folder) = match text.split_once('=') {
            Some((label, folder)) if !label.contains(['/', '\\']) => (Some(label), folder),
            _ => (None, text),
        };
        let package = PathBuf::from(folder);
        let (name, version) = match label {
            Some(label) => match label.split_once('@') {
                Some((name, version)) => (name.to_owned(), version.parse()?),
                None => (label.to_owned(), Version::first()),
            },
            None => {
                let name = package.file_name().and_then(|name| name.to_str());
                (name.ok_or_else(|| SourceError::NoName(text.to_owned()))?.to_owned(), Version::first())
            }
        };
        Ok(Self { name: name.parse()?, version, package })
    }
}

/// The folder that could not be read.
#[derive(Debug, Error)]
#[error("cannot read the repository {}: {source}", folder.display())]
pub struct RepositoryError {
    /// Which.
    pub folder: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// A folder of packages, which may change while the server runs.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    folder: Option<PathBuf>,
}

impl Repository {
    /// A folder, or none.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// Every package that is there now.
    ///
    /// # Errors
    ///
    /// [`RepositoryError`] if the folder cannot be read. What is no package is passed over.
    pub fn scan(&self) -> Result<Vec<Source>, RepositoryError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let mut sources = Vec::new();
        for (name, path) in named::<ModelName>(folder)? {
            sources.extend(self.versions(&name, &path)?);
        }
        Ok(sources)
    }

    /// The packages of one model that are there now; none if there is no such folder.
    ///
    /// # Errors
    ///
    /// [`RepositoryError`].
    pub fn find(&self, name: &ModelName) -> Result<Vec<Source>, RepositoryError> {
        match &self.folder {
            Some(folder) => self.versions(name, &folder.join(name.as_str())),
            None => Ok(Vec::new()),
        }
    }

    fn versions(&self, name: &ModelName, path: &Path) -> Result<Vec<Source>, RepositoryError> {
        let source = |version, package| Source { name: name.clone(), version, package };
        if is_package(path) {
            return Ok(vec![source(Version::first(), path.to_owned())]);
        }
        let versions = named::<Version>(path)?.into_iter().filter(|(_, path)| is_package(path));
        Ok(versions.map(|(version, path)| source(version, path)).collect())
    }
}

fn is_package(folder: &Path) -> bool {
    folder.join(files::MANIFEST).is_file()
}

/// The entries of a folder whose names are names; none if it is not there.
fn named<T: FromStr + Ord>(folder: &Path) -> Result<BTreeMap<T, PathBuf>, RepositoryError> {
    let failed = |source| RepositoryError { folder: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if let Some(Ok(name)) = path.file_name().and_then(|name| name.to_str()).map(str::parse) {
            found.insert(name, path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Result<(String, String, PathBuf), SourceError> {
        let source: Source = text.parse()?;
        Ok((source.name.to_string(), source.version.to_string(), source.package))
    }

    #[test]
    fn a_package_is_named_by_its_folder_unless_said() {
        let expected =
            |name: &str, version: &str, folder: &str| Ok((name.into(), version.into(), folder.into()));
        assert_eq!(source("packages/timemoe-50m"), expected("timemoe-50m", "1", "packages/timemoe-50m"));
        assert_eq!(source("packages/timemoe-50m/"), expected("timemoe-50m", "1", "packages/timemoe-50m/"));
        assert_eq!(source("load=/p/x"), expected("load", "1", "/p/x"));
        assert_eq!(source("load@3=/p/x=y"), expected("load", "3", "/p/x=y"));
        assert_eq!(source("/p=q/x"), expected("x", "1", "/p=q/x"));
        assert!(matches!(source(".."), Err(SourceError::NoName(_))));
        assert!(matches!(source("/"), Err(SourceError::NoName(_))));
        assert!(matches!(source("a b=/p"), Err(SourceError::Name(_))));
        assert!(matches!(source("a@=/p"), Err(SourceError::Name(_))));
    }

    #[test]
    fn a_repository_has_packages_and_versions_of_packages() {
        let folder = tempfile::tempdir().unwrap();
        let package = |path: &str| {
            fs::create_dir_all(folder.path().join(path)).unwrap();
            fs::write(folder.path().join(path).join(files::MANIFEST), "{}").unwrap();
        };
        for path in ["single", "many/2", "many/10", "many/.hidden", "no name/1"] {
            package(path);
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let repository = Repository::new(Some(folder.path().to_owned()));
        let found: Vec<String> = repository
            .scan()
            .unwrap()
            .iter()
            .map(|source| {
                format!(
                    "{}@{}={}",
                    source.name,
                    source.version,
                    source.package.strip_prefix(folder.path()).unwrap().display()
                )
            })
            .collect();
        assert_eq!(found, ["many@2=many/2", "many@10=many/10", "single@1=single"]);
        assert_eq!(repository.find(&"many".parse().unwrap()).unwrap().len(), 2);
        assert_eq!(repository.find(&"other".parse().unwrap()).unwrap(), []);
        assert_eq!(Repository::default().scan().unwrap(), []);
    }
}
