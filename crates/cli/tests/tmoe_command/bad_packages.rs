//! Packages that cannot be used, whatever is asked of them.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::outcome::{Outcome, entries};
use crate::shared::{Shared, small_table};
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    a_changed_byte_is_told_by_its_file_and_both_digests,
    a_missing_file_is_named,
    a_truncated_file_is_told_by_both_lengths,
    a_newer_schema_is_told_by_both_versions,
    what_is_no_package_is_told_how_to_make_one,
    a_damaged_graph_is_refused_when_hashes_are_skipped,
];

/// Gives a package to every command that reads one and expects that each refuses it and writes nothing.
#[track_caller]
fn refused_by_every_command(package: &Path, facts: &[&str]) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let inputs = folder.path().join("inputs.safetensors");
    crate::raw_run::write_inputs(&inputs, 1, 3);
    let outputs = folder.path().join("outputs");
    let before = entries(folder.path());
    for outcome in [
        run(arguments!["forecast", package, "--input", table, "--horizon", "5", "--output", outputs]),
        run(arguments!["run", package, "--inputs", inputs, "--outputs", outputs]),
        run(arguments!["verify", package]),
        run(arguments!["bench", package, "--context", "8", "--horizon", "1", "--repeats", "1"]),
    ] {
        outcome.failure(facts);
        assert_eq!(entries(folder.path()), before);
    }
}

/// Damages a copy of a package and expects that every command refuses it.
#[track_caller]
fn refused(shared: &Shared, damage: impl FnOnce(&Path), facts: &[&str]) {
    let folder = tempdir().unwrap();
    let package = shared.copy_of_package("dense", folder.path());
    damage(&package);
    refused_by_every_command(&package, facts);
}

fn a_changed_byte_is_told_by_its_file_and_both_digests(shared: &Shared) {
    for file in ["weights.bin", "model.onnx", "selftest.safetensors"] {
        let flip = |package: &Path| {
            let mut bytes = fs::read(package.join(file)).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 0x10;
            fs::write(package.join(file), bytes).unwrap();
        };
        refused(shared, flip, &[file, "was changed", "sha256", "export it again"]);
    }
}

fn a_missing_file_is_named(shared: &Shared) {
    let remove = |package: &Path| fs::remove_file(package.join("weights.bin")).unwrap();
    refused(shared, remove, &["weights.bin", "missing", "export it again"]);
}

fn a_truncated_file_is_told_by_both_lengths(shared: &Shared) {
    let truncate = |package: &Path| {
        fs::File::options().write(true).open(package.join("weights.bin")).unwrap().set_len(9).unwrap();
    };
    refused(shared, truncate, &["weights.bin", "has 9 bytes", "manifest says"]);
}

fn a_newer_schema_is_told_by_both_versions(shared: &Shared) {
    let newer = |package: &Path| {
        let path = package.join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\"schema\": 1", "\"schema\": 99")).unwrap();
    };
    refused(shared, newer, &["schema 99", "up to 1", "update tmoe"]);
}

fn what_is_no_package_is_told_how_to_make_one(shared: &Shared) {
    let folder = tempdir().unwrap();
    refused_by_every_command(&folder.path().join("missing"), &["missing does not exist", "tmoe-export onnx"]);
    refused_by_every_command(folder.path(), &["is not a package", "manifest.json", "tmoe-export onnx"]);
    refused_by_every_command(shared.golden("dense").folder(), &["is not a package", "tmoe-export onnx"]);
}

fn a_damaged_graph_is_refused_when_hashes_are_skipped(shared: &Shared) {
    let folder = tempdir().unwrap();
    let package = shared.copy_of_package("dense", folder.path());
    let graph = package.join("model.onnx");
    let table = small_table(folder.path());
    let length = fs::metadata(&graph).unwrap().len() as usize;
    fs::write(&graph, vec![0xff; length]).unwrap();
    let arguments = arguments!["forecast", package, "--input", table, "--horizon", "5", "--skip-hashes"];
    Outcome::of(command(arguments).args(["--provider", "tract"]))
        .failure(&["tract cannot load", "model.onnx"]);
}
