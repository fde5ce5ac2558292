//! `cargo xtask install-capi`: the C interface, built and installed below a prefix.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::UsageError;
use crate::paths::{Workspace, for_people};
use crate::prefix::Built;
use crate::programs::messages_of;

const PACKAGE: &str = "tmoe-capi";

/// Arguments of `install-capi`.
#[derive(Debug, PartialEq)]
struct Options {
    prefix: PathBuf,
    /// Features of the crate, separated by commas.
    features: Option<String>,
    /// Cargo's profile.
    profile: String,
}

impl Options {
    fn parse(arguments: &[OsString]) -> Result<Self, UsageError> {
        let (mut prefix, mut features, mut profile) = (None, None, "release".to_owned());
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let name = name.display().to_string();
            let mut value = || {
                let value = rest.next().filter(|value| !value.is_empty());
                value.ok_or_else(|| UsageError(format!("install-capi {name} needs a value")))
            };
            match name.as_str() {
                "--prefix" => prefix = Some(PathBuf::from(value()?)),
                "--features" => features = Some(value()?.display().to_string()),
                "--profile" => profile = value()?.display().to_string(),
                _ => {
                    return Err(UsageError(format!(
                        "install-capi takes --prefix DIR, --features LIST and --profile NAME, found {name}"
                    )));
                }
            }
        }
        let prefix = prefix.ok_or_else(|| UsageError("install-capi needs --prefix DIR".to_owned()))?;
        Ok(Self { prefix, features, profile })
    }
}

/// Builds the libraries and installs them with the headers and with what builds find them by.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let options = Options::parse(arguments)?;
    if !cfg!(target_os = "linux") {
        bail!("the C interface is installed on Linux only");
    }
    let mut build = workspace.cargo();
    build.args(["build", "--locked", "--package", PACKAGE, "--lib", "--profile", &options.profile]);
    if let Some(features) = &options.features {
        build.args(["--features", features]);
    }
    let libraries = folder_of_library(&messages_of(&mut build)?)?;
    let features = options.features.as_deref().unwrap_or_default();
    let built = Built {
        sources: &workspace.root.join("crates/capi"),
        libraries: &libraries,
        // That of the workspace.
        version: env!("CARGO_PKG_VERSION"),
        cpp: features.split([',', ' ']).any(|feature| feature == "tensorrt"),
    };
    built.install(&options.prefix)?;
    println!("Installed in {}", for_people(&options.prefix));
    Ok(())
}

/// Where Cargo put the libraries, from what it says of the build.
fn folder_of_library(messages: &[Value]) -> Result<PathBuf> {
    let files = |artifact: &Value| artifact["filenames"].as_array().cloned().unwrap_or_default();
    let library = messages
        .iter()
        .filter(|message| {
            message["reason"] == "compiler-artifact" && message["target"]["name"] == "tmoe_capi"
        })
        .flat_map(files)
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.extension().is_some_and(|extension| extension == "so"));
    let folder = library.as_deref().and_then(Path::parent).map(Path::to_owned);
    folder.context("Cargo built no shared library of tmoe-capi")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Options::parse(&arguments).map_err(|error| error.0)
    }

    #[test]
    fn a_prefix_is_needed_and_the_rest_may_be_left_out() {
        let options = parse(&["--prefix", "/opt/tmoe"]).unwrap();
        assert_eq!((options.prefix, options.profile), (PathBuf::from("/opt/tmoe"), "release".to_owned()));
        let options = parse(&["--profile", "dev", "--prefix", "p", "--features", "cuda,tensorrt"]).unwrap();
        assert_eq!((options.profile.as_str(), options.features.as_deref()), ("dev", Some("cuda,tensorrt")));
        assert_eq!(parse(&[]).unwrap_err(), "install-capi needs --prefix DIR");
        assert_eq!(parse(&["--prefix"]).unwrap_err(), "install-capi --prefix needs a value");
        assert!(parse(&["/opt"]).unwrap_err().ends_with("found /opt"));
    }

    #[test]
    fn the_folder_is_that_of_the_shared_library() {
        let message = |name: &str, file: &str| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "target": { "name": name },
                "filenames": ["/t/release/libtmoe_capi.rlib", file],
            })
        };
        let messages = [
            message("tmoe_ops", "/t/deps/libtmoe_ops.so"),
            message("tmoe_capi", "/t/release/libtmoe_capi.so"),
        ];
        assert_eq!(folder_of_library(&messages).unwrap(), Path::new("/t/release"));
        assert!(folder_of_library(&messages[..1]).is_err());
    }
}
