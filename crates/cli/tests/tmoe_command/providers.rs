//! `tmoe providers`, and what happens where ONNX Runtime cannot be used.

use std::fs;

use serde_json::Value;
use tempfile::tempdir;
use tmoe_runner::{Availability, NamedTensors, OpSet, Provider, Tensor};

use crate::outcome::{Outcome, without_a_reader};
use crate::shared::{Shared, small_table};
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    every_provider_is_listed_with_its_state,
    a_library_that_cannot_be_used_is_told_with_its_path,
    without_a_library_auto_runs_on_tract_and_says_so,
    a_provider_that_does_not_exist_is_answered_with_those_that_do,
    cuda_that_is_asked_for_is_used_or_an_error,
    tensorrt_that_is_asked_for_is_used_or_an_error,
    shapes_and_types_of_engines_are_checked_as_they_are_read,
    a_graph_without_its_operators_is_told_with_how_to_build_them,
    devices_and_their_memory_are_whole_numbers,
    a_reader_that_has_seen_enough_is_no_failure,
];

fn every_provider_is_listed_with_its_state(_: &Shared) {
    let printed = run(["providers"]).success();
    assert!(
        ["cuda ", "cpu ", "tract ", "tensorrt ", "engine "].iter().all(|name| printed.contains(name)),
        "{printed}"
    );
    let report: Value = serde_json::from_str(&run(["providers", "--json"]).success()).unwrap();
    let names: Vec<&str> =
        report.as_array().unwrap().iter().map(|row| row["provider"].as_str().unwrap()).collect();
    assert_eq!(names, ["cuda", "cpu", "tract", "tensorrt", "engine"]);
    assert_eq!(report[2]["availability"]["status"], "ready");
}

/// A path where no library is, and one where something else is.
fn wrong_libraries(folder: &std::path::Path) -> [std::path::PathBuf; 2] {
    let text = folder.join("libonnxruntime.so.1");
    fs::write(&text, "not a library").unwrap();
    [folder.join("missing/libonnxruntime.so"), text]
}

fn a_library_that_cannot_be_used_is_told_with_its_path(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    for library in wrong_libraries(folder.path()) {
        let path = library.to_str().unwrap();
        let printed = Outcome::of(command(["providers"]).env("ORT_DYLIB_PATH", &library)).success();
        assert!(printed.contains("missing: ") && printed.contains(path), "{printed}");
        let printed = Outcome::of(command(["providers", "--json"]).env("ORT_DYLIB_PATH", &library)).success();
        let report: Value = serde_json::from_str(&printed).unwrap();
        for provider in [0, 1] {
            assert_eq!(report[provider]["availability"]["status"], "missing");
            assert!(report[provider]["availability"]["reason"].as_str().unwrap().contains(path), "{printed}");
        }
        assert!(
            report[0]["availability"]["reason"].as_str().unwrap().contains("onnxruntime-gpu"),
            "{printed}"
        );

        let package = shared.package("dense");
        let mut forecast = command(arguments!["forecast", package, "--input", table, "--horizon", "5"]);
        Outcome::of(forecast.args(["--provider", "cpu"]).env("ORT_DYLIB_PATH", &library)).failure(&[path]);
        let mut verify = command(arguments!["verify", package, "--providers", "cpu"]);
        Outcome::of(verify.env("ORT_DYLIB_PATH", &library)).failure(&[path]);
    }
}

fn without_a_library_auto_runs_on_tract_and_says_so(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let package = shared.package("dense");
    for library in wrong_libraries(folder.path()) {
        let mut forecast = command(arguments!["forecast", package, "--input", table, "--horizon", "5"]);
        let outcome = Outcome::of(forecast.env("ORT_DYLIB_PATH", &library));
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.starts_with("note: running on tract"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(library.to_str().unwrap()), "{}", outcome.stderr);
        assert_eq!(outcome.success().lines().count(), 6);

        let mut verify = command(arguments!["verify", package]);
        let printed = Outcome::of(verify.env("ORT_DYLIB_PATH", &library)).success();
        assert!(
            printed.contains("cpu was not checked") && printed.contains("cuda was not checked"),
            "{printed}"
        );
    }
}

fn a_provider_that_does_not_exist_is_answered_with_those_that_do(_: &Shared) {
    let forecast = ["forecast", "package", "--input", "t.csv", "--horizon", "5", "--provider", "abacus"];
    run(forecast).usage_error(&["abacus", "auto, cuda, cpu, tract, tensorrt, engine"]);
    run(["verify", "package", "--providers", "tract,abacus"])
        .usage_error(&["abacus", "cuda, cpu, tract, tensorrt, engine"]);
}

