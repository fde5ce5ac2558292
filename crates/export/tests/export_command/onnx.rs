//! `tmoe-export onnx`: what a package looks like from outside.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::checkpoints::{GOLDENS, golden, parameters};
use crate::outcome::entries;
use crate::{arguments, run};

const FILES: [&str; 6] = [
    "manifest.json",
    "model.dense.onnx",
    "model.onnx",
    "model.plugin.onnx",
    "selftest.safetensors",
    "weights.bin",
];

fn manifest(package: &Path) -> Value {
    serde_json::from_slice(&fs::read(package.join("manifest.json")).unwrap()).unwrap()
}

fn length(package: &Path, file: &str) -> u64 {
    fs::metadata(package.join(file)).unwrap().len()
}

#[test]
fn every_golden_becomes_a_whole_package_with_nothing_beside_it() {
    for name in GOLDENS {
        let folder = tempdir().unwrap();
        let package = folder.path().join("package");
        let printed = run(arguments!["onnx", golden(name), "--output", package]).success();
        assert_eq!(printed.lines().count(), 1, "{printed}");
        assert!(printed.contains("million parameters, fp32"), "{printed}");
        assert_eq!(entries(folder.path()), ["package"]);
        assert_eq!(entries(&package), FILES);
        let manifest = manifest(&package);
        assert_eq!(manifest["schema"], 1);
        assert_eq!(manifest["precision"], "fp32");
        assert_eq!(manifest["positions"], "last");
        assert_eq!(manifest["with_loss"], false);
        for file in FILES.iter().skip(1) {
            assert_eq!(manifest["files"][file]["bytes"], length(&package, file), "{name}: {file}");
        }
    }
}

#[test]
fn every_golden_is_exported_with_losses_and_predictions_everywhere() {
    for name in GOLDENS {
        let folder = tempdir().unwrap();
        let package = folder.path().join("package");
        run(arguments!["onnx", golden(name), "-o", package, "--with-loss", "--positions", "all"]).success();
        let manifest = manifest(&package);
        assert_eq!(manifest["positions"], "all");
        assert_eq!(manifest["with_loss"], true);
        run(arguments!["inspect", package]).success();
    }
}

#[test]
fn half_precision_nearly_halves_the_weights() {
    for name in ["moe", "moe-bf16", "dense"] {
        let folder = tempdir().unwrap();
        let [single, half] = ["fp32", "fp16"].map(|precision| {
            let package = folder.path().join(precision);
            run(arguments!["onnx", golden(name), "--output", package, "--precision", precision]).success();
            assert_eq!(manifest(&package)["precision"], precision);
            length(&package, "weights.bin")
        });
        assert!(half < single * 6 / 10, "{name}: {half} of {single} bytes");
        run(arguments!["inspect", folder.path().join("fp16")]).success();
    }
}

#[test]
fn json_reports_the_parameters_of_the_source_and_the_bytes_of_the_package() {
    for name in GOLDENS {
        let folder = tempdir().unwrap();
        let package = folder.path().join("package");
        let printed = run(arguments!["onnx", golden(name), "--output", package, "--json"]).success();
        let report: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(report["package"], package.to_str().unwrap());
        assert_eq!(report["precision"], "fp32");
        assert_eq!(report["parameters"], parameters(&golden(name)), "{name}");
        let bytes: u64 = FILES.iter().skip(1).map(|file| length(&package, file)).sum();
        assert_eq!(report["bytes"], bytes, "{name}");
        assert!(report["seconds"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn two_exports_of_one_checkpoint_are_equal_byte_by_byte() {
    let folder = tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| {
        let package = folder.path().join(name);
        run(arguments!["onnx", golden("moe"), "--output", package]).success();
        package
    });
    for file in FILES {
        assert!(
            fs::read(first.join(file)).unwrap() == fs::read(second.join(file)).unwrap(),
            "{file} differs"
        );
    }
}

#[test]
fn a_relative_output_is_written_into_the_current_folder() {
    let folder = tempdir().unwrap();
    let mut command =
        crate::command(arguments!["onnx", fs::canonicalize(golden("dense")).unwrap(), "-o", "package"]);
    crate::outcome::Outcome::of(command.current_dir(folder.path())).success();
    assert_eq!(entries(folder.path()), ["package"]);
}
