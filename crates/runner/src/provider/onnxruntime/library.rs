//! ONNX Runtime's shared library: found, checked, and only then given to `ort`, which panics on a library that
//! it cannot use.

use std::ffi::CStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use libloading::{Library as Loaded, Symbol};
use thiserror::Error;

use super::places::{ENVIRONMENT_VARIABLE, Place, Places, libraries_in};

/// The minor version of ONNX Runtime 1.x whose interface this program was built for.
const NEEDED_MINOR: u32 = ort::MINOR_VERSION;

/// Why there is no usable ONNX Runtime library.
#[derive(Clone, Debug, Error)]
pub enum LibraryError {
    /// It is in none of the places.
    #[error(
        "ONNX Runtime's library was not found; run `pip install onnxruntime`, or set {ENVIRONMENT_VARIABLE} to \
         the library's file; looked at {}",
        join(.looked_at)
    )]
    NotFound {
        /// Every place that was looked at, in order.
        looked_at: Vec<PathBuf>,
    },
    /// The system's loader refused the file.
    #[error(
        "{} cannot be loaded: {reason}; run `pip install onnxruntime`, or set {ENVIRONMENT_VARIABLE} to another \
         file",
        path.display()
    )]
    NotLoadable {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// A library without ONNX Runtime's entry point.
    #[error(
        "{} is not ONNX Runtime: {reason}; set {ENVIRONMENT_VARIABLE} to libonnxruntime, or unset it and run \
         `pip install onnxruntime`",
        path.display()
    )]
    NotOnnxRuntime {
        /// The file.
        path: PathBuf,
        /// How one can tell.
        reason: &'static str,
    },
    /// A version without the interface that is needed.
    #[error(
        "{} is ONNX Runtime {found}, needed is 1.{NEEDED_MINOR} or newer; run `pip install --upgrade \
         onnxruntime`, or set {ENVIRONMENT_VARIABLE} to a newer library",
        path.display()
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// The library is right, but would not start.
    #[error("{} did not start: {reason}; reinstall it with `pip install --force-reinstall onnxruntime`", path.display())]
    NotStarted {
        /// The file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

fn join(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

/// A library that was checked. It stays loaded for as long as this value lives.
pub(crate) struct Library {
    path: PathBuf,
    version: String,
    loaded: Loaded,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("path", &self.path).field("version", &self.version).finish()
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ONNX Runtime {}, {}", self.version, self.path.display())
    }
}

impl Library {
    /// The file, or the name that the system's loader knows it by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its version, such as 1.24.1.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The execution providers that it was built with, by ONNX Runtime's names for them.
    pub(crate) fn execution_providers(&self) -> Vec<String> {
        let Ok(entry) = self.entry() else { return Vec::new() };
        // SAFETY: `open` has checked that the entry point gives a table of this version, which is static and has these
        // functions; the list that one makes is released by the other.
        unsafe {
            let api = ((*entry()).GetApi)(NEEDED_MINOR);
            let (mut names, mut count) = (ptr::null_mut(), 0);
            let status = ((*api).GetAvailableProviders)(&mut names, &mut count);
            if !status.0.is_null() {
                ((*api).ReleaseStatus)(status.0);
                return Vec::new();
            }
            let texts = (0..usize::try_from(count).unwrap_or(0))
                .map(|index| CStr::from_ptr(*names.add(index)).to_string_lossy().into_owned());
            let texts = texts.collect();
            // All that is left to do with an error is to lose the memory of the list.
            let _ = ((*api).ReleaseAvailableProviders)(names, count);
            texts
        }
    }

    fn entry(&self) -> Result<Symbol<'_, EntryPoint>, libloading::Error> {
        // SAFETY: a symbol of this name is ONNX Runtime's documented entry point, which has this type in every version.
        unsafe { self.loaded.get(b"OrtGetApiBase\0") }
    }

    /// Loads a file and checks that it is an ONNX Runtime with the interface that is needed.
    fn open(path: &Path) -> Result<Self, LibraryError> {
        // SAFETY: loading a library runs its initialisers. The file is one that the user named or installed under
        // ONNX Runtime's name, to be run in this process.
        let loaded = unsafe { Loaded::new(path) }.map_err(|error| LibraryError::NotLoadable {
            path: path.to_owned(),
            reason: tmoe_libraries::loader_reason(&error),
        })?;
        let mut library = Self { path: path.to_owned(), version: String::new(), loaded };
        library.version = version_of(&library)?;
        Ok(library)
    }
}

