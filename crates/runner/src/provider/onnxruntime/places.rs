//! Where ONNX Runtime's library may be.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};

/// Overrides every other place.
pub(crate) const ENVIRONMENT_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Where to look, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// A library, or a folder that holds one; when set, nothing else is looked at.
    pub(crate) explicit: Option<PathBuf>,
    /// The running program, beside which and above which the library may lie.
    pub(crate) executable: Option<PathBuf>,
    /// Whether to ask Python for its package `onnxruntime`.
    pub(crate) python: bool,
    /// Whether to ask the system's loader.
    pub(crate) system: bool,
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, which may not exist.
    File(PathBuf),
    /// A folder, in which any version of the library will do.
    Folder(PathBuf),
    /// A name for the system's loader to look up.
    Loader(String),
}

impl Places {
    /// The places of this process.
    pub(crate) fn of_this_process() -> Self {
        Self {
            explicit: tmoe_libraries::named_by(ENVIRONMENT_VARIABLE),
            executable: tmoe_libraries::running_program(),
            python: true,
            system: true,
        }
    }

    /// The places in order. Python is only asked when the iterator comes to it.
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = Place> + '_> {
        if let Some(path) = &self.explicit {
            let place = if path.is_dir() { Place::Folder } else { Place::File };
            return Box::new(std::iter::once(place(path.clone())));
        }
        let near = self.executable.iter().flat_map(|program| near_program(program));
        // `flat_map` asks Python when the places before are used up, and not now.
        let python = self.python.then_some(()).into_iter().flat_map(|()| in_python());
        let system = self.system.then(loader_names).into_iter().flatten();
        Box::new(near.chain(python).chain(system.map(Place::Loader)))
    }
}

/// Beside the program, and for one that cargo built, where `cargo xtask setup` installs.
fn near_program(program: &Path) -> Vec<Place> {
    let folders = tmoe_libraries::folders_near(program, &["lib", "onnxruntime"], "onnxruntime");
    folders.into_iter().map(Place::Folder).collect()
}

/// The package's folder in Python's wheel holds the library in `capi`.
fn in_python() -> Vec<Place> {
    let packages = tmoe_libraries::package_folders("onnxruntime");
    packages.into_iter().map(|package| Place::Folder(package.join("capi"))).collect()
}

fn loader_names() -> Vec<String> {
    let name = format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}");
    if cfg!(target_os = "linux") { vec![format!("{name}.1"), name] } else { vec![name] }
}

/// The files of a folder that have a name of ONNX Runtime's library: newest version first, the plain name before
/// all.
pub(crate) fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((version_in_name(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    found.sort_by(|(left, _), (right, _)| {
        left.is_empty().cmp(&right.is_empty()).reverse().then_with(|| right.cmp(left))
    });
    found.into_iter().map(|(_, path)| path).collect()
}

/// `libonnxruntime.so` has no version in its name, `libonnxruntime.so.1.24.1` and `libonnxruntime.1.24.1.dylib`
/// have 1.24.1; other names are `None`.
fn version_in_name(name: &str) -> Option<Vec<u32>> {
    let rest = name.strip_prefix(DLL_PREFIX)?.strip_prefix("onnxruntime")?;
    let version = match rest.strip_suffix(DLL_SUFFIX) {
        Some(version) => version,
        None => rest.strip_prefix(DLL_SUFFIX)?,
    };
    if version.is_empty() {
        return Some(Vec::new());
    }
    version.strip_prefix('.')?.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_library_are_taken_with_the_newest_version_first() {
        let folder = tempfile::tempdir().unwrap();
        let plain = format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}");
        let versioned = |version: &str| match cfg!(target_os = "macos") {
            true => format!("{DLL_PREFIX}onnxruntime.{version}{DLL_SUFFIX}"),
            false => format!("{plain}.{version}"),
        };
        let expected = [plain.clone(), versioned("1.30.0"), versioned("1.4.10"), versioned("1.4.9")];
        let others = [
            format!("{DLL_PREFIX}onnxruntime_providers_shared{DLL_SUFFIX}"),
            format!("{plain}.md"),
            "README".to_owned(),
        ];
        for name in expected.iter().rev().chain(&others) {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        assert_eq!(libraries_in(folder.path()), expected.map(|name| folder.path().join(name)));
        assert!(libraries_in(&folder.path().join("nowhere")).is_empty());
    }

    #[test]
    fn an_explicit_path_is_the_only_place() {
        let folder = tempfile::tempdir().unwrap();
        let places = |path: PathBuf| Places {
            explicit: Some(path),
            executable: Some("/opt/bin/tmoe".into()),
            python: true,
            system: true,
        };
        let file = folder.path().join("library");
        assert_eq!(places(file.clone()).iter().collect::<Vec<_>>(), [Place::File(file)]);
        let folder = folder.path().to_owned();
        assert_eq!(places(folder.clone()).iter().collect::<Vec<_>>(), [Place::Folder(folder)]);
    }

    #[test]
    fn every_folder_that_python_names_is_one_of_a_wheel() {
        for place in in_python() {
            assert!(
                matches!(&place, Place::Folder(folder) if folder.ends_with("onnxruntime/capi")),
                "{place:?}"
            );
        }
    }

    fn folders_near(program: &Path) -> Vec<PathBuf> {
        let places = Places { executable: Some(program.to_owned()), ..Places::default() };
        let folder = |place| match place {
            Place::Folder(path) => path,
            other => panic!("expected folders, found {other:?}"),
        };
        places.iter().map(folder).collect()
    }

    #[test]
    fn the_folders_beside_the_program_come_first_and_the_loader_last() {
        let program = Path::new("/opt/tmoe/bin/tmoe");
        let folders = ["/opt/tmoe/bin", "/opt/tmoe/bin/lib", "/opt/tmoe/bin/onnxruntime", "/opt/tmoe/lib"];
        assert_eq!(folders_near(program), folders.map(PathBuf::from));
        let places = Places { executable: Some(program.to_owned()), system: true, ..Places::default() };
        assert!(matches!(places.iter().last(), Some(Place::Loader(_))));
    }

    #[test]
    fn a_program_that_cargo_built_looks_into_its_target_folder() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("target");
        for profile in ["release", "x86_64-unknown-linux-musl/release"] {
            let profile = target.join(profile);
            fs::create_dir_all(profile.join("deps")).unwrap();
            fs::write(profile.join(".cargo-lock"), "").unwrap();
            fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
            for program in [profile.join("tmoe"), profile.join("deps/tmoe-0123")] {
                assert_eq!(folders_near(&program).last(), Some(&target.join("onnxruntime")));
            }
        }
    }

    #[test]
    fn other_folders_above_the_program_are_not_searched() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("bin");
        fs::create_dir(&folder).unwrap();
        // As anybody could leave it in a shared folder.
        fs::create_dir(root.path().join("onnxruntime")).unwrap();
        fs::write(root.path().join("CACHEDIR.TAG"), "").unwrap();
        assert!(!folders_near(&folder.join("tmoe")).contains(&root.path().join("onnxruntime")));
    }
}
