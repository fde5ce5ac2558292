//! Where Python has its package `onnxruntime`, whose wheel holds the library.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Finds the package without importing it, which would take seconds; and never in the working folder, where a
/// folder of that name may be anything.
const SCRIPT: &str = "\
import sys
sys.path = [path for path in sys.path if path]
from importlib.util import find_spec
spec = find_spec('onnxruntime')
for folder in (spec.submodule_search_locations or []) if spec else []:
    print(folder)
";

/// The folders of the installed Pythons' `onnxruntime` packages that hold the library. Python is asked once per
/// process.
pub(crate) fn library_folders() -> &'static [PathBuf] {
    static FOLDERS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let mut folders: Vec<PathBuf> = ["python3", "python"].into_iter().flat_map(ask).collect();
        folders.dedup();
        folders
    })
}

fn ask(python: &str) -> Vec<PathBuf> {
    let output =
        Command::new(python).args(["-c", SCRIPT]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| PathBuf::from(line).join("capi"))
            .collect(),
        // No Python, or one without that package: one place fewer to look at.
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_not_there_has_no_folders() {
        assert!(ask("python-that-is-not-there").is_empty());
    }

    #[test]
    fn every_folder_that_python_names_is_one_of_a_wheel() {
        assert!(library_folders().iter().all(|folder| folder.ends_with("onnxruntime/capi")));
    }
}
