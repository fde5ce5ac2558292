//! What is said where the provider `cuda` cannot be used: one thing after the other is missing, on stand-ins for ONNX Runtime
//! and NVIDIA's driver that are made of C source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::tempdir;

use crate::outcome::Outcome;
use crate::shared::{Shared, small_table};
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    a_library_without_cuda_is_told_with_what_to_install,
    a_library_without_its_cuda_part_is_told_with_the_file,
    a_driver_that_cannot_be_loaded_is_told,
    a_driver_without_a_device_is_told,
    a_driver_that_is_too_old_is_told_with_both_versions,
    a_missing_library_of_cuda_is_told_by_name,
];

/// Tests that also need a real ONNX Runtime, without CUDA.
pub(crate) const WITH_RUNTIME: &[(&str, crate::Test)] =
    crate::tests![auto_says_that_a_gpu_lies_idle, no_gpu_is_nothing_to_be_told];

/// ONNX Runtime as far as it is asked here: its version, and the providers that it was built with.
const RUNTIME: &str = r#"
/* The place of GetAvailableProviders in ONNX Runtime's table of functions, which only grows at its end. */
enum { GET_AVAILABLE_PROVIDERS = 125 };
static const char *names[] = { PROVIDERS };
static void *get_providers(const char ***out, int *count) {
    *out = names;
    *count = sizeof names / sizeof *names;
    return 0;
}
static void *release_providers(const char **list, int count) { (void)list; (void)count; return 0; }
static void *table[400];
static const char *version(void) { return "1.99.0"; }
static const void *api(unsigned wanted) {
    (void)wanted;
    table[GET_AVAILABLE_PROVIDERS] = (void *)get_providers;
    table[GET_AVAILABLE_PROVIDERS + 1] = (void *)release_providers;
    return table;
}
static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
const void *OrtGetApiBase(void) { return &base; }
"#;

/// Compiles a library; `None` where there is no C compiler.
pub(crate) fn compile(library: &Path, source: &str, defines: &[&str]) -> Option<()> {
    let code = library.with_extension("c");
    fs::write(&code, source).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-w", "-o"]).arg(library).args(defines).arg(&code);
    compiler.status().is_ok_and(|status| status.success()).then_some(())
}

/// A folder with ONNX Runtime in it, built with those providers.
pub(crate) fn runtime(parent: &Path, providers: &str) -> Option<PathBuf> {
    let folder = parent.join("onnxruntime/capi");
    fs::create_dir_all(&folder).unwrap();
    compile(&folder.join("libonnxruntime.so"), RUNTIME, &[&format!("-DPROVIDERS={providers}")])?;
    Some(folder)
}

/// [`runtime`] with CUDA, whose part for CUDA needs these libraries.
fn runtime_with_cuda(parent: &Path, needs: &str) -> Option<PathBuf> {
    let folder = runtime(parent, "\"CUDAExecutionProvider\",\"CPUExecutionProvider\"")?;
    fs::write(folder.join("libonnxruntime_providers_cuda.so"), needs).unwrap();
    Some(folder)
}

/// A folder with a driver in it, of that many devices and that version of CUDA.
pub(crate) fn driver(parent: &Path, devices: u32, version: u32) -> Option<PathBuf> {
    let folder = parent.join("driver");
    fs::create_dir_all(&folder).unwrap();
    tmoe_driver::testing::compile(&folder, devices, version, 0)?;
    Some(folder)
}

/// Why `tmoe providers` says that `cuda` is missing.
fn reason(runtime: &Path, driver: Option<&Path>) -> String {
    reason_of("cuda", runtime, driver)
}

/// Why `tmoe providers` says that a provider is missing.
pub(crate) fn reason_of(provider: &str, runtime: &Path, driver: Option<&Path>) -> String {
    let mut providers = command(["providers", "--json"]);
    providers.env("ORT_DYLIB_PATH", runtime);
    if let Some(driver) = driver {
        providers.env("LD_LIBRARY_PATH", driver);
    }
    let report: Value = serde_json::from_str(&Outcome::of(&mut providers).success()).unwrap();
    let row = report.as_array().unwrap().iter().find(|row| row["provider"] == provider);
    row.expect("the provider")["availability"]["reason"].as_str().expect("a reason").to_owned()
}

