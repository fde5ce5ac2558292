//! Where the headers of TensorRT are: a folder that the user names, or a package that Cargo fetches (see
//! headers/README.md).

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The headers of one flavour.
pub(crate) struct Headers {
    /// For people.
    pub(crate) version: &'static str,
    /// The variable that names a folder with headers.
    pub(crate) variable: &'static str,
    /// The static library to make with them.
    pub(crate) library: &'static str,
    /// The manifest, below `headers`, whose dependency is the package with the headers.
    manifest: &'static str,
    /// The folder in that package.
    folder: &'static str,
}

/// TensorRT, as `libnvinfer` is called in full.
pub(crate) const TENSORRT: Headers = Headers {
    version: "TensorRT 10",
    variable: "TMOE_TENSORRT_INCLUDE",
    library: "tmoe_tensorrt_shim",
    manifest: "tensorrt",
    folder: "TensorRT-Headers/TRT-Enterprise-10.16",
};

/// TensorRT-RTX.
pub(crate) const TENSORRT_RTX: Headers = Headers {
    version: "TensorRT-RTX 1.7",
    variable: "TMOE_TENSORRT_RTX_INCLUDE",
    library: "tmoe_tensorrt_rtx_shim",
    manifest: "tensorrt-rtx",
    folder: "TensorRT-Headers/TRT-RTX-1.7",
};

/// The package with the headers.
const PACKAGE: &str = "trtx-sys";

impl Headers {
    /// The folder with `NvInfer.h`.
    pub(crate) fn find(&self) -> Result<PathBuf, String> {
        println!("cargo::rerun-if-env-changed={}", self.variable);
        if let Some(folder) = env::var_os(self.variable).filter(|folder| !folder.is_empty()) {
            let folder = PathBuf::from(folder);
            return match folder.join("NvInfer.h").is_file() {
                true => Ok(folder),
                false => Err(format!("{} names {}, which has no NvInfer.h", self.variable, folder.display())),
            };
        }
        let package = self.fetch().map_err(|error| {
            format!(
                "the headers of {} could not be fetched: {error}\nset {} to a folder with NvInfer.h",
                self.version, self.variable
            )
        })?;
        let folder = package.join(self.folder);
        match folder.join("NvInfer.h").is_file() {
            true => Ok(folder),
            false => Err(format!("{} has no NvInfer.h", folder.display())),
        }
    }

    /// The folder into which Cargo unpacked the package.
    fn fetch(&self) -> Result<PathBuf, String> {
        let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("Cargo did not set {name}"));
        let folder = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("headers").join(self.manifest);
        let mut cargo = Command::new(variable("CARGO")?);
        cargo.args(["metadata", "--locked", "--format-version", "1"]).current_dir(folder);
        let output = cargo.stdin(Stdio::null()).stderr(Stdio::piped()).output();
        let output = output.map_err(|error| format!("cannot start Cargo: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
        }
        let metadata: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("`cargo metadata`: {error}"))?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        packages
            .filter(|package| package["name"] == PACKAGE)
            .find_map(|package| Path::new(package["manifest_path"].as_str()?).parent().map(Path::to_owned))
            .ok_or_else(|| format!("`cargo metadata` did not name the package {PACKAGE}"))
    }
}
