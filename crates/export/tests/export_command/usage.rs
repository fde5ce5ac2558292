//! Command lines that cannot be understood, and the help that explains them.

use tempfile::tempdir;

use crate::checkpoints::golden;
use crate::outcome::entries;
use crate::{arguments, run};

#[test]
fn a_precision_that_is_not_offered_is_answered_with_those_that_are() {
    let folder = tempdir().unwrap();
    let package = folder.path().join("package");
    let outcome = run(arguments!["onnx", golden("dense"), "--output", package, "--precision", "int4"]);
    outcome.usage_error(&["int4", "--precision", "fp32, fp16, bf16, int8"]);
    let outcome = run(arguments!["onnx", golden("dense"), "--output", package, "--positions", "first"]);
    outcome.usage_error(&["first", "--positions", "last, all"]);
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[test]
fn what_a_command_needs_and_lacks_is_named() {
    run(["onnx", "checkpoint"]).usage_error(&["--output"]);
    run(["onnx"]).usage_error(&["<CHECKPOINT>"]);
    run(["init", "--preset", "tiny"]).usage_error(&["--output"]);
    run(["init", "--output", "checkpoint"]).usage_error(&["--preset", "--config"]);
    run(["inspect"]).usage_error(&["<PACKAGE>"]);
}

#[test]
fn values_that_cannot_be_read_are_named() {
    let init = ["init", "--output", "checkpoint"];
    let with = |more: &[&'static str]| run(init.iter().chain(more));
    with(&["--preset", "100m"]).usage_error(&["100m", "--preset", "tiny, 50m, 200m, ultra"]);
    with(&["--preset", "tiny", "--config", "c.json"]).usage_error(&[
        "--preset",
        "--config",
        "cannot be used",
    ]);
    with(&["--preset", "tiny", "--seed", "dice"]).usage_error(&["dice", "--seed"]);
    with(&["--preset", "tiny", "--dtype", "f64"]).usage_error(&["f64", "--dtype", "bf16"]);
    with(&["--preset", "tiny", "--shard-bytes", "-1"]).usage_error(&["-1"]);
    run(["onyx"]).usage_error(&["onyx", "onnx"]);
}

#[test]
fn help_and_version_are_results() {
    let help = run(["--help"]).success();
    for command in ["onnx", "init", "inspect"] {
        assert!(help.contains(command), "{help}");
        run([command, "--help"]).success();
    }
    assert_eq!(run(["--version"]).success(), format!("tmoe-export {}\n", env!("CARGO_PKG_VERSION")));
}
