//! ONNX Runtime's shared library, taken out of the wheel on PyPI.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::paths::Workspace;
use crate::python::Python;
use crate::wheel::Wheel;

/// The release that the project is tested with. Keep it at or above the API that `ort` is built for.
const VERSION: &str = "1.32.0";

/// The library's file name in the wheel for `os` (as in [`std::env::consts::OS`]).
fn library_name(os: &str) -> String {
    match os {
        "windows" => "onnxruntime.dll".to_owned(),
        "macos" => format!("libonnxruntime.{VERSION}.dylib"),
        _ => format!("libonnxruntime.so.{VERSION}"),
    }
}

fn wheel() -> Wheel {
    let libraries = vec![library_name(env::consts::OS)];
    Wheel { package: "onnxruntime", version: VERSION, member_folder: "onnxruntime/capi", libraries }
}

/// The library that the runner will find, if it is there already: the one that `ORT_DYLIB_PATH`
/// names, or one of the right version in [`Workspace::onnxruntime`].
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    if let Some(chosen) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return Some(chosen.into());
    }
    wheel().installed_in(&workspace.onnxruntime())
}

/// Puts the library into [`Workspace::onnxruntime`].
pub(crate) fn install(workspace: &Workspace, python: &Python) -> Result<PathBuf> {
    wheel().install(python, &workspace.onnxruntime())
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
}
