//! The CUDA kernels' tests without a GPU: compiled by the C++ compiler with the emulator of `plugins/tests/emulator`, and run on
//! several emulated devices.

// How objects are compiled and kept is shared with the build of the kernels themselves.
#[path = "../build/objects.rs"]
mod objects;

mod host_programs;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use host_programs::compiler;
use libtest_mimic::{Arguments, Failed, Trial};
use objects::Compiler;

/// Devices with other instructions or another size of shared memory, and each order of threads at least once.
const CONFIGURATIONS: [(&str, &str); 4] =
    [("75", "shuffled"), ("80", "forward"), ("86", "reverse"), ("90", "shuffled")];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let compiler = compiler();
    let mut trials = Vec::new();
    for source in test_sources().unwrap_or_else(|error| panic!("{error}")) {
        let name = source.file_stem().unwrap_or_default().display().to_string();
        for (device, order) in CONFIGURATIONS {
            let missing = if compiler.is_none() { ": needs a C++ compiler (CXX, c++ or g++)" } else { "" };
            let title = format!("{name} on an emulated sm_{device}, threads {order}{missing}");
            let (name, compiler) = (name.clone(), compiler.clone());
            let trial = Trial::test(title, move || run(&name, device, order, compiler.as_deref()));
            trials.push(trial.with_ignored_flag(!missing.is_empty()));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins")
}

/// `*_test.cpp` and `*_test.cu`, those of the emulator itself included.
fn test_sources() -> Result<Vec<PathBuf>, String> {
    let mut sources = objects::files(&plugins().join("tests"), &["cpp", "cu"])?;
    sources.retain(|path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_test")));
    Ok(sources)
}

fn run(name: &str, device: &str, order: &str, compiler: Option<&Path>) -> Result<(), Failed> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let compiler = compiler.ok_or("no C++ compiler")?;
    let programs = BUILT.get_or_init(|| build(compiler)).as_ref()?;
    let mut program = Command::new(programs.join(name));
    program.args(["--device", device, "--order", order]);
    host_programs::run(program)
}

/// Compiles and links every test; gives the folder of the programs.
fn build(compiler: &Path) -> Result<PathBuf, String> {
    let plugins = plugins();
    let [kernels, tests] = ["kernels", "tests"].map(|folder| plugins.join(folder));
    let headers = vec![tests.join("emulator"), tests.clone(), kernels.clone()];
    // Assertions stay on; unknown pragmas are those that unroll.
    let options = ["-std=c++17", "-O2", "-UNDEBUG", "-Wall", "-Wextra", "-Wno-unknown-pragmas"];
    let mut arguments: Vec<OsString> = options.map(OsString::from).into();
    for folder in &headers {
        arguments.extend(["-I".into(), folder.clone().into_os_string()]);
    }
    arguments.extend(["-x", "c++"].map(OsString::from));

    let mut common = objects::files(&kernels, &["cu"])?;
    common.extend(objects::files(&tests.join("emulator/emulator"), &["cpp"])?);
    common.extend(objects::files(&tests.join("support"), &["cpp"])?);
    let test_sources = test_sources()?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulated-kernels");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let compiler = Compiler { program: compiler.to_owned(), arguments, headers };
    let sources: Vec<PathBuf> = common.iter().chain(&test_sources).cloned().collect();
    let compiled = compiler.objects(&sources, &folder.join("objects"), jobs)?;

    let programs = folder.join("programs");
    fs::create_dir_all(&programs)
        .map_err(|error| format!("cannot create {}: {error}", programs.display()))?;
    let (common, tests) = compiled.split_at(common.len());
    for (source, object) in test_sources.iter().zip(tests) {
        let program = programs.join(source.file_stem().unwrap_or_default());
        let mut link = Command::new(&compiler.program);
        link.arg(object).args(common).arg("-o").arg(&program).arg("-ldl");
        let output = link.output().map_err(|error| format!("cannot start {link:?}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{link:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(programs)
}
