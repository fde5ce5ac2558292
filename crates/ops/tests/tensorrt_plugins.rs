//! The TensorRT plugins without TensorRT and without a GPU: compiled by the C++ compiler with the emulator of
//! `plugins/tests/emulator`. They need TensorRT's headers: those in the folder that `TMOE_TENSORRT_INCLUDE` names, or else those that
//! the bindings in `crates/tensorrt` are compiled with.

// How objects are compiled and kept is shared with the build of the kernels themselves.
#[path = "../build/objects.rs"]
mod objects;

mod host_programs;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;

use host_programs::compiler;
use libtest_mimic::{Arguments, Failed, Trial};
use objects::Compiler;
use tmoe_ops::schema::{self, AttributeDefault, AttributeSpec};

const INCLUDE: &str = "TMOE_TENSORRT_INCLUDE";

/// Programs, and the devices on which each runs: only what computes depends on them.
const PROGRAMS: [(&str, &[&str]); 3] = [
    ("tensorrt_plugins_test", &["75", "80", "90"]),
    ("tensorrt_refusals_test", &["80"]),
    ("tensorrt_loading_test", &["80"]),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let compiler = compiler();
    let headers = headers();
    let missing = match (&compiler, &headers) {
        (None, _) => ": needs a C++ compiler (CXX, c++ or g++)".to_owned(),
        (_, Err(error)) => format!(": needs TensorRT's headers ({INCLUDE}); {error}"),
        _ => String::new(),
    };
    let mut trials = Vec::new();
    for (name, devices) in PROGRAMS {
        for device in devices {
            let (compiler, headers) = (compiler.clone(), headers.clone());
            let trial = Trial::test(format!("{name} on an emulated sm_{device}{missing}"), move || {
                run(name, device, &compiler.ok_or("no C++ compiler")?, &headers?)
            });
            trials.push(trial.with_ignored_flag(!missing.is_empty()));
        }
    }
    let title = format!("the plugins have the attributes of the operators{missing}");
    let trial = Trial::test(title, move || {
        compare_attributes(
            &built(&compiler.ok_or("no C++ compiler")?, &headers?)?.join("tensorrt_loading_test"),
        )
    });
    trials.push(trial.with_ignored_flag(!missing.is_empty()));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The folder of `NvInferRuntime.h`: the user's, or that of the package which Cargo fetches for `crates/tensorrt`.
fn headers() -> Result<PathBuf, String> {
    let folder = match env::var_os(INCLUDE).filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => package()?.join("TensorRT-Headers/TRT-Enterprise-10.16"),
    };
    match folder.join("NvInferRuntime.h").is_file() {
        true => Ok(folder),
        false => Err(format!("{} has no NvInferRuntime.h", folder.display())),
    }
}

fn package() -> Result<PathBuf, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tensorrt/headers/tensorrt/Cargo.toml");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--locked", "--format-version", "1", "--manifest-path"]).arg(manifest);
    let output =
        cargo.stdin(Stdio::null()).output().map_err(|error| format!("cannot start {cargo:?}: {error}"))?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`cargo metadata`: {}", printed.lines().last().unwrap_or_default()));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("`cargo metadata`: {error}"))?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let package = packages.find(|package| package["name"] == "trtx-sys");
    let manifest = package.and_then(|package| package["manifest_path"].as_str()).map(Path::new);
    let folder = manifest.and_then(Path::parent).map(Path::to_owned);
    folder.ok_or_else(|| "`cargo metadata` names no package trtx-sys".to_owned())
}

fn run(name: &str, device: &str, compiler: &Path, headers: &Path) -> Result<(), Failed> {
    let mut program = Command::new(built(compiler, headers)?.join(name));
    program.args(["--device", device]);
    host_programs::run(program)
}

/// The names and kinds of attributes that the library's creators tell TensorRT, against those of the schemas.
fn compare_attributes(host: &Path) -> Result<(), Failed> {
    // The steps of a host that has TensorRT and opens the library; it ends with a line for each creator.
    let mut program = Command::new(host);
    program.env("TMOE_HOST_STEPS", "np").stdin(Stdio::null());
    let output = program.output().map_err(|error| format!("cannot start {program:?}: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    for operator in schema::ALL {
        let mut expected: Vec<String> = operator.attributes.iter().map(attribute_text).collect();
        if operator.name == schema::FLASH_ATTENTION.name {
            expected.push("preallocated_cache:integer".to_owned());
        }
        expected.sort();
        for namespace in ["", schema::DOMAIN] {
            let name = format!("creator {} {namespace}::{} with", schema::VERSION, operator.name);
            let line = printed.lines().find_map(|line| line.strip_prefix(name.as_str()));
            let line = line.ok_or_else(|| format!("no `{name}` in\n{printed}"))?;
            let mut found: Vec<&str> = line.split_whitespace().collect();
            found.sort_unstable();
            if found != expected {
                return Err(format!("{name} {found:?}, expected {expected:?}").into());
            }
        }
    }
    Ok(())
}

fn attribute_text(attribute: &AttributeSpec) -> String {
    let kind = match attribute.default {
        AttributeDefault::RequiredInt | AttributeDefault::Int(_) => "integer",
        AttributeDefault::Float(_) => "number",
        AttributeDefault::Text(_) => "word",
    };
    format!("{}:{kind}", attribute.name)
}

/// The folder of the programs, built once.
fn built(compiler: &Path, headers: &Path) -> Result<&'static PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| build(compiler, headers)).as_ref().map_err(Clone::clone)
}

