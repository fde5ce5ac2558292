//! `tmoe verify`: whether a package computes what the exporter computed.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;
use tmoe_tests::packages::Variant;

use crate::outcome::without_a_reader;
use crate::shared::Shared;
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    the_demo_package_passes_on_both_graphs,
    packages_with_losses_and_in_half_precision_pass,
    a_package_that_computes_something_else_fails,
    a_self_test_that_cannot_be_read_is_named,
    a_reader_that_has_seen_enough_is_no_failure,
];

fn verify(package: &Path) -> Value {
    let printed = run(arguments!["verify", package, "--providers", "tract", "--json"]).success();
    serde_json::from_str(&printed).unwrap()
}

fn the_demo_package_passes_on_both_graphs(shared: &Shared) {
    let package = shared.package("demo");
    let report = verify(&package);
    assert_eq!(report["passed"], true);
    let rows = report["rows"].as_array().unwrap();
    for graph in ["standard", "dense"] {
        for tensor in ["predictions.h1", "predictions.h64", "present.3.key"] {
            let of_both = |row: &&Value| row["graph"] == graph && row["tensor"] == tensor;
            assert!(rows.iter().any(|row| of_both(&row)), "{graph} {tensor} was not compared");
        }
    }
    for row in rows {
        assert_eq!((&row["provider"], &row["pass"]), (&"tract".into(), &true.into()), "{row}");
        assert!(row["error"].as_f64().unwrap() <= row["tolerance"].as_f64().unwrap(), "{row}");
    }

    let printed = run(arguments!["verify", package, "--providers", "tract"]).success();
    assert!(printed.contains("tract standard") && printed.contains("tract dense"), "{printed}");
    assert!(printed.ends_with(&format!("files intact, {} comparisons passed\n", rows.len())), "{printed}");
    let all = run(arguments!["verify", package, "--providers", "tract", "--all"]).success();
    assert_eq!(all.matches(" ok\n").count(), rows.len(), "{all}");
}

fn packages_with_losses_and_in_half_precision_pass(shared: &Shared) {
    for variant in [Variant::Full, Variant::Half] {
        let report = verify(&shared.variant("moe", variant));
        assert_eq!(report["passed"], true);
        let rows = report["rows"].as_array().unwrap();
        assert!(rows.iter().any(|row| row["tensor"] == "loss"), "the loss was not compared");
    }
}

fn a_package_that_computes_something_else_fails(shared: &Shared) {
    let folder = tempdir().unwrap();
    let package = shared.copy_of_package("dense", folder.path());
    // Other weights under a manifest that agrees with them.
    let (weights, manifest) = (package.join("weights.bin"), package.join("manifest.json"));
    let old = tmoe_package::hash_file(&weights).unwrap().0.to_string();
    let mut bytes = fs::read(&weights).unwrap();
    for value in bytes.as_chunks_mut::<4>().0 {
        *value = (f32::from_le_bytes(*value) * 1.01).to_le_bytes();
    }
    fs::write(&weights, bytes).unwrap();
    let new = tmoe_package::hash_file(&weights).unwrap().0.to_string();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace(&old, &new)).unwrap();

    let outcome = run(arguments!["verify", package, "--providers", "tract"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
    assert!(
        outcome.stdout.contains("FAILED") && outcome.stdout.contains("comparisons failed"),
        "{}",
        outcome.stdout
    );
    let outcome = run(arguments!["verify", package, "--providers", "tract", "--json"]);
    assert_eq!(outcome.code, Some(1));
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["passed"], false);
}

fn a_self_test_that_cannot_be_read_is_named(shared: &Shared) {
    let folder = tempdir().unwrap();
    let package = shared.copy_of_package("dense", folder.path());
    fs::write(package.join("selftest.safetensors"), "").unwrap();
    run(arguments!["verify", package]).failure(&["selftest.safetensors", "has 0 bytes"]);
}

fn a_reader_that_has_seen_enough_is_no_failure(shared: &Shared) {
    for format in [None, Some("--json")] {
        let mut verify = command(arguments!["verify", shared.package("dense"), "--providers", "tract"]);
        let outcome = without_a_reader(verify.args(format));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    }
}
