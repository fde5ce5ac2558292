//! Where shared libraries may lie that are opened at run time: ONNX Runtime's, TensorRT's.
//!
//! What is found is run, so a folder is only looked into that belongs to whoever runs the program: the one that a variable
//! names, those beside the program, cargo's target folder of a program that cargo built, and packages of the active Python.

mod loader;
mod program;
mod python;

use std::path::PathBuf;
use std::{env, fs};

pub use loader::loader_reason;
pub use program::folders_near;
pub use python::package_folders;

/// The path that an environment variable names; an empty one names none.
pub fn named_by(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The running program; behind a link, the real one, with which its libraries lie.
pub fn running_program() -> Option<PathBuf> {
    env::current_exe().and_then(fs::canonicalize).ok()
}