/// Where `cuda` is not to be had, nothing runs elsewhere in its stead.
fn cuda_that_is_asked_for_is_used_or_an_error(shared: &Shared) {
    let Availability::Missing { reason } = Provider::Cuda.availability() else { return };
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let package = shared.package("dense");
    let cuda = ["--provider", "cuda", "--graph", "standard"];
    let forecast = arguments!["forecast", package, "--input", table, "--horizon", "5"];
    let outcome = Outcome::of(command(forecast).args(cuda));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    outcome.failure(&["the provider cuda cannot be used", &reason]);
    let bench = arguments!["bench", package, "--context", "8", "--horizon", "1"];
    Outcome::of(command(bench).args(cuda)).failure(&[&reason]);
    run(arguments!["verify", package, "--providers", "tract,cuda"]).failure(&[&reason]);
}

/// The same for the providers on TensorRT.
fn tensorrt_that_is_asked_for_is_used_or_an_error(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let package = shared.package("dense");
    for provider in [Provider::TensorRt, Provider::Engine] {
        let Availability::Missing { reason } = provider.availability() else { continue };
        let cannot = format!("the provider {provider} cannot be used: ");
        let asked = ["--provider", provider.name()];
        let forecast = arguments!["forecast", package, "--input", table, "--horizon", "5"];
        let outcome = Outcome::of(command(forecast).args(asked));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
        outcome.failure(&[&cannot, &reason]);
        run(arguments!["verify", package, "--providers", provider.name()]).failure(&[&cannot, &reason]);
        let printed = run(["providers"]).success();
        assert!(printed.contains(&format!("missing: {reason}")), "{printed}");
        let inputs = folder.path().join("inputs.safetensors");
        let points = ndarray::Array3::<f32>::zeros((1, 4, 1)).into();
        Tensor::write_all(&inputs, &NamedTensors::from([("input_ids".to_owned(), points)])).unwrap();
        let outputs = folder.path().join("outputs.safetensors");
        let raw = arguments!["run", package, "--inputs", inputs, "--outputs", outputs];
        Outcome::of(command(raw).args(asked)).failure(&[&cannot, &reason]);
        assert!(!outputs.exists());
        let graph = ["--graph", "standard"];
        let forecast = arguments!["forecast", package, "--input", table, "--horizon", "5"];
        Outcome::of(command(forecast).args(asked).args(graph))
            .failure(&[&format!("{provider} cannot run the graph `standard`")]);
    }
    let bench = arguments!["bench", package, "--context", "8", "--horizon", "1", "--provider", "engine"];
    Outcome::of(&mut command(bench)).failure(&["trtexec --loadEngine="]);
}

fn shapes_and_types_of_engines_are_checked_as_they_are_read(_: &Shared) {
    let forecast = ["forecast", "package", "--input", "t.csv", "--horizon", "5"];
    for option in [
        ["--engine-batch", "1,2"],
        ["--engine-batch", "0,1,8"],
        ["--engine-context", "1,4096,512"],
        ["--engine-precision", "int8"],
    ] {
        run(forecast.iter().chain(&option)).usage_error(&[option[0]]);
    }
}

/// Nor does another graph run in place of the one that is asked for.
fn a_graph_without_its_operators_is_told_with_how_to_build_them(shared: &Shared) {
    if Provider::Cuda.runs(OpSet::Plugin) {
        return;
    }
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let forecast = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "5"];
    let plugin = ["--provider", "cuda", "--graph", "plugin"];
    Outcome::of(command(forecast).args(plugin))
        .failure(&["cuda cannot run the graph `plugin`", "--features cuda"]);
    let forecast = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "5"];
    let captured = ["--provider", "cuda", "--graph", "dense", "--cuda-graph"];
    Outcome::of(command(forecast).args(captured)).failure(&["CUDA graphs need the graph `plugin`"]);
}

fn devices_and_their_memory_are_whole_numbers(_: &Shared) {
    let forecast = ["forecast", "package", "--input", "t.csv", "--horizon", "5"];
    for option in
        [["--device", "0.5"], ["--device", "x"], ["--device-memory", "0"], ["--device-memory", "1.5"]]
    {
        run(forecast.iter().chain(&option)).usage_error(&[option[0]]);
    }
    let help = run(["forecast", "--help"]).success();
    assert!(
        ["--device ", "--device-memory ", "--cuda-graph"].iter().all(|name| help.contains(name)),
        "{help}"
    );
}

fn a_reader_that_has_seen_enough_is_no_failure(_: &Shared) {
    for arguments in [&["providers"][..], &["providers", "--json"]] {
        let outcome = without_a_reader(&mut command(arguments));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    }
}
