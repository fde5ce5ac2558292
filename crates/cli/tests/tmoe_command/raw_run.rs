//! `tmoe run`: a graph on given tensors.

use std::fs;
use std::path::Path;

use ndarray::{Array2, Array3, Axis, s};
use serde_json::{Value, json};
use tempfile::tempdir;
use tmoe_runner::{NamedTensors, Tensor};
use tmoe_tests::packages::Variant;

use crate::outcome::{Outcome, entries};
use crate::shared::Shared;
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    the_outputs_are_those_of_the_original_model,
    a_pass_on_the_cache_of_another_gives_what_one_pass_gives,
    json_lists_every_output_with_its_shape,
    inputs_that_do_not_fit_the_graph_are_named,
    a_file_that_holds_no_tensors_is_named,
];

/// Writes `input_ids` of so many series and points.
pub(crate) fn write_inputs(path: &Path, batch: usize, points: usize) {
    let values = Array3::from_shape_fn((batch, points, 1), |(row, point, _)| (row + point) as f32 * 0.1);
    write(path, [("input_ids", values.into())]);
}

fn write<const N: usize>(path: &Path, tensors: [(&str, Tensor); N]) {
    let tensors: NamedTensors = tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
    Tensor::write_all(path, &tensors).unwrap();
}

/// Largest difference, relative to the largest value.
fn error(found: &Tensor, expected: &ndarray::ArrayD<f32>) -> f64 {
    let found = found.as_f32().expect("float32");
    assert_eq!(found.shape(), expected.shape());
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let pairs = found.iter().zip(expected);
    f64::from(pairs.fold(0.0_f32, |worst, (found, expected)| worst.max((found - expected).abs())) / largest)
}

