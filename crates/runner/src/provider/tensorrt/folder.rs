//! Where ONNX Runtime keeps the engines of a package: `engines/onnxruntime-<which>` in its folder.

use std::fs;
use std::path::PathBuf;

use tmoe_package::{OpSet, Package, files, hash_file};

use super::error::TensorRtError;
use crate::provider::Reduced;

/// Makes the folder.
///
/// ONNX Runtime knows an engine by the names in its graph and by TensorRT's version and GPU, but not by the weights: the package's
/// digest is a part of the folder's name, and so is whatever else it does not look at.
pub(super) fn folder(
    package: &Package,
    op_set: OpSet,
    reduced: Option<Reduced>,
) -> Result<PathBuf, TensorRtError> {
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| TensorRtError::NoFolder { path, source }
    };
    let manifest = package.path(files::MANIFEST);
    let (digest, _) = hash_file(&manifest).map_err(failed(&manifest))?;
    let digest: String = digest.to_string().chars().take(16).collect();
    let suffix = match reduced {
        None => "",
        Some(Reduced::Fp16) => "-fp16",
        Some(Reduced::Bf16) => "-bf16",
    };
    let folder = package.path(files::ENGINES).join(format!("onnxruntime-{digest}-{op_set}{suffix}"));
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_package_graph_or_type_has_another_folder() {
        let root = tempfile::tempdir().unwrap();
        let package = crate::testing::package(root.path(), "last");
        let make = |op_set, reduced| folder(&package, op_set, reduced).unwrap();
        let first = make(OpSet::Dense, None);
        assert!(first.is_dir() && first.starts_with(package.path(files::ENGINES)));
        assert_eq!(make(OpSet::Dense, None), first);
        assert_ne!(make(OpSet::Plugin, None), first);
        assert_ne!(make(OpSet::Dense, Some(Reduced::Fp16)), make(OpSet::Dense, Some(Reduced::Bf16)));
        // It is none of the engines that `tmoe-export engine` built.
        assert!(tmoe_package::Engine::folders(&package).unwrap().is_empty());
        let path = package.path(files::MANIFEST);
        fs::write(&path, fs::read_to_string(&path).unwrap() + "\n").unwrap();
        assert_ne!(make(OpSet::Dense, None), first);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let root = tempfile::tempdir().unwrap();
        let package = crate::testing::package(root.path(), "last");
        fs::write(package.path(files::ENGINES), "a file").unwrap();
        let text = folder(&package, OpSet::Dense, None).unwrap_err().to_string();
        assert!(text.contains("cannot be made") && text.contains("provider engine"), "{text}");
    }
}
