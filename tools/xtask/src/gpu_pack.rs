//! `cargo xtask gpu-pack`: one folder with all that checks and measures the kernels on a GPU: it runs where only a driver and
//! Python 3 are.
//!
//! ```text
//! run.py             runs everything; see its head
//! table.py, ...      what it uses
//! tests, bench       the kernels' tests and benchmarks, the CUDA runtime inside
//! libtmoe_kernels.so the kernels of all of those
//! libtmoe_ops.so     the operator library with its kernels
//! tmoe, tmoe-export  the programs
//! packages           the demo's checkpoint in each precision that runs on a GPU
//! run_plugin.py      the operator library in plain onnxruntime
//! ```

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::objects::{self, Compiler};
use crate::paths::{Workspace, for_people};
use crate::process::{self, CommandFailed};
use crate::programs::{build_with, messages_of};
use crate::python::Python;
use crate::toolkit::{self, Toolkit};
use crate::{UsageError, cuda_toolkit, gpu_archive, setup};

/// What a test or `run.py` exits with where there is no GPU.
const NO_GPU: u8 = 77;

const PRECISIONS: [&str; 3] = ["fp32", "fp16", "bf16"];

/// What `run.py` needs beside itself, from the repository.
const SCRIPTS: [&str; 5] = [
    "tools/gpu/run.py",
    "tools/gpu/table.py",
    "tools/gpu/launches.py",
    "tools/gpu/compare.py",
    "tools/run_plugin.py",
];

/// Arguments of `gpu-pack`.
#[derive(Debug, PartialEq)]
struct Options {
    /// As the variable [`toolkit::ARCHITECTURES_VARIABLE`] names them.
    architectures: Option<String>,
    /// MiB of a part.
    split: Option<u64>,
}

impl Options {
    fn parse(arguments: &[OsString]) -> Result<Self, UsageError> {
        let mut options = Self { architectures: None, split: None };
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let name = name.display().to_string();
            let mut value = || {
                let value = rest.next().and_then(|value| value.to_str()).filter(|value| !value.is_empty());
                value.ok_or_else(|| UsageError(format!("gpu-pack {name} needs a value")))
            };
            match name.as_str() {
                "--architectures" => options.architectures = Some(value()?.to_owned()),
                "--split" => {
                    let mebibytes = value()?;
                    let parsed = mebibytes.parse().ok().filter(|mebibytes| (1..1 << 20).contains(mebibytes));
                    options.split = Some(parsed.ok_or_else(|| {
                        UsageError(format!(
                            "gpu-pack --split is {mebibytes:?}, expected a whole number of MiB, at least 1"
                        ))
                    })?);
                }
                _ => {
                    return Err(UsageError(format!(
                        "gpu-pack takes --architectures LIST and --split MIB, found {name}"
                    )));
                }
            }
        }
        Ok(options)
    }
}

/// Packs the folder, compresses it, and prints how large everything is.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let options = Options::parse(arguments)?;
    setup::cuda_toolkit(workspace).map_err(anyhow::Error::msg)?;
    let folder = pack(workspace, &options.architectures.unwrap_or_else(toolkit::architectures))?;
    let files = gpu_archive::sizes(&folder)?;
    for (file, bytes) in &files {
        println!("{:9.2} MiB  {}", mebibytes(*bytes), file.strip_prefix(&folder).unwrap_or(file).display());
    }
    let total = files.iter().map(|(_, bytes)| bytes).sum();
    println!("{:9.2} MiB  in all: {}", mebibytes(total), for_people(&folder));
    let archive = gpu_archive::compress(&folder, &Python::find()?)?;
    let bytes = fs::metadata(&archive).with_context(|| format!("cannot read {}", archive.display()))?.len();
    println!("{:9.2} MiB  compressed: {}", mebibytes(bytes), for_people(&archive));
    if let Some(size) = options.split {
        let script = gpu_archive::split(&archive, size << 20, &workspace.target.join("gpu-parts"))?;
        println!("In parts of at most {size} MiB, which `sh {}` joins and unpacks", for_people(&script));
    }
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Everything was packed, but this machine has no GPU to run it on.
#[derive(Debug)]
pub(crate) struct NoGpu {
    folder: PathBuf,
    command: &'static str,
}

