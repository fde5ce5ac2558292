//! Ctrl-C, and a request to terminate: the command stops and nothing half-written remains.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::checkpoints::{golden, moderate, moderate_config};
use crate::outcome::{Outcome, entries, interrupted};
use crate::{arguments, command, run};

/// Interrupts a command while it writes into `folder`, where something appears when it begins.
fn while_it_writes(
    mut make: impl FnMut() -> Command,
    signal: &str,
    folder: &Path,
    clean: impl Fn(),
) -> Outcome {
    for _ in 0..20 {
        let before = entries(folder).len();
        let outcome = interrupted(&mut make(), signal, || entries(folder).len() > before);
        if outcome.code != Some(0) {
            return outcome;
        }
        // It was done before the signal came.
        clean();
    }
    panic!("the command always ended before its signal");
}

#[test]
fn an_interrupted_export_leaves_nothing() {
    let parent = tempdir().unwrap();
    let checkpoint = moderate(parent.path());
    let folder = parent.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let package = folder.join("package");
    for signal in ["INT", "TERM"] {
        let export = || command(arguments!["onnx", checkpoint, "--output", package]);
        let clean = || fs::remove_dir_all(&package).unwrap();
        while_it_writes(export, signal, &folder, clean)
            .failure(&["cancelled", "the package was not written"]);
        assert_eq!(entries(&folder), [""; 0]);
    }
}

#[test]
fn an_interrupted_export_keeps_the_package_it_would_have_replaced() {
    let parent = tempdir().unwrap();
    let checkpoint = moderate(parent.path());
    let folder = parent.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let package = folder.join("package");
    let old = || run(arguments!["onnx", golden("dense"), "--output", package, "--force"]).success();
    old();
    let export = || command(arguments!["onnx", checkpoint, "--output", package, "--force"]);
    while_it_writes(export, "INT", &folder, || drop(old())).failure(&["cancelled"]);
    assert_eq!(entries(&folder), ["package"]);
    let manifest = fs::read_to_string(package.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"use_dense\": true"), "{manifest}");
    run(arguments!["inspect", package]).success();
}

#[test]
fn an_interrupted_init_leaves_nothing() {
    let parent = tempdir().unwrap();
    let config = moderate_config(parent.path());
    let folder = parent.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let checkpoint = folder.join("checkpoint");
    let init = || command(arguments!["init", "--config", config, "--output", checkpoint]);
    let clean = || fs::remove_dir_all(&checkpoint).unwrap();
    while_it_writes(init, "INT", &folder, clean).failure(&["cancelled", "checkpoint was not written"]);
    assert_eq!(entries(&folder), [""; 0]);
}
