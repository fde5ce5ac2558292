//! TensorRT's library: found, opened, checked, and kept for as long as the process lives.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cxx::UniquePtr;
use libloading::Library as Loaded;
use thiserror::Error;

use crate::bridge::ffi;
use crate::error::Error as CallError;
use crate::flavour::{Flavour, Version};
use crate::logger::{LogSink, Records, Watch};
use crate::places::{Place, Places};

/// Why there is no usable library of TensorRT's.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// It is in none of the places.
    #[error(
        "{flavour}'s library was not found; run `pip install {}`, or set {} to the library's file or folder; looked at {}",
        flavour.package(), flavour.environment_variable(), join(.looked_at)
    )]
    NotFound {
        /// What was looked for.
        flavour: Flavour,
        /// Every place that was looked at, in order.
        looked_at: Vec<PathBuf>,
    },
    /// The system's loader refused the file.
    #[error(
        "{} cannot be loaded: {reason}; run `pip install {}`, or set {} to another file",
        path.display(), flavour.package(), flavour.environment_variable()
    )]
    NotLoadable {
        /// What was looked for.
        flavour: Flavour,
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// A library without the functions of TensorRT's.
    #[error(
        "{} is not {flavour}: it does not export {missing}; set {} to {}",
        path.display(), flavour.environment_variable(), flavour.library_names().main
    )]
    OtherLibrary {
        /// What was looked for.
        flavour: Flavour,
        /// The file.
        path: PathBuf,
        /// A function that it lacks.
        missing: &'static str,
    },
    /// A version whose interface this program does not know.
    #[error(
        "{} is version {found}, and this program was compiled for {flavour} {}: {} is needed; run `pip install '{}=={}.*'`, or set {} to another library",
        path.display(), flavour.header_version(), flavour.accepted(), flavour.package(), series(*.flavour), flavour.environment_variable()
    )]
    OtherVersion {
        /// What was looked for.
        flavour: Flavour,
        /// The file.
        path: PathBuf,
        /// Its version.
        found: Version,
    },
}

fn join(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

fn series(flavour: Flavour) -> String {
    let Version { major, minor, .. } = flavour.header_version();
    format!("{major}.{minor}")
}

/// An opened library of TensorRT's. It is never closed: it has threads, and what it makes has code in it.
///
/// ```no_run
/// use tmoe_tensorrt::{Flavour, Library};
///
/// let library = Library::find(Flavour::TensorRtRtx)?;
/// println!("{} {} from {}", library.flavour(), library.version(), library.path().display());
/// // Or one that is chosen: a file, or a folder with the file in it.
/// let library = Library::open(Flavour::TensorRt, "/opt/tensorrt/lib")?;
/// # Ok::<(), tmoe_tensorrt::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Library(&'static Inner);

struct Inner {
    flavour: Flavour,
    path: PathBuf,
    version: Version,
    shim: UniquePtr<ffi::Library>,
    records: Arc<Records>,
    building: Mutex<()>,
    parser: Result<PathBuf, LibraryError>,
}

// SAFETY: the shim's functions of a library are const and may be called from any thread: they make objects, or ask the
// plugin registry, which has a lock.
unsafe impl Sync for Inner {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Inner {}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { flavour, path, version, .. } = self.0;
        f.debug_struct("Library")
            .field("flavour", flavour)
            .field("path", path)
            .field("version", version)
            .finish()
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.flavour(), self.version(), self.path().display())
    }
}

impl Library {
    /// Looks for the library where the environment variable of the flavour says; without it, beside the program, in the
    /// active Python's packages, and where the system's loader looks.
    ///
    /// # Errors
    /// There is none, or none that this crate can use: the error is then about the first that was there.
    pub fn find(flavour: Flavour) -> Result<Self, LibraryError> {
        Self::find_in(flavour, &Places::of_this_process(flavour))
    }

