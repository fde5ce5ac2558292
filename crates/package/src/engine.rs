//! `engine.json`: what an engine in a package was built from, and where it runs.
//!
//! ```text
//! <package>/engines/<flavour>-<version>-sm<architecture>/
//!   engine.json      this manifest
//!   model.engine     one engine with a profile for prefill and one for decode
//!   timing.cache     what its build measured, for the next build
//! ```
//!
//! A package may gain and lose engines after it was written: `manifest.json` does not list them. Instead each of them
//! says of which package it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tmoe_model::header::one_line;

use crate::files;
use crate::flavour::Flavour;
use crate::hash::{Sha256Hex, hash_file};
use crate::manifest::{FileEntry, OpSet, Precision, Tool};
use crate::package::{Integrity, Package};
use crate::profile::{Profile, Span};

/// `engine.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineManifest {
    /// Version of this schema; see [`EngineManifest::SCHEMA`].
    pub schema: u32,
    /// Who built it.
    pub tool: Tool,
    /// SHA-256 of the package's `manifest.json`, which holds the digest of every other file.
    pub package: Sha256Hex,
    /// Which TensorRT it needs.
    pub flavour: Flavour,
    /// The version that built it, as `10.16.0` or `1.7.1`.
    pub version: String,
    /// The compute capability that it was built for, times ten: 86 for 8.6.
    pub architecture: u32,
    /// The graph that it was built from.
    pub op_set: OpSet,
    /// What its products are computed in.
    pub precision: Precision,
    /// The optimization profiles, in the engine's order.
    pub profiles: Vec<Profile>,
    /// The plugin library that it needs, by file name and contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugins: Option<PluginLibrary>,
    /// The engine's own file.
    pub engine: FileEntry,
}

/// A library of TensorRT plugins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginLibrary {
    /// Its file's name.
    pub file: String,
    /// SHA-256 of its contents.
    pub sha256: Sha256Hex,
}

/// Why an engine of a package cannot be used.
#[derive(Debug, Error)]
pub enum EngineError {
    /// `engine.json` cannot be read.
    #[error("cannot read {}: {source}; build the engine again: {rebuild}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// The command.
        rebuild: String,
    },
    /// `engine.json` is no such manifest.
    #[error("{} is not an engine manifest: {reason}; build the engine again: {rebuild}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// The command.
        rebuild: String,
    },
    /// The engine's file is longer or shorter than when it was written.
    #[error("{} has {found} bytes, its manifest says {expected}; build it again: {rebuild}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes as in the manifest.
        expected: u64,
        /// Bytes on disk.
        found: u64,
        /// The command.
        rebuild: String,
    },
    /// Built from another package.
    #[error(
        "{} is stale: it was built from a package whose manifest has the sha256 {expected}, this package's has {found}; build it again: {rebuild}",
        folder.display()
    )]
    OtherPackage {
        /// The engine's folder.
        folder: PathBuf,
        /// Of the package that it was built from.
        expected: Sha256Hex,
        /// Of the package that it lies in.
        found: Sha256Hex,
        /// The command.
        rebuild: String,
    },
    /// The engine's file was cut short or changed.
    #[error(
        "{} was changed: its sha256 is {found}, its manifest says {expected}; build it again: {rebuild}",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// As in the manifest.
        expected: Sha256Hex,
        /// As on disk.
        found: Sha256Hex,
        /// The command.
        rebuild: String,
    },
}

/// An engine in a package.
#[derive(Clone, Debug)]
pub struct Engine {
    folder: PathBuf,
    manifest: EngineManifest,
}

impl Engine {
    /// The folder of an engine in a package.
    pub fn folder_name(flavour: Flavour, version: &str, architecture: u32) -> String {
        format!("{flavour}-{version}-sm{architecture}")
    }

