//! `tmoe-export inspect`: what it shows, and packages that it refuses.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::checkpoints::{golden, package};
use crate::outcome::without_a_reader;
use crate::{arguments, command, run};

#[test]
fn the_model_the_files_and_the_graphs_are_shown() {
    let folder = tempdir().unwrap();
    let package = folder.path().join("package");
    run(arguments!["onnx", golden("moe-gqa"), "--output", package, "--precision", "fp16"]).success();
    let printed = run(arguments!["inspect", package]).success();
    for expected in [
        "6 heads, hidden 48, 5 experts, top-3",
        "[1, 4, 16]",
        "fp16",
        "weights.bin",
        "selftest.safetensors",
        "sha256",
        "graph standard",
        "graph dense",
        "ai.onnx",
        "MatMul",
    ] {
        assert!(printed.contains(expected), "{expected} is missing in:\n{printed}");
    }
}

#[test]
fn json_holds_the_manifest_and_counts_every_node() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let printed = run(arguments!["inspect", package, "--json"]).success();
    let report: Value = serde_json::from_str(&printed).unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(package.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(report["manifest"], manifest);
    for graph in manifest["graphs"].as_array().unwrap() {
        let counts = report["operators"][graph["op_set"].as_str().unwrap()].as_object().unwrap();
        let nodes: u64 = counts.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(graph["nodes"], nodes);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    for arguments in [vec!["inspect"], vec!["inspect", "--json"]] {
        let outcome = without_a_reader(command(arguments).arg(&package));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    }
}

/// Damages a package and expects that it is refused.
#[track_caller]
fn refused(damage: impl FnOnce(&Path), facts: &[&str]) {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    damage(&package);
    run(arguments!["inspect", package]).failure(facts);
}

fn flip_a_byte(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_changed_byte_is_told_by_its_file_and_both_digests() {
    for file in ["weights.bin", "model.onnx", "model.dense.onnx", "selftest.safetensors"] {
        refused(
            |package| flip_a_byte(&package.join(file)),
            &[file, "was changed", "sha256", "export it again"],
        );
    }
}

#[test]
fn a_changed_byte_is_overlooked_when_hashes_are_skipped_and_only_then() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    flip_a_byte(&package.join("weights.bin"));
    run(arguments!["inspect", package]).failure(&["weights.bin"]);
    run(arguments!["inspect", package, "--skip-hashes"]).success();
}

#[test]
fn a_damaged_graph_is_named_when_hashes_are_skipped() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let graph = package.join("model.onnx");
    let length = fs::metadata(&graph).unwrap().len() as usize;
    fs::write(&graph, vec![0xff; length]).unwrap();
    run(arguments!["inspect", package, "--skip-hashes"]).failure(&["model.onnx"]);
}

#[test]
fn a_missing_file_is_named() {
    for file in ["weights.bin", "model.onnx", "selftest.safetensors"] {
        refused(
            |package| fs::remove_file(package.join(file)).unwrap(),
            &[file, "missing", "export it again"],
        );
    }
}

#[test]
fn a_truncated_file_is_told_by_both_lengths() {
    let truncate = |package: &Path| {
        fs::File::options().write(true).open(package.join("weights.bin")).unwrap().set_len(9).unwrap()
    };
    refused(truncate, &["weights.bin", "has 9 bytes", "manifest says"]);
}

#[test]
fn a_newer_schema_is_told_by_both_versions() {
    let newer = |package: &Path| {
        let path = package.join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\"schema\": 1", "\"schema\": 2")).unwrap();
    };
    refused(newer, &["schema 2", "up to 1", "update tmoe"]);
}

#[test]
fn a_manifest_that_is_none_is_named() {
    for text in ["", "[]", "{}", "{\"schema\": 1}"] {
        refused(|package| fs::write(package.join("manifest.json"), text).unwrap(), &["manifest.json"]);
    }
    let no_text = |package: &Path| fs::write(package.join("manifest.json"), [0xff, 0xfe]).unwrap();
    refused(no_text, &["manifest.json"]);
}

#[test]
fn what_is_no_package_is_told_how_to_make_one() {
    let folder = tempdir().unwrap();
    let missing = folder.path().join("missing");
    run(arguments!["inspect", missing]).failure(&["missing does not exist", "tmoe-export onnx"]);
    run(arguments!["inspect", golden("dense")]).failure(&[
        "is not a package",
        "manifest.json",
        "tmoe-export onnx",
    ]);
    let file = golden("dense").join("config.json");
    run(arguments!["inspect", file]).failure(&["is not a package"]);
}
