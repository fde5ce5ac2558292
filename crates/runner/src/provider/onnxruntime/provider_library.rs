//! The file beside ONNX Runtime's library that holds one of its execution providers.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use super::library::Library;

/// Why a library has no such provider.
pub(crate) enum NoProvider {
    /// It was built without.
    NotBuiltIn {
        /// The library.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// It was built with the provider, whose file is not there.
    Missing {
        /// Where the file should be.
        path: PathBuf,
    },
}

impl Library {
    /// The file of an execution provider, by ONNX Runtime's name for it and the end of the file's; none where only the loader knows
    /// where that is.
    pub(crate) fn provider_library(
        &self,
        execution_provider: &str,
        file: &str,
    ) -> Result<Option<PathBuf>, NoProvider> {
        if !self.execution_providers().iter().any(|provider| provider == execution_provider) {
            let (path, version) = (self.path().to_owned(), self.version().to_owned());
            return Err(NoProvider::NotBuiltIn { path, version });
        }
        let Some(folder) = self.path().parent().filter(|folder| *folder != Path::new("")) else {
            return Ok(None);
        };
        let path = folder.join(format!("{DLL_PREFIX}onnxruntime_providers_{file}{DLL_SUFFIX}"));
        if path.is_file() { Ok(Some(path)) } else { Err(NoProvider::Missing { path }) }
    }
}