/// ONNX Runtime's one exported function.
type EntryPoint = unsafe extern "system" fn() -> *const ort::sys::OrtApiBase;

fn version_of(library: &Library) -> Result<String, LibraryError> {
    let path = library.path();
    let stranger = |reason| LibraryError::NotOnnxRuntime { path: path.to_owned(), reason };
    let entry = library.entry().map_err(|_| stranger("it does not export OrtGetApiBase"))?;
    // SAFETY: the entry point takes nothing, may be called at any time, and returns a static table or null.
    let base = unsafe { entry().as_ref() }.ok_or_else(|| stranger("OrtGetApiBase gives nothing"))?;
    // SAFETY: the table's function returns a static, null-terminated string or null.
    let text = unsafe { (base.GetVersionString)() };
    if text.is_null() {
        return Err(stranger("it has no version"));
    }
    // SAFETY: not null, and null-terminated as above.
    let found = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    let too_old = || LibraryError::TooOld { path: path.to_owned(), found: found.clone() };
    // Asking for an interface that a library does not have makes it print to standard error: the version first.
    if !is_new_enough(&found) {
        return Err(too_old());
    }
    // SAFETY: the table's function takes any number, and returns a static table or null.
    if unsafe { (base.GetApi)(NEEDED_MINOR) }.is_null() {
        return Err(too_old());
    }
    Ok(found)
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else { return false };
    major == 1 && minor >= NEEDED_MINOR
}

/// The library of this process: looked for until it is found, then kept.
pub(crate) fn find() -> Result<&'static Library, LibraryError> {
    static FOUND: OnceLock<Library> = OnceLock::new();
    if let Some(library) = FOUND.get() {
        return Ok(library);
    }
    let library = find_in(&Places::of_this_process())?;
    Ok(FOUND.get_or_init(|| library))
}

