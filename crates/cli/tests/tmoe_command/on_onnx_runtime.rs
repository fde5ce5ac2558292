//! The commands on ONNX Runtime, where there is one.

use serde_json::Value;
use tempfile::tempdir;
use tmoe_package::Precision;
use tmoe_runner::{ElementType, Provider, Tensor};
use tmoe_tests::packages::{Variant, export_package};

use crate::outcome::Outcome;
use crate::shared::{Printed, Shared, largest_difference, operations};
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    it_forecasts_what_tract_forecasts,
    it_is_what_auto_chooses,
    verify_covers_it,
    bench_and_run_work_on_it,
    bench_and_run_work_on_a_cache_of_bfloat16,
];

fn forecast(shared: &Shared, more: &[&str]) -> Outcome {
    let arguments =
        arguments!["forecast", shared.package("demo"), "--input", operations(), "--horizon", "96"];
    Outcome::of(command(arguments).args(["--context", "256"]).args(more))
}

fn it_forecasts_what_tract_forecasts(shared: &Shared) {
    let tract = Printed::read(&forecast(shared, &["--provider", "tract"]).success());
    for more in [&["--provider", "cpu"][..], &["--provider", "cpu", "--graph", "dense", "--threads", "1"]] {
        let cpu = Printed::read(&forecast(shared, more).success());
        assert_eq!((&cpu.names, &cpu.time), (&tract.names, &tract.time));
        for (cpu, tract) in cpu.columns.iter().zip(&tract.columns) {
            let size = tract.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
            assert!(largest_difference(cpu, tract) <= 1e-4 * size, "{cpu:?} {tract:?}");
        }
    }
}

fn it_is_what_auto_chooses(shared: &Shared) {
    if Provider::Cuda.availability().is_ready() {
        return;
    }
    let (auto, cpu) = (forecast(shared, &[]), forecast(shared, &["--provider", "cpu"]));
    assert_eq!(auto.stderr, "");
    assert_eq!(auto.success(), cpu.success());
    let report: Value = serde_json::from_str(&run(["providers", "--json"]).success()).unwrap();
    assert_eq!(report[1]["availability"]["status"], "ready");
}

fn verify_covers_it(shared: &Shared) {
    let printed = run(arguments!["verify", shared.package("demo"), "--json"]).success();
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["passed"], true);
    let skipped = report["skipped"].as_array().unwrap().iter().map(|row| row["provider"].as_str().unwrap());
    assert!(skipped.clone().all(|provider| !["cpu", "tract"].contains(&provider)), "{report}");
    for provider in ["cpu", "tract"] {
        assert!(
            report["rows"].as_array().unwrap().iter().any(|row| row["provider"] == provider),
            "{provider}"
        );
    }
}

fn bench_and_run_work_on_it(shared: &Shared) {
    let bench = arguments!["bench", shared.package("moe"), "--context", "16", "--horizon", "8", "--json"];
    let printed = Outcome::of(command(bench).args(["--provider", "cpu", "--repeats", "1"])).success();
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["provider"], "cpu");
    assert!(report["prefill"]["roofline_ratio"].as_f64().unwrap() > 0.0);

    let folder = tempdir().unwrap();
    let [inputs, outputs] = ["in.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
    crate::raw_run::write_inputs(&inputs, 2, 7);
    let printed = run(arguments![
        "run",
        shared.package("moe"),
        "--inputs",
        inputs,
        "--outputs",
        outputs,
        "--provider",
        "cpu"
    ]);
    assert!(printed.success().contains("predictions.h64"));
}

fn bench_and_run_work_on_a_cache_of_bfloat16(shared: &Shared) {
    // Without losses, whose inputs have no defaults.
    let folder = tempdir().unwrap();
    let package = folder.path().join("package");
    let mut options = Variant::Last.options();
    options.precision = Precision::Bf16;
    export_package(shared.golden("moe").checkpoint(), &package, options).unwrap();
    let bench = arguments!["bench", package, "--context", "16", "--horizon", "8", "--json"];
    let printed = Outcome::of(command(bench).args(["--provider", "cpu", "--repeats", "1"])).success();
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["graph"], "plugin");

    let [inputs, outputs] = ["in.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
    crate::raw_run::write_inputs(&inputs, 2, 7);
    run(arguments!["run", package, "--inputs", inputs, "--outputs", outputs, "--provider", "cpu"]).success();
    let found = Tensor::read_all(&outputs).unwrap();
    assert_eq!(found["present.0.key"].element_type(), ElementType::BF16);
    assert_eq!(found["predictions.h64"].element_type(), ElementType::F32);
}