impl NoGpu {
    pub(crate) const CODE: u8 = NO_GPU;
}

impl fmt::Display for NoGpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, command } = self;
        write!(
            f,
            "nothing ran, for want of a GPU on this machine: copy {} to one that has an NVIDIA driver and Python 3, and run \
             `python3 run.py {command}` there",
            for_people(folder)
        )
    }
}

impl std::error::Error for NoGpu {}

/// Packs the folder, and runs its script with `command` where a GPU is.
pub(crate) fn pack_and_run(workspace: &Workspace, command: &'static str, extra: &[OsString]) -> Result<()> {
    setup::cuda_toolkit(workspace).map_err(anyhow::Error::msg)?;
    let folder = pack(workspace, &toolkit::architectures())?;
    println!("Packed: {}", for_people(&folder));
    let python = Python::find()?;
    let mut script = Command::new(&python.executable);
    script.arg(folder.join("run.py")).arg(command).args(extra);
    match process::run(&mut script) {
        Err(error) if error.downcast_ref::<CommandFailed>().is_some_and(|failed| failed.code == NO_GPU) => {
            Err(NoGpu { folder, command }.into())
        }
        result => result,
    }
}

fn pack(workspace: &Workspace, architectures: &str) -> Result<PathBuf> {
    let folder = workspace.target.join("gpu");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    for name in ["tests", "bench", "packages"] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }

    let cargo = || {
        let mut cargo = workspace.cargo();
        cargo.env(toolkit::ARCHITECTURES_VARIABLE, architectures);
        cargo
    };
    let mut library = cargo();
    library.args(["build", "--release", "--package", "tmoe-ops", "--features", "cuda"]);
    let messages = messages_of(&mut library)?;
    copy(&operator_library(&messages)?, &folder)?;
    let kernels = kernels(&messages)?;

    let toolkit = cuda_toolkit::find(workspace)?;
    println!("      nvcc: {} (from {}), for {architectures}", for_people(&toolkit.nvcc), toolkit.origin);
    let tests = workspace.root.join("plugins/tests");
    let programs = GpuPrograms::new(workspace, &toolkit, architectures, &kernels, &folder)?;
    let is_test = |stem: &str| stem.ends_with("_test");
    programs.build(&sources(&tests, is_test)?, &folder.join("tests"), true)?;
    programs.build(&sources(&tests, |stem| stem.starts_with("bench_"))?, &folder.join("bench"), false)?;

    let features: &[&str] = if cli_has_cuda(workspace)? { &["cuda"] } else { &[] };
    let [tmoe_export, tmoe] = build_with(cargo(), features)?;
    for program in [&tmoe_export, &tmoe] {
        copy(program, &folder)?;
    }
    for precision in PRECISIONS {
        let mut export = Command::new(&tmoe_export);
        export.arg("onnx").arg(workspace.demo_input().join("checkpoint"));
        export.args(["--precision", precision, "--output"]).arg(folder.join("packages").join(precision));
        process::show_and_run(&mut export)?;
    }
    for script in SCRIPTS {
        copy(&workspace.root.join(script), &folder)?;
    }
    for binary in ["libtmoe_ops.so", "tmoe", "tmoe-export"] {
        strip(&folder.join(binary))?;
    }
    Ok(folder)
}

/// Takes the symbols out of a copied binary, which only a debugger reads; leaves it as it is where there is no `strip`.
fn strip(binary: &Path) -> Result<()> {
    let mut command = Command::new("strip");
    match command.arg("--strip-unneeded").arg(binary).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(anyhow!("`strip {}` failed ({status})", binary.display())),
        Err(error) => {
            println!("      {} keeps its symbols: cannot start strip: {error}", for_people(binary));
            Ok(())
        }
    }
}