fn the_outputs_are_those_of_the_original_model(shared: &Shared) {
    for name in ["moe", "moe-gqa", "dense"] {
        let golden = shared.golden(name);
        let folder = tempdir().unwrap();
        let [inputs, outputs] = ["in.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
        write(&inputs, [("input_ids", golden.matrix("series").insert_axis(Axis(2)).into())]);
        let package = shared.variant(name, Variant::Full);
        for graph in ["standard", "dense"] {
            let arguments =
                arguments!["run", package, "--inputs", inputs, "--outputs", outputs, "--graph", graph];
            // The losses need inputs of their own, which have no defaults.
            let outcome = Outcome::of(command(arguments).args(["--provider", "tract"]));
            outcome.failure(&["labels"]);
        }
        let package = shared.package(name);
        for graph in ["standard", "dense"] {
            let arguments =
                arguments!["run", package, "--inputs", inputs, "--outputs", outputs, "--graph", graph];
            let printed = Outcome::of(command(arguments).args(["--provider", "tract", "--force"])).success();
            let found = Tensor::read_all(&outputs).unwrap();
            assert_eq!(printed.lines().count(), found.len());
            for (tensor, found) in &found {
                let expected = golden.float(tensor);
                let expected = match tensor.starts_with("predictions") {
                    true => expected.slice(s![.., -1, ..]).to_owned().into_dyn(),
                    false => expected,
                };
                let error = error(found, &expected);
                assert!(error <= 1e-5, "{name}/{graph}: {tensor} is off by {error:e}");
                assert!(printed.contains(tensor), "{printed}");
            }
        }
    }
}

fn a_pass_on_the_cache_of_another_gives_what_one_pass_gives(shared: &Shared) {
    let golden = shared.golden("moe");
    let package = shared.package("moe");
    let series = golden.matrix("series").insert_axis(Axis(2));
    let folder = tempdir().unwrap();
    let [inputs, outputs] = ["in.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
    let pass = |tensors: &NamedTensors| {
        Tensor::write_all(&inputs, tensors).unwrap();
        let arguments = arguments!["run", package, "--inputs", inputs, "--outputs", outputs, "--force"];
        Outcome::of(command(arguments).args(["--provider", "tract"])).success();
        Tensor::read_all(&outputs).unwrap()
    };
    let points = |points: Array3<f32>| ("input_ids".to_owned(), Tensor::from(points));
    let first = pass(&[points(series.slice(s![.., ..30, ..]).to_owned())].into());
    let mut second: NamedTensors = [points(series.slice(s![.., 30.., ..]).to_owned())].into();
    for (name, tensor) in first {
        if let Some(cache) = name.strip_prefix("present.") {
            second.insert(format!("past_key_values.{cache}"), tensor);
        }
    }
    let found = pass(&second);
    let expected = golden.float("predictions.h64").slice(s![.., -1, ..]).to_owned().into_dyn();
    assert!(error(&found["predictions.h64"], &expected) <= 1e-5);
    assert!(error(&found["present.2.key"], &golden.float("present.2.key")) <= 1e-5);
}

fn json_lists_every_output_with_its_shape(shared: &Shared) {
    let folder = tempdir().unwrap();
    let [inputs, outputs] = ["in.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
    write_inputs(&inputs, 2, 7);
    let arguments =
        arguments!["run", shared.package("moe-gqa"), "--inputs", inputs, "--outputs", outputs, "--json"];
    let printed = Outcome::of(command(arguments).args(["--provider", "tract"])).success();
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["provider"], "tract");
    let expected = json!({
        "predictions.h1": [2, 1],
        "predictions.h4": [2, 4],
        "predictions.h16": [2, 16],
        "present.0.key": [2, 2, 7, 8],
        "present.0.value": [2, 2, 7, 8],
        "present.1.key": [2, 2, 7, 8],
        "present.1.value": [2, 2, 7, 8],
    });
    assert_eq!(report["outputs"], expected);
}

fn inputs_that_do_not_fit_the_graph_are_named(shared: &Shared) {
    let folder = tempdir().unwrap();
    let [inputs, outputs] = ["in.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
    let refused = |facts: &[&str]| {
        let arguments = arguments!["run", shared.package("dense"), "--inputs", inputs, "--outputs", outputs];
        Outcome::of(command(arguments).args(["--provider", "tract"])).failure(facts);
        assert_eq!(entries(folder.path()), ["in.safetensors"]);
    };
    let points = || Tensor::from(Array3::<f32>::zeros((2, 3, 1)));
    write(&inputs, []);
    refused(&["input_ids"]);
    write(&inputs, [("input_ids", points()), ("position_ids", Array2::<i64>::zeros((2, 3)).into())]);
    refused(&["position_ids"]);
    write(&inputs, [("input_ids", Array2::<f32>::zeros((2, 3)).into())]);
    refused(&["input_ids"]);
    write(&inputs, [("input_ids", Array3::<i64>::zeros((2, 3, 1)).into())]);
    refused(&["input_ids"]);
    write(&inputs, [("input_ids", points()), ("attention_mask", Array2::<i64>::ones((2, 4)).into())]);
    refused(&["attention_mask"]);
    write(&inputs, [("input_ids", points()), ("attention_mask", Array2::<i64>::from_elem((2, 3), 5).into())]);
    refused(&["attention_mask", "5"]);
    write(&inputs, [("input_ids", Array3::<f32>::zeros((2, 0, 1)).into())]);
    refused(&["input_ids"]);
}

fn a_file_that_holds_no_tensors_is_named(shared: &Shared) {
    let folder = tempdir().unwrap();
    let [inputs, outputs] = ["in.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
    let refused = |facts: &[&str]| {
        run(arguments!["run", shared.package("dense"), "--inputs", inputs, "--outputs", outputs])
            .failure(facts);
        assert!(!outputs.exists());
    };
    refused(&["cannot read", "in.safetensors"]);
    for contents in [&b""[..], b"a,b\n1,2\n", &u64::MAX.to_le_bytes()] {
        fs::write(&inputs, contents).unwrap();
        refused(&["in.safetensors", "safetensors file"]);
    }
}
