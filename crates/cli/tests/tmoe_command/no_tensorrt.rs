//! What is said where the providers `tensorrt` and `engine` cannot be used: one thing after the other is missing, on stand-ins for
//! ONNX Runtime, NVIDIA's driver and TensorRT that are made of C source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{TempDir, tempdir};
use tmoe_package::{
    Engine, EngineManifest, FileEntry, Flavour, OpSet, Package, PluginLibrary, Precision, Profile, Span,
    Tool, files, hash_bytes, hash_file,
};

use crate::no_cuda::{assert_says, compile, driver, reason_of, runtime};
use crate::outcome::Outcome;
use crate::shared::{Shared, small_table};
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    an_onnx_runtime_without_tensorrt_is_told_with_what_to_install,
    an_onnx_runtime_without_its_tensorrt_part_is_told_with_the_file,
    a_driver_without_a_device_is_told,
    a_missing_library_of_tensorrt_is_told_by_name_and_version,
];

/// Tests of the provider `engine`, which is only there with its feature.
pub(crate) const WITH_BINDINGS: &[(&str, crate::Test)] = crate::tests![
    an_engine_needs_a_driver_before_all_else,
    an_engine_needs_tensorrt_of_either_flavour,
    a_package_without_engines_is_told_with_the_command_that_builds_one,
    engines_for_other_gpus_and_versions_are_told_with_their_reasons,
    a_stale_engine_and_a_truncated_one_are_refused_with_the_command_that_builds_it_again,
    a_plugin_library_that_is_missing_or_another_one_is_told,
    what_tensorrt_refuses_is_quoted,
];

const PROVIDERS: &str = "\"TensorrtExecutionProvider\",\"CPUExecutionProvider\"";

/// A folder with ONNX Runtime in it, whose part for TensorRT needs these libraries.
fn runtime_with_tensorrt(parent: &Path, needs: &str) -> Option<PathBuf> {
    let folder = runtime(parent, PROVIDERS)?;
    fs::write(folder.join("libonnxruntime_providers_tensorrt.so"), needs).unwrap();
    Some(folder)
}

fn an_onnx_runtime_without_tensorrt_is_told_with_what_to_install(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime(folder.path(), "\"CPUExecutionProvider\"") else { return };
    let library = runtime.join("libonnxruntime.so");
    let facts = ["1.99.0 without TensorRT", library.to_str().unwrap(), "onnxruntime-gpu", "ORT_DYLIB_PATH"];
    assert_says(&reason_of("tensorrt", &runtime, None), &facts);
}

fn an_onnx_runtime_without_its_tensorrt_part_is_told_with_the_file(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime(folder.path(), PROVIDERS) else { return };
    let part = runtime.join("libonnxruntime_providers_tensorrt.so");
    assert_says(
        &reason_of("tensorrt", &runtime, None),
        &[part.to_str().unwrap(), "is missing", "onnxruntime-gpu"],
    );
}

fn a_driver_without_a_device_is_told(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime_with_tensorrt(folder.path(), "") else { return };
    let Some(driver) = driver(folder.path(), 0, 13_000) else { return };
    assert_says(&reason_of("tensorrt", &runtime, Some(&driver)), &["sees no GPU", "CUDA_VISIBLE_DEVICES"]);
}

fn a_missing_library_of_tensorrt_is_told_by_name_and_version(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime_with_tensorrt(folder.path(), "\0libnvinfer.so.99\0") else { return };
    let Some(driver) = driver(folder.path(), 1, 13_000) else { return };
    let reason = reason_of("tensorrt", &runtime, Some(&driver));
    assert_says(&reason, &["needs libnvinfer.so.99", "tensorrt-cu13==99.*", "TMOE_TENSORRT"]);
}

