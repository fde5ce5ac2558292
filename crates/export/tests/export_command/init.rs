//! `tmoe-export init`: random checkpoints.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::checkpoints::{GOLDENS, golden, parameters, tensors, weight_files};
use crate::outcome::entries;
use crate::{arguments, run};

fn config(checkpoint: &Path) -> Value {
    serde_json::from_slice(&fs::read(checkpoint.join("config.json")).unwrap()).unwrap()
}

#[test]
fn equal_seeds_give_equal_files_and_other_seeds_others() {
    let folder = tempdir().unwrap();
    let [first, again, other] = [("first", "7"), ("again", "7"), ("other", "8")].map(|(name, seed)| {
        let checkpoint = folder.path().join(name);
        run(arguments!["init", "--preset", "tiny", "--seed", seed, "--output", checkpoint]).success();
        assert_eq!(entries(&checkpoint), ["config.json", "model.safetensors"]);
        fs::read(checkpoint.join("model.safetensors")).unwrap()
    });
    assert!(first == again);
    assert!(first != other);
    assert_eq!(entries(folder.path()), ["again", "first", "other"]);
}

#[test]
fn every_type_of_weights_is_written_and_can_be_exported() {
    let folder = tempdir().unwrap();
    for (dtype, stored, torch) in
        [("f32", "F32", "float32"), ("bf16", "BF16", "bfloat16"), ("f16", "F16", "float16")]
    {
        let checkpoint = folder.path().join(dtype);
        run(arguments!["init", "--preset", "tiny", "--dtype", dtype, "--output", checkpoint]).success();
        assert_eq!(config(&checkpoint)["torch_dtype"], torch);
        for (name, found, _) in tensors(&checkpoint) {
            assert_eq!(found, stored, "{name}");
        }
        run(arguments!["onnx", checkpoint, "--output", folder.path().join(format!("{dtype}-package"))])
            .success();
    }
}

#[test]
fn shards_hold_what_one_file_would_hold_and_stay_within_their_size() {
    let folder = tempdir().unwrap();
    let (one, many) = (folder.path().join("one"), folder.path().join("many"));
    run(arguments!["init", "--preset", "tiny", "--output", one]).success();
    run(arguments!["init", "--preset", "tiny", "--shard-bytes", "40000", "--output", many]).success();
    let sorted = |checkpoint: &Path| tensors(checkpoint).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sorted(&one), sorted(&many));

    let index: Value =
        serde_json::from_slice(&fs::read(many.join("model.safetensors.index.json")).unwrap()).unwrap();
    let placed: BTreeSet<&String> = index["weight_map"].as_object().unwrap().keys().collect();
    assert_eq!(placed.len(), tensors(&many).len());
    let shards: Vec<_> =
        weight_files(&many).into_iter().filter(|file| file.extension().unwrap() == "safetensors").collect();
    assert!(shards.len() > 2, "{shards:?}");
    for shard in shards {
        let bytes = fs::read(&shard).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert!(bytes.len() as u64 - 8 - header <= 40000, "{} is too long", shard.display());
    }

    let [from_one, from_many] = [("one-package", &one), ("many-package", &many)].map(|(name, checkpoint)| {
        let package = folder.path().join(name);
        run(arguments!["onnx", checkpoint, "--output", package]).success();
        fs::read(package.join("weights.bin")).unwrap()
    });
    assert!(from_one == from_many, "the same weights become the same package");
}

#[test]
fn a_configuration_file_gives_the_shape() {
    for name in GOLDENS {
        let folder = tempdir().unwrap();
        let checkpoint = folder.path().join("checkpoint");
        let file = golden(name).join("config.json");
        let printed = run(arguments!["init", "--config", file, "--output", checkpoint, "--json"]).success();
        let report: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(report["checkpoint"], checkpoint.to_str().unwrap());
        assert_eq!(report["parameters"], parameters(&golden(name)), "{name}");
        assert_eq!(parameters(&checkpoint), parameters(&golden(name)), "{name}");
        run(arguments!["onnx", checkpoint, "--output", folder.path().join("package")]).success();
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_and_nothing_is_written() {
    let folder = tempdir().unwrap();
    let output = folder.path().join("output");
    let refused = |text: Option<&str>, facts: &[&str]| {
        let file = folder.path().join("shape.json");
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        run(arguments!["init", "--config", file, "--output", output]).failure(facts);
        assert!(!output.exists());
    };
    refused(None, &["cannot read", "shape.json"]);
    refused(Some(""), &["shape.json"]);
    refused(Some("{\"model_type\": \"bert\"}"), &["shape.json", "\"bert\"", "time_moe"]);
    let huge = fs::read_to_string(golden("moe").join("config.json")).unwrap();
    refused(
        Some(&huge.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4000000000")),
        &["shape.json", "num_hidden_layers"],
    );
}
