//! Checkpoints to export: the goldens, damaged copies of them, and larger random ones.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::{arguments, run};

/// The golden checkpoints.
pub(crate) const GOLDENS: [&str; 5] = ["moe", "moe-gqa", "dense", "moe-bf16", "gelu-one-head"];

/// A golden checkpoint's folder.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// A copy of a golden checkpoint in `parent`, to be damaged.
pub(crate) fn copy(name: &str, parent: &Path) -> PathBuf {
    let folder = parent.join("checkpoint");
    fs::create_dir(&folder).unwrap();
    for file in weight_files(&golden(name)) {
        fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
    fs::copy(golden(name).join("config.json"), folder.join("config.json")).unwrap();
    folder
}

/// Changes a checkpoint's `config.json`.
pub(crate) fn edit_config(checkpoint: &Path, edit: impl FnOnce(&mut Value)) {
    let path = checkpoint.join("config.json");
    let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut config);
    fs::write(&path, config.to_string()).unwrap();
}

/// Sets one element of a float32 tensor in a checkpoint's only weights file.
pub(crate) fn set_weight(checkpoint: &Path, tensor: &str, element: usize, value: f32) {
    let path = checkpoint.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let (header, data) = header(&bytes);
    assert_eq!(header[tensor]["dtype"], "F32");
    let begin = data + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize + 4 * element;
    bytes[begin..begin + 4].copy_from_slice(&value.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

/// The tensors of a checkpoint: name, element type and number of elements.
pub(crate) fn tensors(checkpoint: &Path) -> Vec<(String, String, u64)> {
    let mut tensors = Vec::new();
    for file in weight_files(checkpoint) {
        for (name, entry) in header(&fs::read(file).unwrap()).0 {
            if name != "__metadata__" {
                let shape = entry["shape"].as_array().unwrap();
                let elements = shape.iter().map(|size| size.as_u64().unwrap()).product();
                tensors.push((name, entry["dtype"].as_str().unwrap().to_owned(), elements));
            }
        }
    }
    tensors
}

/// How many parameters a checkpoint's files hold.
pub(crate) fn parameters(checkpoint: &Path) -> u64 {
    tensors(checkpoint).iter().map(|(_, _, elements)| elements).sum()
}

/// The files with a checkpoint's weights, and the index of shards.
pub(crate) fn weight_files(checkpoint: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(checkpoint)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("model"))
        .collect();
    files.sort();
    files
}

/// The header of a safetensors file, and where its data begin. A file of another kind has no tensors.
fn header(bytes: &[u8]) -> (Map<String, Value>, usize) {
    if bytes.starts_with(b"{") {
        return (Map::new(), 0);
    }
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), 8 + length)
}

/// Writes the configuration of a model whose export takes long enough to be stopped on the way: 9 million parameters.
pub(crate) fn moderate_config(parent: &Path) -> PathBuf {
    let mut config: Value =
        serde_json::from_slice(&fs::read(golden("moe").join("config.json")).unwrap()).unwrap();
    config["hidden_size"] = json!(128);
    config["intermediate_size"] = json!(512);
    config["num_hidden_layers"] = json!(8);
    let path = parent.join("moderate.json");
    fs::write(&path, config.to_string()).unwrap();
    path
}

/// A random checkpoint of that size.
pub(crate) fn moderate(parent: &Path) -> PathBuf {
    let checkpoint = parent.join("moderate");
    run(arguments!["init", "--config", moderate_config(parent), "--output", checkpoint]).success();
    checkpoint
}

/// A package of the golden `dense`, the quickest to write.
pub(crate) fn package(parent: &Path) -> PathBuf {
    let package = parent.join("package");
    run(arguments!["onnx", golden("dense"), "--output", package]).success();
    package
}
