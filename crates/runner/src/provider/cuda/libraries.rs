//! CUDA's own libraries, which ONNX Runtime's CUDA provider needs and which Python's packages may have brought.
//!
//! ONNX Runtime says of a library that it cannot find no more than that its provider was not loaded. So they are loaded here
//! first: what is in memory is found by its name, wherever it lies.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use libloading::Library;
use tmoe_libraries::loader_reason;

use super::error::CudaError;

/// The names of a library's needs stand in its string table, which linkers write at the front.
const FRONT: u64 = 1 << 20;

/// Libraries of CUDA, by the beginning of their names.
const OF_CUDA: [&str; 6] =
    ["libcudart.so.", "libcublas.so.", "libcublasLt.so.", "libcurand.so.", "libcufft.so.", "libcudnn.so."];

/// Libraries that the provider only opens when it comes to use them.
const OPENED_LATER: [&str; 3] = ["libcudnn.so.", "libcufft.so.", "libnvrtc.so."];

/// The libraries of CUDA that a provider library needs, by name. Empty for a file that does not say so.
pub(in crate::provider) fn needed(provider: &Path) -> Vec<String> {
    needed_of(provider, &OF_CUDA)
}

/// The libraries that a file needs whose names begin so and end with a version.
pub(in crate::provider) fn needed_of(provider: &Path, libraries: &[&str]) -> Vec<String> {
    let mut front = Vec::new();
    let read = File::open(provider).and_then(|file| file.take(FRONT).read_to_end(&mut front));
    if read.is_err() {
        return Vec::new();
    }
    let names = front.split(|&byte| byte == 0).filter_map(|bytes| std::str::from_utf8(bytes).ok());
    let mut needed: Vec<String> = names
        .filter(|name| libraries.iter().any(|library| name.starts_with(library)))
        .filter(|name| major(name).is_some())
        .map(str::to_owned)
        .collect();
    needed.dedup();
    needed
}

/// The major version of CUDA that the needed libraries are of.
pub(super) fn cuda_version(needed: &[String]) -> Option<u32> {
    needed.iter().find(|name| name.starts_with("libcudart.so.")).and_then(|name| major(name))
}

/// 13 of `libcudart.so.13`.
fn major(name: &str) -> Option<u32> {
    name.split_once(".so.")?.1.parse().ok()
}

/// Loads the libraries that are needed, by name or from Python's packages beside `provider`.
pub(in crate::provider) fn load(provider: &Path, needed: &[String]) -> Result<(), CudaError> {
    let folders = package_folders(provider);
    for library in needed {
        load_one(library, &folders)
            .map_err(|reason| CudaError::WithoutCudaLibrary { library: library.clone(), reason })?;
    }
    for path in folders.iter().flat_map(|folder| files_of(folder)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if OPENED_LATER.iter().any(|library| name.starts_with(library)) {
            // Whether it is needed shows when it is.
            let _ = open(&path);
        }
    }
    Ok(())
}

/// Loads a library, by name or from one of the folders; otherwise, why not.
pub(in crate::provider) fn load_one(library: &str, folders: &[PathBuf]) -> Result<(), String> {
    let Err(error) = open(Path::new(library)) else { return Ok(()) };
    let path = folders.iter().map(|folder| folder.join(library)).find(|path| path.is_file());
    let path = path.ok_or_else(|| loader_reason(&error))?;
    open(&path).map_err(|error| loader_reason(&error))
}

/// Loads a library for the rest of the process.
fn open(library: &Path) -> Result<(), libloading::Error> {
    // SAFETY: loading a library runs its initialisers; these are CUDA's, which the provider would load by itself.
    let loaded = unsafe { Library::new(library) }?;
    std::mem::forget(loaded);
    Ok(())
}

/// `nvidia/*/lib` in the folder of Python's packages that holds `onnxruntime/capi/<provider>`.
fn package_folders(provider: &Path) -> Vec<PathBuf> {
    let packages = provider.ancestors().nth(3);
    let Some(nvidia) = packages.map(|packages| packages.join("nvidia")) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = files_of(&nvidia)
        .into_iter()
        .map(|folder| folder.join("lib"))
        .filter(|folder| folder.is_dir())
        .collect();
    folders.sort_unstable();
    folders
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .map_or_else(|_| Vec::new(), |entries| entries.flatten().map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_needed_libraries_are_read_from_the_front_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("provider.so");
        let front =
            b"\x7fELF\0\xff\xfe\0libcublasLt.so.13\0libcudart.so.13\0libc.so.6\0libcudart.so.x\0libcublas\0";
        fs::write(&file, front).unwrap();
        let needed = needed(&file);
        assert_eq!(needed, ["libcublasLt.so.13", "libcudart.so.13"]);
        assert_eq!(cuda_version(&needed), Some(13));
        assert!(super::needed(&folder.path().join("nowhere")).is_empty());
    }

    #[test]
    fn python_packages_beside_onnx_runtime_are_looked_into() {
        let packages = tempfile::tempdir().unwrap();
        let lib = packages.path().join("nvidia/cu13/lib");
        fs::create_dir_all(&lib).unwrap();
        fs::create_dir_all(packages.path().join("nvidia/cu13/include")).unwrap();
        let provider = packages.path().join("onnxruntime/capi/provider.so");
        assert_eq!(package_folders(&provider), [lib]);
        assert!(package_folders(Path::new("provider.so")).is_empty());
    }

    #[test]
    fn a_library_that_is_nowhere_is_named() {
        let provider = Path::new("/nowhere/onnxruntime/capi/provider.so");
        let error = load(provider, &["libcudart.so.0".to_owned()]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("needs libcudart.so.0") && text.contains("onnxruntime-gpu[cuda,cudnn]"),
            "{text}"
        );
    }
}