    /// Opens a library, or the one in a folder.
    ///
    /// # Errors
    /// The file is not a library, not one of this flavour, or of another version than the headers.
    pub fn open(flavour: Flavour, path: impl Into<PathBuf>) -> Result<Self, LibraryError> {
        Self::find_in(flavour, &Places { explicit: Some(path.into()), ..Places::default() })
    }

    fn find_in(flavour: Flavour, places: &Places) -> Result<Self, LibraryError> {
        let (mut looked_at, mut refused) = (Vec::new(), None);
        for place in places.iter(flavour) {
            let (path, is_there) = match place {
                // An explicit path that is wrong is an error about it, not about a search.
                Place::File(path) => (path.clone(), places.explicit.is_some() || path.exists()),
                Place::Loader(name) => (PathBuf::from(name), true),
            };
            let by_loader = path.parent() == Some(Path::new(""));
            if is_there {
                match Self::load(flavour, &path) {
                    Ok(library) => return Ok(library),
                    // A name that the loader does not know is a place without a library.
                    Err(LibraryError::NotLoadable { .. }) if by_loader => {}
                    Err(error) => {
                        refused.get_or_insert(error);
                    }
                }
            }
            looked_at.push(path);
        }
        Err(refused.unwrap_or(LibraryError::NotFound { flavour, looked_at }))
    }

    /// Loads a file, or takes the library that was loaded from it before: it has one logger.
    fn load(flavour: Flavour, path: &Path) -> Result<Self, LibraryError> {
        static OPENED: OnceLock<Mutex<HashMap<(Flavour, PathBuf), Library>>> = OnceLock::new();
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut opened = OPENED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = opened.get(&(flavour, real.clone())) {
            return Ok(*library);
        }
        let library = Self(Box::leak(Box::new(Inner::load(flavour, path)?)));
        opened.insert((flavour, real), library);
        Ok(library)
    }

    /// Its flavour.
    pub fn flavour(&self) -> Flavour {
        self.0.flavour
    }

    /// Its version, which the crate's headers are compatible with.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The file, or the name that the system's loader knows it by.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The library of the ONNX parser, which lies beside.
    ///
    /// # Errors
    /// It does not, or cannot be used.
    pub fn parser_path(&self) -> Result<&Path, LibraryError> {
        self.0.parser.as_deref().map_err(Clone::clone)
    }

    pub(crate) fn shim(&self) -> &ffi::Library {
        &self.0.shim
    }

    /// To be held during builds: the library keeps the target of a build in a place that all builds share. TensorRT-RTX was seen
    /// to fail on builds for different GPUs side by side ("Target SM 80 is not found in the accelerator list").
    pub(crate) fn build_lock(&self) -> MutexGuard<'_, ()> {
        self.0.building.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of what is logged from now on.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.0.records.watch()
    }

    /// What `call` gives, or what TensorRT logged meanwhile.
    pub(crate) fn ask<T, E: fmt::Display>(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CallError> {
        let watch = self.watch();
        call().map_err(|error| CallError::Refused { operation, message: watch.errors(error.to_string()) })
    }

    /// That `call` is true, or what TensorRT logged meanwhile.
    pub(crate) fn demand(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> bool,
    ) -> Result<(), CallError> {
        self.ask(operation, || call().then_some(()).ok_or("it gave no reason"))
    }

    /// An error unless the flavour has something.
    pub(crate) fn supports(&self, is_there: bool, what: impl Into<String>) -> Result<(), CallError> {
        match is_there {
            true => Ok(()),
            false => Err(CallError::Unsupported { flavour: self.flavour(), what: what.into() }),
        }
    }
}