/// Compiles and links the tests, the library and the stand-in for TensorRT; gives their folder.
fn build(compiler: &Path, headers: &Path) -> Result<PathBuf, String> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let [kernels, tests, tensorrt] = ["kernels", "tests", "tensorrt"].map(|folder| plugins.join(folder));
    let own = vec![tests.join("emulator"), tests.clone(), kernels.clone(), tensorrt.clone()];
    // TensorRT's own headers use what TensorRT deprecates.
    let options = [
        "-std=c++17",
        "-O2",
        "-UNDEBUG",
        "-fPIC",
        "-Wall",
        "-Wextra",
        "-Wno-unknown-pragmas",
        "-Wno-deprecated-declarations",
    ];
    let mut arguments: Vec<OsString> = options.map(OsString::from).into();
    for folder in &own {
        arguments.extend(["-I".into(), folder.clone().into_os_string()]);
    }
    arguments.extend(["-isystem".into(), headers.as_os_str().to_owned(), "-x".into(), "c++".into()]);
    let compiler = Compiler { program: compiler.to_owned(), arguments, headers: own };

    let mut sources = objects::files(&kernels, &["cu"])?;
    sources.extend(objects::files(&tests.join("emulator/emulator"), &["cpp"])?);
    let kernel_count = sources.len();
    sources.extend(objects::files(&tests.join("support"), &["cpp"])?);
    let support_count = sources.len();
    sources.extend(objects::files(&tensorrt, &["cpp"])?);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tensorrt-plugins");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let compiled = compiler.objects(&sources, &folder.join("objects"), jobs)?;

    let is = |source: &Path, stem: &str| source.file_stem() == Some(OsStr::new(stem));
    let of = |stem: &str| sources.iter().position(|source| is(source, stem)).and_then(|at| compiled.get(at));
    let (shared, support) = compiled.split_at(support_count).0.split_at(kernel_count);
    let operators: Vec<&PathBuf> = sources
        .iter()
        .zip(&compiled)
        .skip(support_count)
        .filter(|(source, _)| source.parent() == Some(tensorrt.as_path()) && !is(source, "library"))
        .map(|(_, object)| object)
        .collect();

    let programs = folder.join("programs");
    let stand_in = programs.join("stand_in");
    fs::create_dir_all(&stand_in)
        .map_err(|error| format!("cannot create {}: {error}", stand_in.display()))?;
    let major = major_version(headers)?;
    let link =
        |output: PathBuf, options: &[String], first: &str, with: &[&[PathBuf]], operators: &[&PathBuf]| {
            let mut link = Command::new(&compiler.program);
            link.args(options)
                .args(of(first))
                .args(operators)
                .args(with.concat())
                .arg("-o")
                .arg(output)
                .arg("-ldl");
            let output = link.output().map_err(|error| format!("cannot start {link:?}: {error}"))?;
            let failed = || format!("{link:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
            if output.status.success() { Ok(()) } else { Err(failed()) }
        };
    for (name, _) in PROGRAMS {
        link(programs.join(name), &[], name, &[shared, support], &operators)?;
    }
    let library = [
        "-shared".to_owned(),
        "-Wl,-z,nodelete".to_owned(),
        format!("-Wl,--version-script={}", tensorrt.join("exports.map").display()),
    ];
    link(programs.join("libtmoe_trt_plugins.so"), &library, "library", &[shared], &operators)?;
    let name = format!("libnvinfer.so.{major}");
    let options = ["-shared".to_owned(), format!("-Wl,-soname,{name}")];
    link(stand_in.join(&name), &options, "stand_in_nvinfer", &[], &[])?;
    Ok(programs)
}

/// Of `NvInferVersion.h`, where TensorRT's own name stands for a number or for another name of one.
fn major_version(headers: &Path) -> Result<String, String> {
    let path = headers.join("NvInferVersion.h");
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("#define") && words.next() == Some(name)).then(|| words.next()).flatten()
        })
    };
    let major = value("NV_TENSORRT_MAJOR").map(|word| value(word).unwrap_or(word));
    major.map(str::to_owned).ok_or_else(|| format!("{} names no NV_TENSORRT_MAJOR", path.display()))
}