/// Programs of plugins/tests for a GPU.
struct GpuPrograms<'a> {
    toolkit: &'a Toolkit,
    compiler: Compiler,
    objects: PathBuf,
    /// The tests' support.
    support: PathBuf,
    /// What offers the kernels' interface to all programs, in the packed folder.
    shared_kernels: PathBuf,
    /// Where tests find what lies behind the interface.
    kernels: PathBuf,
}

impl<'a> GpuPrograms<'a> {
    fn new(
        workspace: &Workspace,
        toolkit: &'a Toolkit,
        architectures: &str,
        kernels: &Path,
        folder: &Path,
    ) -> Result<Self> {
        let (tests, headers) = (workspace.root.join("plugins/tests"), workspace.root.join("plugins/kernels"));
        let mut arguments = toolkit::options(architectures).map_err(anyhow::Error::msg)?;
        for folder in [&tests, &headers] {
            arguments.extend(["-I".into(), folder.clone().into_os_string()]);
        }
        let compiler = Compiler {
            program: toolkit.nvcc.clone(),
            arguments,
            headers: vec![tests.clone(), headers.clone()],
        };
        let objects = workspace.target.join("cuda-objects");
        let support = objects::files(&tests.join("support"), &["cpp"]).map_err(anyhow::Error::msg)?;
        let compiled =
            compiler.objects(&support, &objects, cuda_toolkit::jobs()).map_err(anyhow::Error::msg)?;
        let archive = objects.join("libtmoe_test_support.a");
        let _ = fs::remove_file(&archive);
        process::run(Command::new(&toolkit.nvcc).arg("-lib").args(compiled).arg("-o").arg(&archive))?;
        let shared_kernels = folder.join("libtmoe_kernels.so");
        let mut exports = OsString::from("--version-script=");
        exports.push(headers.join("exports.map"));
        let mut link = Command::new(&toolkit.nvcc);
        // Without a name of its own, programs would look for it at its path here.
        link.args(["-shared", "-Xlinker", "-soname=libtmoe_kernels.so", "-Xlinker", "-s", "-Xlinker"])
            .arg(exports);
        // In one argument, since nvcc puts the linker's options before all files; and again as a file, since it wants one.
        let mut whole = OsString::from("--whole-archive,");
        whole.push(kernels);
        whole.push(",--no-whole-archive");
        link.arg("-Xlinker").arg(whole).arg(kernels);
        link.arg("-L").arg(&toolkit.libraries).arg("-o").arg(&shared_kernels);
        process::run(&mut link)?;
        Ok(Self { toolkit, compiler, objects, support: archive, shared_kernels, kernels: kernels.to_owned() })
    }

    /// A program per source, named after it; `insides`: with what lies behind the kernels' interface.
    fn build(&self, sources: &[PathBuf], folder: &Path, insides: bool) -> Result<()> {
        println!("      {} programs of plugins/tests for {}", sources.len(), for_people(folder));
        let jobs = cuda_toolkit::jobs();
        let compiled = self.compiler.objects(sources, &self.objects, jobs).map_err(anyhow::Error::msg)?;
        for (source, object) in sources.iter().zip(compiled) {
            let program = folder.join(source.file_stem().unwrap_or_default());
            let mut link = Command::new(&self.toolkit.nvcc);
            link.arg(object).args([&self.support, &self.shared_kernels]);
            // The first that has a symbol gives it: of the archive, only what is not in the interface.
            link.args(insides.then_some(&self.kernels));
            link.args(["-Xlinker", "-s", "-Xlinker", "-rpath=$ORIGIN/.."]);
            link.arg("-L").arg(&self.toolkit.libraries).arg("-o").arg(program);
            process::run(&mut link)?;
        }
        Ok(())
    }
}

/// The sources in a folder whose name says what they are.
fn sources(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = objects::files(folder, &["cpp", "cu"]).map_err(anyhow::Error::msg)?;
    found.retain(|path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        path.parent() == Some(folder) && is_wanted(&stem)
    });
    Ok(found)
}

