//! Where TensorRT's libraries may be.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

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
        let named = |value: &OsString| !value.is_empty();
        Self {
            explicit: env::var_os(flavour.environment_variable()).filter(named).map(PathBuf::from),
            // Behind a link, the library lies with the real program.
            executable: env::current_exe().and_then(fs::canonicalize).ok(),
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
        let python = self.python.then_some(()).into_iter().flat_map(move |()| python_folders(flavour));
        let system = self.system.then(|| Place::Loader(name.clone()));
        let files = near.chain(python).map(move |folder| Place::File(folder.join(&name)));
        Box::new(files.chain(system))
    }
}

/// Beside the program, in `lib` as installers lay it out, and for a program that cargo built, where `cargo xtask setup`
/// installs.
fn near_program(program: &Path, flavour: Flavour) -> Vec<PathBuf> {
    let Some(folder) = program.parent() else { return Vec::new() };
    let installed = folder.parent().map(|prefix| prefix.join("lib"));
    let built = cargo_target(folder).map(|target| target.join(flavour.target_folder()));
    [folder.to_owned(), folder.join("lib")].into_iter().chain(installed).chain(built).collect()
}

/// cargo's target folder, for a program in `target/<profile>` or `target/<triple>/<profile>`, or in `deps` or `examples`
/// there. Other folders above the program are not searched: one of them may be writable for everybody, as `/tmp` is, and
/// what is found is run.
fn cargo_target(folder: &Path) -> Option<&Path> {
    let is_inner = folder.file_name().is_some_and(|name| name == "deps" || name == "examples");
    let profile = if is_inner { folder.parent()? } else { folder };
    if !profile.join(".cargo-lock").is_file() {
        return None;
    }
    profile.ancestors().skip(1).take(2).find(|above| above.join("CACHEDIR.TAG").is_file())
}

/// Finds a package without importing it, and never in the working folder, where a folder of that name may be anything.
const SCRIPT: &str = "\
import sys
sys.path = [path for path in sys.path if path]
from importlib.util import find_spec
spec = find_spec(sys.argv[1])
for folder in (spec.submodule_search_locations or []) if spec else []:
    print(folder)
";

/// The folders of the package in the Pythons that are active. Each flavour is asked for once per process.
fn python_folders(flavour: Flavour) -> Vec<PathBuf> {
    static FOLDERS: [OnceLock<Vec<PathBuf>>; 2] = [const { OnceLock::new() }; 2];
    let found = FOLDERS[flavour as usize].get_or_init(|| {
        let ask = |python| ask(python, flavour.python_package());
        let mut folders: Vec<PathBuf> = ["python3", "python"].into_iter().flat_map(ask).collect();
        folders.dedup();
        folders
    });
    found.clone()
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

    #[test]
    fn a_python_that_is_not_there_has_no_folders() {
        assert!(ask("python-that-is-not-there", "tensorrt_libs").is_empty());
    }
}
