//! Where the active Python has its packages, whose wheels hold libraries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Finds a package without importing it, which could take seconds; and never in the working folder, where a folder of that
/// name may be anything.
const SCRIPT: &str = "\
import sys
sys.path = [path for path in sys.path if path]
from importlib.util import find_spec
spec = find_spec(sys.argv[1])
for folder in (spec.submodule_search_locations or []) if spec else []:
    print(folder)
";

/// The folders of a package in the Pythons that are active. For each package, Python is asked once per process.
pub fn package_folders(package: &str) -> Vec<PathBuf> {
    static FOUND: Mutex<BTreeMap<String, Vec<PathBuf>>> = Mutex::new(BTreeMap::new());
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let folders = found.entry(package.to_owned()).or_insert_with(|| {
        let pythons = ["python3", "python"].into_iter();
        let mut folders: Vec<PathBuf> = pythons.flat_map(|python| ask(python, package)).collect();
        folders.dedup();
        folders
    });
    folders.clone()
}

fn ask(python: &str, package: &str) -> Vec<PathBuf> {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, package]).stdin(Stdio::null()).stderr(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect()
        }
        // No Python, or one without that package: one place fewer to look at.
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_not_there_has_no_folders() {
        assert!(ask("python-that-is-not-there", "example").is_empty());
    }

    #[test]
    fn a_package_that_is_not_there_has_no_folders() {
        assert!(package_folders("a_package_that_is_not_there").is_empty());
    }
}
