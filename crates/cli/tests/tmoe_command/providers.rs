//! `tmoe providers`, and what happens where ONNX Runtime cannot be used.

use std::fs;

use serde_json::Value;
use tempfile::tempdir;

use crate::outcome::{Outcome, without_a_reader};
use crate::shared::{Shared, small_table};
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    every_provider_is_listed_with_its_state,
    a_library_that_cannot_be_used_is_told_with_its_path,
    without_a_library_auto_runs_on_tract_and_says_so,
    a_provider_that_does_not_exist_is_answered_with_those_that_do,
    a_reader_that_has_seen_enough_is_no_failure,
];

fn every_provider_is_listed_with_its_state(_: &Shared) {
    let printed = run(["providers"]).success();
    assert!(printed.contains("cpu ") && printed.contains("tract "), "{printed}");
    let report: Value = serde_json::from_str(&run(["providers", "--json"]).success()).unwrap();
    let names: Vec<&str> =
        report.as_array().unwrap().iter().map(|row| row["provider"].as_str().unwrap()).collect();
    assert_eq!(names, ["cpu", "tract"]);
    assert_eq!(report[1]["availability"]["status"], "ready");
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
        assert_eq!(report[0]["availability"]["status"], "missing");
        assert!(report[0]["availability"]["reason"].as_str().unwrap().contains(path), "{printed}");

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
        assert!(printed.contains("cpu was not checked"), "{printed}");
    }
}

fn a_provider_that_does_not_exist_is_answered_with_those_that_do(_: &Shared) {
    let forecast = ["forecast", "package", "--input", "t.csv", "--horizon", "5", "--provider", "abacus"];
    run(forecast).usage_error(&["abacus", "auto, cpu, tract"]);
    run(["verify", "package", "--providers", "tract,abacus"]).usage_error(&["abacus", "cpu, tract"]);
}

fn a_reader_that_has_seen_enough_is_no_failure(_: &Shared) {
    for arguments in [&["providers"][..], &["providers", "--json"]] {
        let outcome = without_a_reader(&mut command(arguments));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    }
}
