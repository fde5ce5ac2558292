//! Where things are: the workspace, its target folder, the demo's files.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The workspace and its target folder, both absolute.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks Cargo, so that `CARGO_TARGET_DIR` and `build.target-dir` are honoured.
    pub(crate) fn find() -> Result<Self> {
        let here = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let mut command = Command::new(cargo_program());
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
        command.arg(Path::new(&here).join("Cargo.toml"));
        Self::from_metadata(&process::output(&mut command)?)
    }

    fn from_metadata(json: &str) -> Result<Self> {
        let metadata: serde_json::Value =
            serde_json::from_str(json).context("`cargo metadata` did not print JSON")?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` did not print {key}"))
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }

    /// Cargo, in the workspace's root and with this target folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(cargo_program());
        // A relative CARGO_TARGET_DIR would be taken from the root instead of the caller's folder.
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// The folder in which the runner looks for ONNX Runtime: beside the profiles' folders.
    pub(crate) fn onnxruntime(&self) -> PathBuf {
        self.target.join("onnxruntime")
    }

    /// The folder in which tests look for TensorRT-RTX: beside the profiles' folders.
    pub(crate) fn tensorrt_rtx(&self) -> PathBuf {
        self.target.join("tensorrt-rtx")
    }

    /// The folder in which builds look for a CUDA compiler.
    pub(crate) fn cuda(&self) -> PathBuf {
        self.target.join("cuda")
    }

    /// The folder with a browser for tests.
    pub(crate) fn browser(&self) -> PathBuf {
        self.target.join("browser")
    }

    /// The folder with a second C and C++ compiler for tests.
    pub(crate) fn clang(&self) -> PathBuf {
        self.target.join("clang")
    }

    /// The Python environment with the packages of [`Self::requirements`].
    pub(crate) fn python_environment(&self) -> PathBuf {
        self.target.join("python")
    }

    /// The pinned Python packages that tests and checks use.
    pub(crate) fn requirements(&self) -> PathBuf {
        self.root.join("tools/requirements.txt")
    }

    /// The operators' library as `cargo build -p tmoe-ops` makes it.
    pub(crate) fn operator_library(&self) -> PathBuf {
        let name = format!("{}tmoe_ops{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
        self.target.join("debug").join(name)
    }

    /// Where the demo writes.
    pub(crate) fn demo_output(&self) -> PathBuf {
        self.target.join("demo")
    }

    /// The demo's inputs.
    pub(crate) fn demo_input(&self) -> PathBuf {
        self.root.join("tools/demo")
    }
}

fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// `path` as a person in the current folder would type it.
pub(crate) fn for_people(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    relative_to(path, &here).display().to_string()
}

fn relative_to<'p>(path: &'p Path, folder: &Path) -> &'p Path {
    match path.strip_prefix(folder) {
        Ok(relative) if !relative.as_os_str().is_empty() => relative,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_the_one_cargo_names() {
        let json = r#"{"packages":[],"workspace_root":"/src/tmoe","target_directory":"/fast disk/t"}"#;
        let workspace = Workspace::from_metadata(json).unwrap();
        assert_eq!(workspace.root, Path::new("/src/tmoe"));
        assert_eq!(workspace.onnxruntime(), Path::new("/fast disk/t/onnxruntime"));
    }

    #[test]
    fn metadata_without_a_target_folder_is_an_error_that_says_so() {
        let error = Workspace::from_metadata(r#"{"workspace_root":"/src"}"#).unwrap_err();
        assert!(error.to_string().contains("target_directory"), "{error}");
        assert!(Workspace::from_metadata("warning: not json").is_err());
    }

    #[test]
    fn paths_below_the_current_folder_are_shown_relative_and_others_in_full() {
        let here = Path::new("/src/tmoe");
        assert_eq!(relative_to(Path::new("/src/tmoe/target/demo"), here), Path::new("target/demo"));
        assert_eq!(relative_to(Path::new("/tmp/demo"), here), Path::new("/tmp/demo"));
        assert_eq!(relative_to(here, here), here);
    }
}
