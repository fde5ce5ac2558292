//! Model repositories for Triton, in hosts that have nothing of this project: tritonclient's schema, onnxruntime and a gRPC server in
//! Python, through `tools/check_triton.py`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use libtest_mimic::{Arguments, Trial};
use tmoe_export::{ExportOptions, TritonBackend, TritonOptions, write_repository};
use tmoe_package::{OpSet, Precision, files};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::export_package;
use tmoe_tests::python::{self, PYTHON, can_import, run_tool, trial};

/// The variable that names the operators' library; `cargo xtask test` sets it.
const LIBRARY: &str = "TMOE_OPS_LIBRARY";

/// What `tools/check_triton.py` imports beside onnxruntime.
const MODULES: [&str; 5] = ["grpc", "jsonschema", "kubernetes_validate", "tritonclient.grpc", "yaml"];

/// Every checkpoint, every graph, and every type of cache.
const CASES: [(&str, OpSet, Precision); 12] = [
    ("moe", OpSet::Standard, Precision::Fp32),
    ("moe-gqa", OpSet::Standard, Precision::Fp32),
    ("dense", OpSet::Standard, Precision::Fp32),
    ("demo", OpSet::Standard, Precision::Fp32),
    ("moe-bf16", OpSet::Standard, Precision::Bf16),
    ("gelu-one-head", OpSet::Standard, Precision::Fp32),
    ("moe", OpSet::Dense, Precision::Fp32),
    ("moe", OpSet::Plugin, Precision::Fp32),
    ("moe-gqa", OpSet::Plugin, Precision::Fp32),
    ("moe", OpSet::Plugin, Precision::Fp16),
    ("moe", OpSet::Plugin, Precision::Bf16),
    ("moe", OpSet::Plugin, Precision::Int8),
];

fn main() -> ExitCode {
    let complete = can_import(&MODULES);
    let goldens: Vec<_> = Golden::all().into_iter().map(Arc::new).collect();
    let trials = CASES.into_iter().map(|(name, graph, precision)| {
        let golden = goldens.iter().find(|golden| golden.name() == name);
        let golden = golden.unwrap_or_else(|| panic!("there is no golden {name}"));
        if complete { check(golden, graph, precision) } else { ignored(golden, graph, precision) }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn name(golden: &Golden, graph: OpSet, precision: Precision) -> String {
    format!("{}/{precision}/{graph}: plain onnxruntime runs what the repository says", golden.name())
}

/// In a Python environment of before these tests.
fn ignored(golden: &Golden, graph: OpSet, precision: Precision) -> Trial {
    let reason = format!("{PYTHON} lacks the packages of tools/requirements.txt");
    python::ignored(&name(golden, graph, precision), reason)
}

fn check(golden: &Arc<Golden>, graph: OpSet, precision: Precision) -> Trial {
    let golden = Arc::clone(golden);
    let name = name(&golden, graph, precision);
    if graph == OpSet::Plugin {
        return trial(name, [PYTHON, LIBRARY], move |[python, library]| {
            Repository::write(&golden, graph, precision, Some(Path::new(&library)))?.check(&python)
        });
    }
    trial(name, [PYTHON], move |[python]| Repository::write(&golden, graph, precision, None)?.check(&python))
}

/// A repository that was moved away from where it was written, as one is that is copied to a server, and whose package is gone.
struct Repository {
    _place: tempfile::TempDir,
    folder: PathBuf,
    selftest: PathBuf,
    golden: PathBuf,
    /// The library in it.
    library: Option<PathBuf>,
}

impl Repository {
    fn write(
        golden: &Golden,
        graph: OpSet,
        precision: Precision,
        operators: Option<&Path>,
    ) -> Result<Self, String> {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = |name: &str| place.path().join(name);
        let options = ExportOptions { precision, ..ExportOptions::default() };
        let package = export_package(golden.checkpoint(), &path("package"), options)?;
        let options = TritonOptions {
            backend: TritonBackend::OnnxRuntime { graph },
            name: Some("tmoe".to_owned()),
            operators: operators.map(Path::to_owned),
            threads: 1,
            ..TritonOptions::default()
        };
        let repository = write_repository(&package, &path("written"), &options, &AtomicBool::new(false))
            .map_err(|error| error.to_string())?;
        if repository.model != "tmoe" || repository.graph != graph || !repository.kserve {
            return Err(format!("{repository:?} is not what was asked for"));
        }
        let selftest = path("selftest.safetensors");
        let moved = fs::copy(package.path(files::SELFTEST), &selftest)
            .and_then(|_| fs::rename(path("written"), path("moved")))
            .and_then(|()| fs::remove_dir_all(package.folder()));
        moved.map_err(|error| error.to_string())?;
        let folder = path("moved");
        let library = operators.and_then(Path::file_name).map(|file| folder.join("tmoe/1").join(file));
        let golden = golden.folder().join("golden.safetensors");
        Ok(Self { _place: place, folder, selftest, golden, library })
    }

    fn check(&self, python: &OsStr) -> Result<(), String> {
        let paths = [&self.folder, &self.selftest, &self.golden].into_iter().chain(&self.library);
        run_tool(python, "check_triton.py", paths)
    }
}
