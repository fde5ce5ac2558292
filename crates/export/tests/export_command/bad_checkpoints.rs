//! Checkpoints that cannot be exported: the error says why, and nothing is written.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::tempdir;

use crate::checkpoints::{copy, edit_config, set_weight};
use crate::outcome::{Outcome, entries};
use crate::{arguments, command, run};

const Q: &str = "model.layers.1.self_attn.q_proj.weight";
const EXPERT: &str = "model.layers.2.ffn_layer.experts.5.down_proj.weight";

/// Damages a copy of the golden `moe` and expects that the export fails, and says why.
#[track_caller]
fn refused(damage: impl FnOnce(&Path), facts: &[&str]) {
    let folder = tempdir().unwrap();
    let checkpoint = copy("moe", folder.path());
    damage(&checkpoint);
    run(arguments!["onnx", checkpoint, "--output", folder.path().join("package")]).failure(facts);
    assert_eq!(entries(folder.path()), ["checkpoint"]);
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let folder = tempdir().unwrap();
    let missing = folder.path().join("no-such-checkpoint");
    let outcome = run(arguments!["onnx", missing, "--output", folder.path().join("package")]);
    outcome.failure(&["no-such-checkpoint", "expected a checkpoint folder"]);
    assert_eq!(entries(folder.path()), [""; 0]);
}

#[test]
fn a_hub_that_cannot_be_reached_is_named() {
    let folder = tempdir().unwrap();
    let mut command = command(arguments!["onnx", "owner/name", "--output", folder.path().join("package")]);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(variable);
    }
    // Nothing listens on the port that is reserved for discarding.
    command.env("HF_ENDPOINT", "http://127.0.0.1:9").env("HF_HOME", folder.path().join("cache"));
    Outcome::of(&mut command).failure(&["owner/name", "127.0.0.1:9"]);
    assert!(!folder.path().join("package").exists());
}

#[test]
fn a_file_in_place_of_the_folder_is_told_apart() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    fs::write(&file, "").unwrap();
    let outcome = run(arguments!["onnx", file, "--output", folder.path().join("package")]);
    outcome.failure(&["model.safetensors is a file", "config.json"]);
    assert_eq!(entries(folder.path()), ["model.safetensors"]);
}

#[test]
fn another_model_s_checkpoint_is_told_by_its_model_type() {
    let llama = |checkpoint: &Path| edit_config(checkpoint, |config| config["model_type"] = json!("llama"));
    refused(llama, &["config.json", "\"llama\"", "\"time_moe\""]);
}

#[test]
fn a_folder_without_a_configuration_or_without_weights_says_which_file_it_lacks() {
    refused(
        |checkpoint| fs::remove_file(checkpoint.join("config.json")).unwrap(),
        &["checkpoint", "config.json"],
    );
    refused(
        |checkpoint| fs::remove_file(checkpoint.join("model.safetensors")).unwrap(),
        &["checkpoint", "model.safetensors"],
    );
}

#[test]
fn a_configuration_that_contradicts_itself_names_the_field() {
    let set = |field: &'static str, value: serde_json::Value| {
        move |checkpoint: &Path| edit_config(checkpoint, |config| config[field] = value)
    };
    refused(set("hidden_act", json!("mish")), &["config.json", "hidden_act", "\"mish\"", "silu"]);
    refused(
        set("num_attention_heads", json!(5)),
        &["config.json", "hidden_size 32", "num_attention_heads 5"],
    );
    refused(set("num_experts_per_tok", json!(9)), &["config.json", "num_experts_per_tok is 9", "8"]);
    refused(set("horizon_lengths", json!([])), &["config.json", "horizon_lengths is empty"]);
    refused(set("horizon_lengths", json!([8, 1])), &["config.json", "horizon_lengths", "ascending"]);
    refused(set("input_size", json!(2)), &["config.json", "input_size is 2, expected 1"]);
    refused(set("num_hidden_layers", json!(-3)), &["config.json"]);
    refused(set("hidden_size", json!(1_u64 << 60)), &["config.json", "hidden_size"]);
}

#[test]
fn weights_that_do_not_belong_to_the_configuration_name_the_tensor_and_both_shapes() {
    let layers = |checkpoint: &Path| edit_config(checkpoint, |config| config["num_hidden_layers"] = json!(4));
    refused(layers, &["model.safetensors", "has no tensor model.layers.3."]);
    let width = |checkpoint: &Path| edit_config(checkpoint, |config| config["intermediate_size"] = json!(80));
    refused(width, &["model.safetensors", "expected [40, 32]", "[32, 32]"]);
}

#[test]
fn truncated_weights_are_told_by_their_length() {
    let truncate = |keep: fn(u64) -> u64| {
        move |checkpoint: &Path| {
            let file = fs::File::options().write(true).open(checkpoint.join("model.safetensors")).unwrap();
            file.set_len(keep(file.metadata().unwrap().len())).unwrap();
        }
    };
    refused(truncate(|length| length - 1), &["model.safetensors", "truncated"]);
    refused(truncate(|length| length / 2), &["model.safetensors", "truncated"]);
    refused(truncate(|_| 100), &["model.safetensors", "truncated"]);
    refused(truncate(|_| 3), &["model.safetensors", "3 bytes"]);
    refused(truncate(|_| 0), &["model.safetensors", "0 bytes"]);
}

#[test]
fn a_header_longer_than_its_file_is_told_by_both_lengths() {
    for length in [u64::MAX, 1 << 40] {
        let lengthen = |checkpoint: &Path| {
            let path = checkpoint.join("model.safetensors");
            let mut bytes = fs::read(&path).unwrap();
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            fs::write(path, bytes).unwrap();
        };
        refused(lengthen, &["model.safetensors", "header", &length.to_string()]);
    }
}

#[test]
fn a_missing_shard_is_named() {
    let folder = tempdir().unwrap();
    let checkpoint = copy("moe-gqa", folder.path());
    fs::remove_file(checkpoint.join("model-00003-of-00007.safetensors")).unwrap();
    let outcome = run(arguments!["onnx", checkpoint, "--output", folder.path().join("package")]);
    outcome.failure(&["model.safetensors.index.json", "model-00003-of-00007.safetensors"]);
    assert_eq!(entries(folder.path()), ["checkpoint"]);
}

#[test]
fn weights_that_are_not_finite_are_named_with_their_place() {
    for tensor in
        [Q, EXPERT, "model.embed_layer.emb_layer.weight", "model.norm.weight", "lm_heads.3.out_layer.weight"]
    {
        refused(
            |checkpoint| set_weight(checkpoint, tensor, 7, f32::NAN),
            &["model.safetensors", tensor, "NaN", "7"],
        );
    }
    let infinite = |checkpoint: &Path| set_weight(checkpoint, EXPERT, 0, f32::NEG_INFINITY);
    refused(infinite, &["model.safetensors", EXPERT, "-inf"]);
}

#[test]
fn a_weight_beyond_half_precision_is_named_and_single_precision_advised() {
    for tensor in [Q, EXPERT] {
        let folder = tempdir().unwrap();
        let checkpoint = copy("moe", folder.path());
        set_weight(&checkpoint, tensor, 3, 1e30);
        let package = folder.path().join("package");
        let outcome = run(arguments!["onnx", checkpoint, "--output", package, "--precision", "fp16"]);
        outcome.failure(&["model.safetensors", tensor, "element 3", "precision", "--precision fp32"]);
        assert_eq!(entries(folder.path()), ["checkpoint"]);
    }
}