#[track_caller]
pub(crate) fn assert_says(text: &str, facts: &[&str]) {
    assert!(facts.iter().all(|fact| text.contains(fact)), "expected {facts:?} in: {text}");
}

fn a_library_without_cuda_is_told_with_what_to_install(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime(folder.path(), "\"CPUExecutionProvider\"") else { return };
    let library = runtime.join("libonnxruntime.so");
    let facts = ["1.99.0 without CUDA", library.to_str().unwrap(), "onnxruntime-gpu", "ORT_DYLIB_PATH"];
    assert_says(&reason(&runtime, None), &facts);
}

fn a_library_without_its_cuda_part_is_told_with_the_file(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime_with_cuda(folder.path(), "") else { return };
    let part = runtime.join("libonnxruntime_providers_cuda.so");
    fs::remove_file(&part).unwrap();
    assert_says(&reason(&runtime, None), &[part.to_str().unwrap(), "is missing", "onnxruntime-gpu"]);
}

fn a_driver_that_cannot_be_loaded_is_told(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime_with_cuda(folder.path(), "") else { return };
    let driver = folder.path().join("driver");
    fs::create_dir(&driver).unwrap();
    fs::write(driver.join("libcuda.so.1"), "not a driver").unwrap();
    let reason = reason(&runtime, Some(&driver));
    assert_says(
        &reason,
        &["NVIDIA's driver is needed", "libcuda.so.1 cannot be loaded", "install the driver"],
    );
}

fn a_driver_without_a_device_is_told(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime_with_cuda(folder.path(), "") else { return };
    let Some(driver) = driver(folder.path(), 0, 13_000) else { return };
    assert_says(&reason(&runtime, Some(&driver)), &["sees no GPU", "CUDA_VISIBLE_DEVICES"]);
}

fn a_driver_that_is_too_old_is_told_with_both_versions(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime_with_cuda(folder.path(), "\0libcudart.so.13\0") else { return };
    let Some(driver) = driver(folder.path(), 1, 12_040) else { return };
    let reason = reason(&runtime, Some(&driver));
    assert_says(&reason, &["driver is for CUDA 12.4", "needs CUDA 13", "newer driver"]);
}

fn a_missing_library_of_cuda_is_told_by_name(_: &Shared) {
    let folder = tempdir().unwrap();
    let Some(runtime) = runtime_with_cuda(folder.path(), "\0libcublas.so.99\0libcudart.so.13\0") else {
        return;
    };
    let Some(driver) = driver(folder.path(), 1, 13_000) else { return };
    let reason = reason(&runtime, Some(&driver));
    assert_says(&reason, &["needs libcublas.so.99", "onnxruntime-gpu[cuda,cudnn]", "LD_LIBRARY_PATH"]);
}

/// What a forecast that is left to `auto` says on standard error, on a machine with that many GPUs.
fn note(shared: &Shared, devices: u32) -> Option<String> {
    let folder = tempdir().unwrap();
    let driver = driver(folder.path(), devices, 13_000)?;
    let table = small_table(folder.path());
    let forecast = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "5"];
    let outcome = Outcome::of(command(forecast).env("LD_LIBRARY_PATH", driver));
    let note = outcome.stderr.clone();
    outcome.success();
    Some(note)
}

fn auto_says_that_a_gpu_lies_idle(shared: &Shared) {
    let Some(note) = note(shared, 1) else { return };
    assert!(note.starts_with("note: running on cpu, the slower provider: "), "{note}");
    assert_says(&note, &["without CUDA", "onnxruntime-gpu"]);
}

fn no_gpu_is_nothing_to_be_told(shared: &Shared) {
    let Some(note) = note(shared, 0) else { return };
    assert_eq!(note, "");
}