/// TensorRT as far as it is asked here: a version, and a runtime that it does not give.
const TENSORRT: &str = "
int getInferLibVersion(void) { return 101600; }
void *createInferBuilder_INTERNAL(void *logger, int version) { return 0; }
void *createInferRuntime_INTERNAL(void *logger, int version) { return 0; }
void *createInferRefitter_INTERNAL(void *engine, void *logger, int version) { return 0; }
void *getPluginRegistry(void) { return 0; }
";

/// A machine with one GPU of compute capability 8.6 and TensorRT 10.16.0, and a package.
struct Machine {
    folder: TempDir,
    package: PathBuf,
    driver: PathBuf,
    tensorrt: PathBuf,
}

impl Machine {
    /// `None` where there is no C compiler.
    fn new(shared: &Shared) -> Option<Self> {
        let folder = tempdir().unwrap();
        let package = shared.copy_of_package("dense", folder.path());
        let driver = driver(folder.path(), 1, 13_000)?;
        let tensorrt = folder.path().join("libnvinfer.so.10");
        compile(&tensorrt, TENSORRT, &[])?;
        Some(Self { folder, package, driver, tensorrt })
    }

    fn command(&self, command: &mut Command) -> Outcome {
        let command = command.env("LD_LIBRARY_PATH", &self.driver).env("TMOE_TENSORRT", &self.tensorrt);
        Outcome::of(command.env("TMOE_TENSORRT_RTX", self.folder.path().join("none")))
    }

    /// Forecasts on the provider `engine`, with more options.
    fn forecast(&self, options: &[&str]) -> Outcome {
        let table = small_table(self.folder.path());
        let forecast = arguments!["forecast", self.package, "--input", table, "--horizon", "5"];
        self.command(command(forecast).args(["--provider", "engine"]).args(options))
    }

    /// Adds an engine to the package; `edit` changes its manifest.
    fn engine(&self, architecture: u32, edit: impl FnOnce(&mut EngineManifest)) -> PathBuf {
        const BYTES: &[u8] = b"an engine";
        let span = |min, max| Span { min, opt: max, max };
        let mut manifest = EngineManifest {
            schema: EngineManifest::SCHEMA,
            tool: Tool { name: "test".to_owned(), version: "0".to_owned() },
            package: hash_file(&self.package.join(files::MANIFEST)).unwrap().0,
            flavour: Flavour::TensorRt,
            version: "10.16.0".to_owned(),
            architecture,
            op_set: OpSet::Dense,
            precision: Precision::Fp32,
            profiles: vec![Profile {
                name: "prefill".to_owned(),
                batch: span(1, 8),
                sequence: span(1, 64),
                past: span(0, 0),
            }],
            plugins: None,
            engine: FileEntry { bytes: BYTES.len() as u64, sha256: hash_bytes(BYTES) },
        };
        edit(&mut manifest);
        let name = Engine::folder_name(manifest.flavour, &manifest.version, architecture);
        let folder = Package::open(&self.package).unwrap().path(files::ENGINES).join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(files::ENGINE), BYTES).unwrap();
        fs::write(folder.join(files::ENGINE_MANIFEST), manifest.to_json()).unwrap();
        folder
    }
}

fn an_engine_needs_a_driver_before_all_else(shared: &Shared) {
    let Some(machine) = Machine::new(shared) else { return };
    fs::write(machine.driver.join("libcuda.so.1"), "not a driver").unwrap();
    machine.forecast(&[]).failure(&["the provider engine cannot be used", "libcuda.so.1 cannot be loaded"]);
    let Some(_) = driver(machine.folder.path(), 0, 13_000) else { return };
    machine.forecast(&[]).failure(&["sees no GPU"]);
    let Some(_) = driver(machine.folder.path(), 1, 13_000) else { return };
    machine.forecast(&["--device", "1"]).failure(&["there is no CUDA device 1; the driver sees 1"]);
}