impl Inner {
    fn load(flavour: Flavour, path: &Path) -> Result<Self, LibraryError> {
        let main = open(flavour, path)?;
        let number = main.function(c"getInferLibVersion")?;
        // SAFETY: TensorRT's function of this name takes nothing and returns a number, in every version.
        let number = unsafe { std::mem::transmute::<usize, extern "C" fn() -> i32>(number) }();
        let version = Version::from_number(number);
        if !flavour.accepts(version) {
            return Err(LibraryError::OtherVersion { flavour, path: path.to_owned(), found: version });
        }
        let mut symbols = ffi::Symbols {
            create_builder: main.function(c"createInferBuilder_INTERNAL")?,
            create_runtime: main.function(c"createInferRuntime_INTERNAL")?,
            create_refitter: main.function(c"createInferRefitter_INTERNAL")?,
            plugin_registry: main.function(c"getPluginRegistry")?,
            create_parser: 0,
            create_parser_refitter: 0,
        };
        let parser_path = path.with_file_name(flavour.library_names().parser);
        let parser = open(flavour, &parser_path).and_then(|parser| {
            let create = parser.function(c"createNvOnnxParser_INTERNAL")?;
            let refitter = parser.function(c"createNvOnnxParserRefitter_INTERNAL")?;
            parser.keep();
            (symbols.create_parser, symbols.create_parser_refitter) = (create, refitter);
            Ok(parser_path.clone())
        });
        main.keep();
        let records = Arc::<Records>::default();
        let log = Box::new(LogSink(Arc::clone(&records)));
        // SAFETY: the functions have TensorRT's names, the version is one whose interface is that of the headers, and both
        // libraries are never closed.
        let shim = unsafe {
            match flavour {
                Flavour::TensorRt => ffi::open_tensorrt(&symbols, log),
                Flavour::TensorRtRtx => ffi::open_tensorrt_rtx(&symbols, log),
            }
        };
        Ok(Self {
            flavour,
            path: path.to_owned(),
            version,
            shim,
            records,
            building: Mutex::default(),
            parser,
        })
    }
}

/// A library that is open, and closed again unless it is kept.
struct Opened<'p> {
    flavour: Flavour,
    path: &'p Path,
    loaded: Loaded,
}

fn open(flavour: Flavour, path: &Path) -> Result<Opened<'_>, LibraryError> {
    // SAFETY: loading a library runs its initialisers. The file is one that the user named or installed under the library's
    // name, to be run in this process.
    let loaded = unsafe { Loaded::new(path) }.map_err(|error| LibraryError::NotLoadable {
        flavour,
        path: path.to_owned(),
        reason: tmoe_libraries::loader_reason(&error),
    })?;
    Ok(Opened { flavour, path, loaded })
}

impl Opened<'_> {
    /// The address of a function, which is not null.
    fn function(&self, name: &'static std::ffi::CStr) -> Result<usize, LibraryError> {
        let missing = || LibraryError::OtherLibrary {
            flavour: self.flavour,
            path: self.path.to_owned(),
            missing: name.to_str().unwrap_or_default(),
        };
        // SAFETY: only the address is taken.
        let symbol = unsafe { self.loaded.get::<*const ()>(name.to_bytes_with_nul()) };
        let address = *symbol.map_err(|_| missing())? as usize;
        if address == 0 { Err(missing()) } else { Ok(address) }
    }

    fn keep(self) {
        std::mem::forget(self.loaded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_there_is_none_every_place_is_listed_with_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        for flavour in Flavour::ALL {
            let places = Places { executable: Some(folder.path().join("bin/tmoe")), ..Places::default() };
            let error = Library::find_in(flavour, &places).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, LibraryError::NotFound { .. }), "{text}");
            assert!(text.contains(&format!("pip install {}", flavour.package())), "{text}");
            assert!(text.contains(flavour.environment_variable()), "{text}");
            let beside = folder.path().join("bin").join(flavour.library_names().main);
            assert!(text.contains(&beside.display().to_string()), "{text}");
        }
    }

    #[test]
    fn a_loader_that_does_not_know_the_name_is_a_place_without_a_library() {
        let places = Places { system: true, ..Places::default() };
        // Where a library is installed for the whole system, there is nothing to see.
        if let Err(error) = Library::find_in(Flavour::TensorRt, &places) {
            assert!(error.to_string().contains(&Flavour::TensorRt.library_names().main), "{error}");
        }
    }
}
