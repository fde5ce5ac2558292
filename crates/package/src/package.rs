//! Opening a package.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files;
use crate::hash::{Sha256Hex, hash_file};
use crate::manifest::{Manifest, ManifestError, OpSet};

/// How much of a package is checked when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integrity {
    /// Every file's length and sha256: one read of the whole package (about 0.3 s for 450 MB).
    #[default]
    Hashes,
    /// Every file's length only, for callers who checked the hashes before.
    Lengths,
}

/// A package on disk whose manifest was read and whose files were checked.
#[derive(Clone, Debug)]
pub struct Package {
    folder: PathBuf,
    manifest: Manifest,
}

/// Why a package could not be opened.
#[derive(Debug, Error)]
pub enum PackageError {
    /// There is no such folder.
    #[error("{} does not exist; `tmoe-export onnx <CHECKPOINT> --output {}` makes a package", .0.display(), .0.display())]
    NotFound(PathBuf),
    /// The folder is not a package.
    #[error("{} is not a package: it has no manifest.json; `tmoe-export onnx <CHECKPOINT> --output <PACKAGE>` makes one", .0.display())]
    NotAPackage(PathBuf),
    /// The manifest was refused.
    #[error("{}: {source}", folder.display())]
    Manifest {
        /// The package.
        folder: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// A listed file is not there.
    #[error("{} is missing from the package; copy the whole folder again, or export it again", .0.display())]
    MissingFile(PathBuf),
    /// A file is longer or shorter than when it was written.
    #[error("{} has {found} bytes, its manifest says {expected}; copy the package again, or export it again", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes according to the manifest.
        expected: u64,
        /// Bytes on disk.
        found: u64,
    },
    /// A file was changed since it was written.
    #[error("{} was changed: its sha256 is {found}, its manifest says {expected}; copy the package again, or export it again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Digest according to the manifest.
        expected: Sha256Hex,
        /// Digest of what is on disk.
        found: Sha256Hex,
    },
    /// The package has no graph of that op set.
    #[error("{} has no `{wanted}` graph (it has: {}); export it again with this version", folder.display(), available.join(", "))]
    NoGraph {
        /// The package.
        folder: PathBuf,
        /// The op set asked for.
        wanted: OpSet,
        /// The op sets that it has.
        available: Vec<String>,
    },
    /// The file system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Package {
    /// Opens a package and checks every file's length and sha256.
    ///
    /// # Errors
    ///
    /// See [`PackageError`]; each names the file and says what to do.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, PackageError> {
        Self::open_with(folder, Integrity::Hashes)
    }

    /// Opens a package, checking as much as `integrity` says.
    pub fn open_with(folder: impl AsRef<Path>, integrity: Integrity) -> Result<Self, PackageError> {
        let folder = folder.as_ref();
        if !folder.exists() {
            return Err(PackageError::NotFound(folder.to_owned()));
        }
        let path = folder.join(files::MANIFEST);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source)
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Err(PackageError::NotAPackage(folder.to_owned()));
            }
            Err(source) => return Err(PackageError::Io { path, source }),
        };
        let manifest = Manifest::from_json(&text)
            .map_err(|source| PackageError::Manifest { folder: folder.to_owned(), source })?;
        let package = Self { folder: folder.to_owned(), manifest };
        package.check_lengths()?;
        if integrity == Integrity::Hashes {
            package.check_hashes()?;
        }
        Ok(package)
    }

    /// The package's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the package contains.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The path of a file of the package.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The path of a graph.
    ///
    /// # Errors
    ///
    /// [`PackageError::NoGraph`] if the package has none of that op set.
    pub fn graph_path(&self, op_set: OpSet) -> Result<PathBuf, PackageError> {
        match self.manifest.graph(op_set) {
            Some(graph) => Ok(self.path(&graph.file)),
            None => Err(PackageError::NoGraph {
                folder: self.folder.clone(),
                wanted: op_set,
                available: self.manifest.graphs.iter().map(|g| g.op_set.to_string()).collect(),
            }),
        }
    }

    fn check_lengths(&self) -> Result<(), PackageError> {
        for (name, entry) in &self.manifest.files {
            let path = self.path(name);
            let metadata = match fs::metadata(&path) {
                Ok(metadata) => metadata,
                Err(source) if source.kind() == io::ErrorKind::NotFound => {
                    return Err(PackageError::MissingFile(path));
                }
                Err(source) => return Err(PackageError::Io { path, source }),
            };
            if metadata.len() != entry.bytes {
                return Err(PackageError::Length { path, expected: entry.bytes, found: metadata.len() });
            }
        }
        Ok(())
    }

    fn check_hashes(&self) -> Result<(), PackageError> {
        for (name, entry) in &self.manifest.files {
            let path = self.path(name);
            let (found, _) =
                hash_file(&path).map_err(|source| PackageError::Io { path: path.clone(), source })?;
            if found != entry.sha256 {
                return Err(PackageError::Changed { path, expected: entry.sha256.clone(), found });
            }
        }
        Ok(())
    }
}