fn an_engine_needs_tensorrt_of_either_flavour(shared: &Shared) {
    let Some(machine) = Machine::new(shared) else { return };
    let printed = machine.command(&mut command(["providers"])).success();
    assert_says(&printed, &["TensorRT 10.16.0", machine.tensorrt.to_str().unwrap(), "Fake GPU 0"]);
    fs::remove_file(&machine.tensorrt).unwrap();
    let printed = machine.command(&mut command(["providers"])).success();
    assert_says(&printed, &["pip install tensorrt-cu13", "pip install tensorrt-rtx-cu13"]);
}

fn a_package_without_engines_is_told_with_the_command_that_builds_one(shared: &Shared) {
    let Some(machine) = Machine::new(shared) else { return };
    let build =
        format!("tmoe-export engine {} --flavour tensorrt --architecture 86", machine.package.display());
    machine.forecast(&[]).failure(&["has no TensorRT engine", &build]);
    let plugin = format!("{build} --graph plugin --plugins libtmoe_trt_plugins.so");
    machine.forecast(&["--graph", "plugin"]).failure(&[&plugin]);
}

fn engines_for_other_gpus_and_versions_are_told_with_their_reasons(shared: &Shared) {
    let Some(machine) = Machine::new(shared) else { return };
    machine.engine(89, |_| ());
    machine.engine(86, |manifest| manifest.version = "10.17.0".to_owned());
    machine.forecast(&[]).failure(&[
        "Fake GPU 0 (sm86)",
        "tensorrt-10.16.0-sm89: it is for GPUs of sm89",
        "tensorrt-10.17.0-sm86: tensorrt 10.17.0 built it, and here is 10.16.0",
        "--flavour tensorrt --architecture 86",
    ]);
}

fn a_stale_engine_and_a_truncated_one_are_refused_with_the_command_that_builds_it_again(shared: &Shared) {
    let Some(machine) = Machine::new(shared) else { return };
    let command = "--flavour tensorrt --architecture 86 --graph dense --precision fp32 --batch 1,8,8 --context 1,64,64 --force";
    machine.engine(86, |manifest| manifest.package = hash_bytes(b"another package"));
    machine.forecast(&[]).failure(&["is stale", command]);
    let engine = machine.engine(86, |_| ());
    fs::write(engine.join(files::ENGINE), "an").unwrap();
    machine.forecast(&[]).failure(&["has 2 bytes, its manifest says 9", command]);
    fs::write(engine.join(files::ENGINE), "an angine").unwrap();
    machine.forecast(&[]).failure(&["was changed", command]);
}

fn a_plugin_library_that_is_missing_or_another_one_is_told(shared: &Shared) {
    let Some(machine) = Machine::new(shared) else { return };
    let engine = machine.engine(86, |manifest| {
        manifest.op_set = OpSet::Plugin;
        let (file, sha256) = ("libtmoe_trt_plugins.so".to_owned(), hash_bytes(b"the plugins"));
        manifest.plugins = Some(PluginLibrary { file, sha256 });
    });
    let missing = ["needs the plugin library libtmoe_trt_plugins.so", "--plugins"];
    machine.forecast(&[]).failure(&missing);
    // A package is data: a library in it is not loaded.
    fs::write(engine.join("libtmoe_trt_plugins.so"), "the plugins").unwrap();
    machine.forecast(&[]).failure(&missing);
    let command = "--graph plugin --precision fp32 --plugins libtmoe_trt_plugins.so";
    let other = "is another plugin library than";
    let named = machine.folder.path().join("plugins.so");
    machine.forecast(&["--plugins", named.to_str().unwrap()]).failure(&["plugins.so", "cannot read"]);
    fs::write(&named, "older plugins").unwrap();
    machine.forecast(&["--plugins", named.to_str().unwrap()]).failure(&["plugins.so", other, command]);
}

fn what_tensorrt_refuses_is_quoted(shared: &Shared) {
    let Some(machine) = Machine::new(shared) else { return };
    let engine = machine.engine(86, |_| ());
    let path = engine.join(files::ENGINE);
    let refused = "TensorRT refused to make a runtime: createInferRuntime returned nothing";
    machine.forecast(&[]).failure(&[path.to_str().unwrap(), refused, "--force"]);
}