fn copy(file: &Path, folder: &Path) -> Result<()> {
    let target = folder.join(file.file_name().unwrap_or_default());
    fs::copy(file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

/// The operator library among Cargo's messages.
fn operator_library(messages: &[Value]) -> Result<PathBuf> {
    let names = messages
        .iter()
        .filter(|message| message["target"]["name"] == "tmoe_ops")
        .filter_map(|message| message["filenames"].as_array())
        .flatten()
        .filter_map(Value::as_str);
    names
        .map(PathBuf::from)
        .find(|path| path.extension().is_some_and(|extension| extension == "so"))
        .context("Cargo built no operator library")
}

/// The archive of kernels that the build of the operators left.
fn kernels(messages: &[Value]) -> Result<PathBuf> {
    let folders = messages
        .iter()
        .filter(|message| message["reason"] == "build-script-executed")
        .filter_map(|message| message["out_dir"].as_str());
    folders
        .map(|folder| Path::new(folder).join("libtmoe_kernels.a"))
        .find(|archive| archive.is_file())
        .ok_or_else(|| anyhow!("the build of tmoe-ops left no libtmoe_kernels.a"))
}

/// Whether the program `tmoe` can be built with kernels inside.
fn cli_has_cuda(workspace: &Workspace) -> Result<bool> {
    let mut command = workspace.cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&process::output(&mut command)?)
        .context("`cargo metadata` did not print JSON")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    Ok(packages.filter(|package| package["name"] == "tmoe-cli").any(|cli| !cli["features"]["cuda"].is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_taken_from_where_cargo_says_it_put_it() {
        let messages = [
            serde_json::json!({"reason": "compiler-artifact", "target": {"name": "half"}, "filenames": ["/t/libhalf.so"]}),
            serde_json::json!({"reason": "compiler-artifact", "target": {"name": "tmoe_ops"},
                "filenames": ["/t/libtmoe_ops.rlib", "/t/libtmoe_ops.so"]}),
        ];
        assert_eq!(operator_library(&messages).unwrap(), Path::new("/t/libtmoe_ops.so"));
        assert!(operator_library(&messages[..1]).is_err());
        assert!(kernels(&messages).unwrap_err().to_string().contains("libtmoe_kernels.a"));
    }

    #[test]
    fn the_scripts_are_all_that_run_py_imports() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let packed =
            |name: &str| SCRIPTS.iter().any(|script| Path::new(script).file_name() == Some(name.as_ref()));
        for script in SCRIPTS {
            let source = fs::read_to_string(root.join(script)).unwrap();
            for module in source.lines().filter_map(|line| line.strip_prefix("import ")) {
                let file = format!("{module}.py");
                assert!(
                    packed(&file) || !root.join("tools/gpu").join(&file).exists(),
                    "{script} needs {file}"
                );
            }
        }
    }

    #[test]
    fn arguments_of_the_packing_are_checked() {
        let parse = |arguments: &[&str]| {
            Options::parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>()).map_err(|error| error.0)
        };
        assert_eq!(parse(&[]), Ok(Options { architectures: None, split: None }));
        let options = Options { architectures: Some("90a".into()), split: Some(20) };
        assert_eq!(parse(&["--split", "20", "--architectures", "90a"]), Ok(options));
        for (arguments, expected) in [
            (&["--split", "0"][..], "--split is \"0\", expected a whole number of MiB"),
            (&["--split", "20M"], "--split is \"20M\""),
            (&["--architectures"], "--architectures needs a value"),
            (&["90a"], "takes --architectures LIST and --split MIB, found 90a"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn tests_and_benchmarks_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("emulator")).unwrap();
        for name in ["a_test.cpp", "b_test.cu", "bench_a.cpp", "reference.h", "emulator/c_test.cpp"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names = |is_wanted: fn(&str) -> bool| -> Vec<String> {
            let found = sources(folder.path(), is_wanted).unwrap();
            found.iter().map(|path| path.file_name().unwrap().display().to_string()).collect()
        };
        assert_eq!(names(|stem| stem.ends_with("_test")), ["a_test.cpp", "b_test.cu"]);
        assert_eq!(names(|stem| stem.starts_with("bench_")), ["bench_a.cpp"]);
    }
}
