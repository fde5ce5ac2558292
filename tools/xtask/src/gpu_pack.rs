//! One folder with all that checks and measures the kernels on a GPU: it runs where only a driver and Python 3 are.
//!
//! ```text
//! run.py             runs everything; see its head
//! tests, bench       the kernels' tests and benchmarks, the CUDA runtime inside
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
use crate::{cuda_toolkit, setup};

/// What a test or `run.py` exits with where there is no GPU.
const NO_GPU: u8 = 77;

const PRECISIONS: [&str; 3] = ["fp32", "fp16", "bf16"];

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
    let folder = pack(workspace)?;
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

fn pack(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("gpu");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    for name in ["tests", "bench", "packages"] {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }

    let mut library = workspace.cargo();
    library.args(["build", "--release", "--package", "tmoe-ops", "--features", "cuda"]);
    let messages = messages_of(&mut library)?;
    copy(&operator_library(&messages)?, &folder)?;
    let kernels = kernels(&messages)?;

    let toolkit = cuda_toolkit::find(workspace)?;
    println!("      nvcc: {} (from {})", for_people(&toolkit.nvcc), toolkit.origin);
    let tests = workspace.root.join("plugins/tests");
    let programs = GpuPrograms::new(workspace, &toolkit, &kernels)?;
    let is_test = |stem: &str| stem.ends_with("_test");
    programs.build(&sources(&tests, is_test)?, &folder.join("tests"))?;
    programs.build(&sources(&tests, |stem| stem.starts_with("bench_"))?, &folder.join("bench"))?;

    let features: &[&str] = if cli_has_cuda(workspace)? { &["cuda"] } else { &[] };
    let [tmoe_export, tmoe] = build_with(workspace, features)?;
    for program in [&tmoe_export, &tmoe] {
        copy(program, &folder)?;
    }
    for precision in PRECISIONS {
        let mut export = Command::new(&tmoe_export);
        export.arg("onnx").arg(workspace.demo_input().join("checkpoint"));
        export.args(["--precision", precision, "--output"]).arg(folder.join("packages").join(precision));
        process::show_and_run(&mut export)?;
    }
    for script in ["tools/gpu/run.py", "tools/run_plugin.py"] {
        copy(&workspace.root.join(script), &folder)?;
    }
    Ok(folder)
}

/// Programs of plugins/tests for a GPU.
struct GpuPrograms<'a> {
    toolkit: &'a Toolkit,
    compiler: Compiler,
    objects: PathBuf,
    /// What all are linked with: the tests' support, then the kernels.
    archives: [PathBuf; 2],
}

impl<'a> GpuPrograms<'a> {
    fn new(workspace: &Workspace, toolkit: &'a Toolkit, kernels: &Path) -> Result<Self> {
        let (tests, headers) = (workspace.root.join("plugins/tests"), workspace.root.join("plugins/kernels"));
        let mut arguments = toolkit::options(&toolkit::architectures()).map_err(anyhow::Error::msg)?;
        for folder in [&tests, &headers] {
            arguments.extend(["-I".into(), folder.clone().into_os_string()]);
        }
        let compiler =
            Compiler { program: toolkit.nvcc.clone(), arguments, headers: vec![tests.clone(), headers] };
        let objects = workspace.target.join("cuda-objects");
        let support = objects::files(&tests.join("support"), &["cpp"]).map_err(anyhow::Error::msg)?;
        let compiled =
            compiler.objects(&support, &objects, cuda_toolkit::jobs()).map_err(anyhow::Error::msg)?;
        let archive = objects.join("libtmoe_test_support.a");
        let _ = fs::remove_file(&archive);
        process::run(Command::new(&toolkit.nvcc).arg("-lib").args(compiled).arg("-o").arg(&archive))?;
        Ok(Self { toolkit, compiler, objects, archives: [archive, kernels.to_owned()] })
    }

    /// A program per source, named after it.
    fn build(&self, sources: &[PathBuf], folder: &Path) -> Result<()> {
        println!("      {} programs of plugins/tests for {}", sources.len(), for_people(folder));
        let jobs = cuda_toolkit::jobs();
        let compiled = self.compiler.objects(sources, &self.objects, jobs).map_err(anyhow::Error::msg)?;
        for (source, object) in sources.iter().zip(compiled) {
            let program = folder.join(source.file_stem().unwrap_or_default());
            let mut link = Command::new(&self.toolkit.nvcc);
            link.arg(object).args(&self.archives).arg("-L").arg(&self.toolkit.libraries);
            link.arg("-o").arg(program);
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