    /// The folders in which a package has engines, in order of their names.
    ///
    /// # Errors
    ///
    /// What the system says of the folder `engines`; none if there is no such folder.
    pub fn folders(package: &Package) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(package.path(files::ENGINES)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut folders = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.join(files::ENGINE_MANIFEST).is_file() {
                folders.push(path);
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// Reads an engine's manifest, and checks that it was built from this package and that its file is whole.
    ///
    /// # Errors
    ///
    /// See [`EngineError`]; each names the command that builds the engine again.
    pub fn open(package: &Package, folder: impl Into<PathBuf>) -> Result<Self, EngineError> {
        Self::open_with(package, folder, Integrity::Hashes)
    }

    /// As [`Engine::open`], checking as much of the engine's file as `integrity` says.
    pub fn open_with(
        package: &Package,
        folder: impl Into<PathBuf>,
        integrity: Integrity,
    ) -> Result<Self, EngineError> {
        let folder = folder.into();
        let rebuild = rebuild_command(package.folder(), None);
        let path = folder.join(files::ENGINE_MANIFEST);
        let text = fs::read_to_string(&path).map_err(|source| EngineError::Io {
            path: path.clone(),
            source,
            rebuild: rebuild.clone(),
        })?;
        let manifest = EngineManifest::from_json(&text).map_err(|reason| EngineError::Malformed {
            path,
            reason,
            rebuild,
        })?;
        let rebuild = rebuild_command(package.folder(), Some(&manifest));
        let unreadable =
            |path: &Path, source| EngineError::Io { path: path.to_owned(), source, rebuild: rebuild.clone() };
        let digest = |path: &Path| match hash_file(path) {
            Ok((digest, _)) => Ok(digest),
            Err(source) => Err(unreadable(path, source)),
        };
        let found = digest(&package.path(files::MANIFEST))?;
        if found != manifest.package {
            let expected = manifest.package;
            return Err(EngineError::OtherPackage { folder, expected, found, rebuild });
        }
        let path = folder.join(files::ENGINE);
        match integrity {
            Integrity::Hashes => {
                let found = digest(&path)?;
                if found != manifest.engine.sha256 {
                    return Err(EngineError::Changed {
                        path,
                        expected: manifest.engine.sha256,
                        found,
                        rebuild,
                    });
                }
            }
            Integrity::Lengths => {
                let found = fs::metadata(&path).map_err(|source| unreadable(&path, source))?.len();
                if found != manifest.engine.bytes {
                    return Err(EngineError::Length {
                        path,
                        expected: manifest.engine.bytes,
                        found,
                        rebuild,
                    });
                }
            }
        }
        Ok(Self { folder, manifest })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The engine's file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(files::ENGINE)
    }

    /// What it needs, and what it takes.
    pub fn manifest(&self) -> &EngineManifest {
        &self.manifest
    }
}

/// The command that builds an engine again, in place of the one that is there.
fn rebuild_command(package: &Path, manifest: Option<&EngineManifest>) -> String {
    match manifest {
        Some(manifest) => manifest.build_command(package) + " --force",
        None => format!("tmoe-export engine {} --force", package.display()),
    }
}

impl EngineManifest {
    /// The schema version that this crate writes, and the newest it reads.
    pub const SCHEMA: u32 = 1;

    /// Reads and checks the text of a manifest; otherwise, what is wrong with it, in one line.
    pub fn from_json(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct SchemaOnly {
            schema: u64,
        }
        let malformed = |error: serde_json::Error| one_line(&error);
        let SchemaOnly { schema } = serde_json::from_str(text).map_err(malformed)?;
        if schema > u64::from(Self::SCHEMA) {
            let newest = Self::SCHEMA;
            return Err(format!("it has schema {schema}, this version of tmoe reads up to {newest}"));
        }
        let manifest: Self = serde_json::from_str(text).map_err(malformed)?;
        if manifest.profiles.is_empty() {
            return Err("it lists no profile".to_owned());
        }
        for profile in &manifest.profiles {
            let Profile { name, batch, sequence, past } = profile;
            if let Some(span) = [batch, sequence, past].into_iter().find(|span| !span.is_ordered()) {
                let Span { min, opt, max } = span;
                return Err(format!(
                    "profile {name:?} goes from {min} over {opt} to {max}, which is not in order"
                ));
            }
        }
        Ok(manifest)
    }

    /// The command that builds such an engine of a package, without `--force`.
    pub fn build_command(&self, package: &Path) -> String {
        let mut command = format!(
            "tmoe-export engine {} --flavour {} --architecture {} --graph {} --precision {}",
            package.display(),
            self.flavour,
            self.architecture,
            self.op_set,
            self.precision
        );
        if let Some(plugins) = &self.plugins {
            command += &format!(" --plugins {}", plugins.file);
        }
        if let Some(prefill) = self.profiles.first() {
            for (option, Span { min, opt, max }) in [("batch", prefill.batch), ("context", prefill.sequence)]
            {
                command += &format!(" --{option} {min},{opt},{max}");
            }
        }
        command
    }

    /// The text of the manifest, indented, with a final newline.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .unwrap_or_else(|error| unreachable!("an engine manifest has only string keys: {error}"));
        text.push('\n');
        text
    }
}
