//! What the tests share: the installed prefix, packages, compiled programs.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use tempfile::TempDir;
use tmoe_runner::{Provider, Session, SessionOptions};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};

use crate::prefix::Built;
use crate::toolchain::{Language, Toolchain, Way};

/// This crate.
pub(crate) const SOURCES: &str = env!("CARGO_MANIFEST_DIR");
/// The package that the tests use: heads of 1, 8, 32 and 64 points, 512 positions.
const PACKAGE: &str = "moe";

/// A source, and how it was compiled.
type Program = (PathBuf, &'static str, bool);

pub(crate) struct Shared {
    folder: TempDir,
    packages: Packages,
    golden: Golden,
    prefix: OnceLock<PathBuf>,
    programs: Mutex<HashMap<Program, Arc<OnceLock<PathBuf>>>>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let golden = Golden::all().into_iter().find(|golden| golden.name() == PACKAGE);
        Self {
            folder: TempDir::with_prefix("tmoe-capi-").unwrap(),
            packages: Packages::new().unwrap(),
            golden: golden.expect("a golden of that name"),
            prefix: OnceLock::new(),
            programs: Mutex::default(),
        }
    }

    /// An empty folder that nobody else uses.
    pub(crate) fn empty_folder(&self) -> TempDir {
        tempfile::tempdir_in(self.folder.path()).unwrap()
    }

    /// Where the library is installed.
    pub(crate) fn prefix(&self) -> &Path {
        self.prefix.get_or_init(|| {
            let prefix = self.folder.path().join("prefix");
            install(&prefix);
            prefix
        })
    }

    /// The folder of a package.
    pub(crate) fn package(&self) -> PathBuf {
        self.package_of().folder().to_owned()
    }

    fn package_of(&self) -> tmoe_runner::Package {
        self.packages.package(&self.golden, Variant::Last).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A session on the package, on the provider that the programs run on.
    pub(crate) fn session(&self) -> Session {
        let options = SessionOptions { provider: Provider::Tract.into(), ..SessionOptions::default() };
        Session::open(&self.package_of(), &options).unwrap()
    }

    /// Compiles a source of this crate against the prefix, once for each toolchain.
    pub(crate) fn compile(&self, source: &str, toolchain: &Toolchain, way: Way) -> PathBuf {
        let source = Path::new(SOURCES).join(source);
        let sanitized = way == Way::Sanitized;
        let cell = {
            let mut programs = self.programs.lock().unwrap();
            Arc::clone(programs.entry((source.clone(), toolchain.name, sanitized)).or_default())
        };
        cell.get_or_init(|| {
            let kind = if sanitized { "sanitized" } else { "plain" };
            let name = source.file_name().unwrap().to_str().unwrap().replace('.', "_");
            let program = self.folder.path().join(format!("{name}-{}-{kind}", toolchain.name));
            let mut command = toolchain.command(language_of(&source));
            if sanitized {
                command.args(["-fsanitize=address", "-fno-omit-frame-pointer"]);
            }
            self.link(&mut command, &source, &program);
            program
        })
        .clone()
    }

    /// Compiles and links a source with the shared library of the prefix.
    pub(crate) fn link(&self, command: &mut Command, source: &Path, program: &Path) {
        let (include, lib) = (self.prefix().join("include"), self.prefix().join("lib"));
        command.arg("-I").arg(include).arg(source).arg("-o").arg(program);
        command.arg("-L").arg(&lib).args(["-ltmoe", "-lm", "-pthread"]);
        command.arg(format!("-Wl,-rpath,{}", lib.display()));
        succeed(command);
    }
}

/// The language of a source, by its name.
pub(crate) fn language_of(source: &Path) -> Language {
    if source.extension().is_some_and(|extension| extension == "c") { Language::C } else { Language::Cpp }
}

/// Installs what Cargo built for this test.
pub(crate) fn install(prefix: &Path) {
    let program = env::current_exe().unwrap();
    let libraries = program.parent().expect("a program lies in a folder");
    let cpp = !matches!(
        Provider::Engine.availability(),
        tmoe_runner::Availability::Missing { reason } if reason.contains("built without TensorRT")
    );
    let built = Built { sources: Path::new(SOURCES), libraries, version: env!("CARGO_PKG_VERSION"), cpp };
    built.install(prefix).unwrap_or_else(|error| panic!("{error}"));
}

/// A command for a program that was compiled, run in some way. It finds no ONNX Runtime, and so runs on tract.
pub(crate) fn command(program: &Path, way: Way) -> Command {
    let mut command = match way {
        Way::Plain | Way::Sanitized => Command::new(program),
        Way::Valgrind => {
            let mut command = Command::new("valgrind");
            command.args(["--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
            command.args(["--show-leak-kinds=definite", "--error-exitcode=99"]);
            let suppressions = Path::new(SOURCES).join("tests/programs/valgrind.supp");
            command.arg(format!("--suppressions={}", suppressions.display())).arg(program);
            command
        }
    };
    command.env("ORT_DYLIB_PATH", "/no/such/libonnxruntime.so").env("ASAN_OPTIONS", "detect_leaks=1");
    command.env_remove("CUDA_VISIBLE_DEVICES");
    command
}

/// What a command printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end, which must be a good one.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> Printed {
    succeed_with(command, "")
}

/// The same, with that on its standard input.
#[track_caller]
pub(crate) fn succeed_with(command: &mut Command, input: &str) -> Printed {
    // A file, so that input and output of any length cannot wait for each other.
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let output = command.stdin(Stdio::from(file)).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let printed = Printed { stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(output.status.success(), "{command:?}: {}\n{}{}", output.status, printed.stdout, printed.stderr);
    printed
}

/// All that lies below a folder, sorted.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    fn collect(folder: &Path, root: &Path, files: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, files);
            } else {
                files.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut files = Vec::new();
    collect(folder, folder, &mut files);
    files.sort();
    files
}