/// The first usable library. When there is none, the error is about the first that was there.
fn find_in(places: &Places) -> Result<Library, LibraryError> {
    let mut looked_at = Vec::new();
    let mut refused = None;
    for place in places.iter() {
        let (place, candidates) = match place {
            Place::File(path) => (path.clone(), vec![path]),
            Place::Folder(path) => {
                let candidates = libraries_in(&path);
                (path, candidates)
            }
            Place::Loader(name) => (PathBuf::from(&name), vec![PathBuf::from(name)]),
        };
        let by_loader = place.parent() == Some(Path::new(""));
        for candidate in candidates {
            match Library::open(&candidate) {
                Ok(library) => return Ok(library),
                // A name that the loader does not know is a place without a library.
                Err(LibraryError::NotLoadable { .. }) if by_loader => {}
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        looked_at.push(place);
    }
    Err(refused.unwrap_or(LibraryError::NotFound { looked_at }))
}

/// ONNX Runtime's environment, which exists once per process; the only global of this crate.
pub(crate) fn environment() -> Result<&'static ort::environment::Environment, LibraryError> {
    static ENVIRONMENT: OnceLock<ort::environment::Environment> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let library = find()?;
    let failed = |reason: String| LibraryError::NotStarted { path: library.path.clone(), reason };
    let environment = ort::init_from(&library.path)
        .map_err(|error| failed(error.to_string()))?
        .with_name("tmoe")
        .with_telemetry(false)
        .with_logger(std::sync::Arc::new(log))
        .build()
        .map_err(|error| failed(error.to_string()))?;
    // With a logger, messages of every level are formatted unless this says otherwise.
    environment.set_log_level(ort::logging::LogLevel::Warning);
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

fn log(level: ort::logging::LogLevel, category: &str, _id: &str, place: &str, message: &str) {
    use ort::logging::LogLevel;
    match level {
        LogLevel::Verbose | LogLevel::Info => tracing::debug!(category, place, "{message}"),
        LogLevel::Warning => tracing::warn!(category, place, "{message}"),
        LogLevel::Error | LogLevel::Fatal => tracing::error!(category, place, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    use std::fs;
    use std::process::Command;

    use super::*;

    fn explicit(path: PathBuf) -> Places {
        Places { explicit: Some(path), ..Places::default() }
    }

    /// A library made of C source; `None` where there is no C compiler.
    fn compiled(folder: &Path, source: &str) -> Option<PathBuf> {
        let (code, library) =
            (folder.join("fake.c"), folder.join(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}")));
        fs::write(&code, source).unwrap();
        let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).status();
        status.is_ok_and(|status| status.success()).then_some(library)
    }

    fn onnx_runtime(version: &str, api: &str) -> String {
        format!(
            "static const char *version(void) {{ return {version}; }}\n\
             static const void *api(unsigned int wanted) {{ (void)wanted; return {api}; }}\n\
             static const struct {{ const void *(*api)(unsigned int); const char *(*version)(void); }}\n\
             base = {{ api, version }};\n\
             const void *OrtGetApiBase(void) {{ return &base; }}\n"
        )
    }

    #[test]
    fn when_there_is_none_every_place_is_listed_with_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { executable: Some(folder.path().join("bin/tmoe")), ..Places::default() };
        let error = find_in(&places).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, LibraryError::NotFound { .. }), "{text}");
        assert!(text.contains("pip install onnxruntime") && text.contains("ORT_DYLIB_PATH"), "{text}");
        assert!(text.contains(&folder.path().join("bin").display().to_string()), "{text}");
        assert!(text.contains(&folder.path().join("lib").display().to_string()), "{text}");
    }

    #[test]
    fn a_file_that_is_no_library_is_not_loadable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}"));
        fs::write(&path, "not a library").unwrap();
        for places in [explicit(path.clone()), explicit(folder.path().to_owned())] {
            let error = find_in(&places).unwrap_err();
            assert!(matches!(&error, LibraryError::NotLoadable { path: p, .. } if *p == path), "{error}");
        }
    }

    #[test]
    fn an_explicit_path_that_does_not_exist_is_not_loadable() {
        let error = find_in(&explicit("/no/such/libonnxruntime".into())).unwrap_err();
        assert!(matches!(error, LibraryError::NotLoadable { .. }), "{error}");
    }

    #[test]
    fn a_library_without_the_entry_point_is_not_onnx_runtime() {
        let folder = tempfile::tempdir().unwrap();
        let Some(path) = compiled(folder.path(), "int something(void) { return 1; }\n") else { return };
        let error = find_in(&explicit(path)).unwrap_err();
        assert!(matches!(error, LibraryError::NotOnnxRuntime { .. }), "{error}");
    }

    #[test]
    fn a_library_that_gives_no_table_or_no_version_is_not_onnx_runtime() {
        let empty = "const void *OrtGetApiBase(void) { return 0; }\n";
        for source in [empty.to_owned(), onnx_runtime("0", "0")] {
            let folder = tempfile::tempdir().unwrap();
            let Some(path) = compiled(folder.path(), &source) else { return };
            let error = find_in(&explicit(path)).unwrap_err();
            assert!(matches!(error, LibraryError::NotOnnxRuntime { .. }), "{error}");
        }
    }

    #[test]
    fn a_library_that_is_too_old_is_refused_with_both_versions() {
        for source in [onnx_runtime("\"1.17.3\"", "(const void *)1"), onnx_runtime("\"1.99.0\"", "0")] {
            let folder = tempfile::tempdir().unwrap();
            let Some(path) = compiled(folder.path(), &source) else { return };
            let error = find_in(&explicit(path)).unwrap_err();
            assert!(matches!(error, LibraryError::TooOld { .. }), "{error}");
            assert!(error.to_string().contains(&format!("needed is 1.{NEEDED_MINOR} or newer")), "{error}");
        }
    }

    #[test]
    fn a_refused_library_does_not_hide_a_good_one_further_on() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("bin");
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(folder.join(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}")), "not a library").unwrap();
        let good = onnx_runtime("\"1.999.0\"", "(const void *)1");
        let Some(path) = compiled(&folder.join("lib"), &good) else { return };
        let places = Places { executable: Some(folder.join("tmoe")), ..Places::default() };
        let library = find_in(&places).unwrap();
        assert_eq!((library.path(), library.version()), (path.as_path(), "1.999.0"));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, expected) in [
            ("1.24.0", true),
            ("1.100.1", true),
            ("1.24.0-dev", true),
            ("1.9.0", false),
            ("2.30.0", false),
            ("1", false),
            ("", false),
            ("one.two", false),
        ] {
            assert_eq!(is_new_enough(version), expected, "{version:?}");
        }
    }
}
