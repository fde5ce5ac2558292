//! Where TensorRT's libraries may be.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use crate::flavour::Flavour;

/// The names of one flavour's libraries.
pub(crate) struct Names {
    /// The main library.
    pub(crate) main: String,
    /// The ONNX parser.
    pub(crate) parser: String,
}

impl Flavour {
    /// As NVIDIA names the files: with the version that their interface has.
    pub(crate) fn library_names(self) -> Names {
        let (main, parser, version) = match self {
            Self::TensorRt => ("nvinfer", "nvonnxparser", self.header_version().major.to_string()),
            Self::TensorRtRtx => {
                let version = self.header_version();
                let version = match cfg!(windows) {
                    true => format!("{}_{}", version.major, version.minor),
                    false => version.major.to_string(),
                };
                ("tensorrt_rtx", "tensorrt_onnxparser_rtx", version)
            }
        };
        let name = |stem| match cfg!(windows) {
            true => format!("{DLL_PREFIX}{stem}_{version}{DLL_SUFFIX}"),
            false => format!("{DLL_PREFIX}{stem}{DLL_SUFFIX}.{version}"),
        };
        Names { main: name(main), parser: name(parser) }
    }

    /// The Python package with the libraries.
    fn python_package(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt_libs",
            Self::TensorRtRtx => "tensorrt_rtx_libs",
        }
    }

    /// The folder below cargo's target folder into which `cargo xtask setup` installs.
    fn target_folder(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::TensorRtRtx => "tensorrt-rtx",
        }
    }
}

/// Where to look, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// A library, or a folder that holds one; when set, nothing else is looked at.
    pub(crate) explicit: Option<PathBuf>,
    /// The running program, beside which the library may lie.
    pub(crate) executable: Option<PathBuf>,
    /// Whether to ask Python for its package.
    pub(crate) python: bool,
    /// Whether to ask the system's loader.
    pub(crate) system: bool,
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, which may not exist.
    File(PathBuf),
    /// A name for the system's loader to look up.
    Loader(String),
}

impl Places {
    /// The places of this process.
    pub(crate) fn of_this_process(flavour: Flavour) -> Self {
        Self {
            explicit: tmoe_libraries::named_by(flavour.environment_variable()),
            executable: tmoe_libraries::running_program(),
            python: true,
            system: true,
        }
    }

    /// The places in order. Python is only asked when the iterator comes to it.
    pub(crate) fn iter(&self, flavour: Flavour) -> Box<dyn Iterator<Item = Place> + '_> {
        let name = flavour.library_names().main;
        if let Some(path) = &self.explicit {
            let file = if path.is_dir() { path.join(&name) } else { path.clone() };
            return Box::new(std::iter::once(Place::File(file)));
        }
        let near = self.executable.iter().flat_map(move |program| near_program(program, flavour));
        let python = self
            .python
            .then_some(())
            .into_iter()
            .flat_map(move |()| tmoe_libraries::package_folders(flavour.python_package()));
        let system = self.system.then(|| Place::Loader(name.clone()));
        let files = near.chain(python).map(move |folder| Place::File(folder.join(&name)));
        Box::new(files.chain(system))
    }
}

/// Beside the program, and for one that cargo built, where `cargo xtask setup` installs.
fn near_program(program: &Path, flavour: Flavour) -> Vec<PathBuf> {
    tmoe_libraries::folders_near(program, &["lib"], flavour.target_folder())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn places(places: &Places) -> Vec<Place> {
        places.iter(Flavour::TensorRt).collect()
    }

    #[test]
    fn an_explicit_path_is_the_only_place_and_a_folder_holds_the_library_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let explicit =
            |path: PathBuf| Places { explicit: Some(path), python: true, system: true, ..Places::default() };
        let file = folder.path().join("library");
        assert_eq!(places(&explicit(file.clone())), [Place::File(file)]);
        let name = Flavour::TensorRt.library_names().main;
        assert_eq!(places(&explicit(folder.path().to_owned())), [Place::File(folder.path().join(name))]);
    }

    #[test]
    fn a_program_that_cargo_built_looks_into_its_target_folder_and_asks_the_loader_last() {
        let root = tempfile::tempdir().unwrap();
        let profile = root.path().join("debug");
        fs::create_dir_all(profile.join("deps")).unwrap();
        let program = profile.join("deps/library-0123");
        let near = |system| Places { executable: Some(program.clone()), system, ..Places::default() };
        let name = Flavour::TensorRt.library_names().main;
        let built = Place::File(root.path().join("tensorrt").join(&name));
        // Without cargo's marks the folders above may be anybody's.
        assert!(!places(&near(false)).contains(&built));
        fs::write(profile.join(".cargo-lock"), "").unwrap();
        fs::write(root.path().join("CACHEDIR.TAG"), "").unwrap();
        assert_eq!(places(&near(false)).last(), Some(&built));
        assert_eq!(places(&near(true)).last(), Some(&Place::Loader(name)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_names_are_those_in_nvidias_packages() {
        let names =
            Flavour::ALL.map(|flavour| flavour.library_names()).map(|names| (names.main, names.parser));
        let owned = |(main, parser): (&str, &str)| (main.to_owned(), parser.to_owned());
        let expected = [
            ("libnvinfer.so.10", "libnvonnxparser.so.10"),
            ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"),
        ];
        assert_eq!(names, expected.map(owned));
    }
}
