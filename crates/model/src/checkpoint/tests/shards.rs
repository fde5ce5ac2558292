//! Checkpoints cut into shards.

use std::fs;

use tempfile::TempDir;

use super::super::*;
use super::open_error;
use crate::testing::{copy_of, golden};

fn edit_index(folder: &TempDir, tensor: &str, shard: &str) {
    let path = folder.path().join(index::FILE_NAME);
    let mut index: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    index["weight_map"][tensor] = shard.into();
    fs::write(&path, index.to_string()).unwrap();
}

#[test]
fn a_missing_shard_is_named() {
    let folder = copy_of("moe-gqa");
    let shard = folder.path().join("model-00003-of-00007.safetensors");
    fs::remove_file(&shard).unwrap();
    let error = open_error(&folder);
    assert!(
        matches!(&error, CheckpointError::ShardMissing { shard: found, .. } if *found == shard),
        "{error}"
    );
}

#[test]
fn an_index_that_places_a_tensor_in_the_wrong_shard_is_refused() {
    let folder = copy_of("moe-gqa");
    edit_index(&folder, "model.norm.weight", "model-00001-of-00007.safetensors");
    let error = open_error(&folder);
    assert!(
        matches!(&error, CheckpointError::NotInShard { tensor, .. } if tensor == "model.norm.weight"),
        "{error}"
    );
}

#[test]
fn an_index_that_lacks_a_tensor_is_named() {
    let folder = copy_of("moe-gqa");
    let path = folder.path().join(index::FILE_NAME);
    let text = fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["weight_map"].as_object_mut().unwrap().remove("model.norm.weight");
    fs::write(&path, json.to_string()).unwrap();
    let error = open_error(&folder);
    assert!(matches!(&error, CheckpointError::TensorMissing { file, .. } if *file == path), "{error}");
}

#[test]
fn an_index_that_leads_out_of_the_folder_is_refused() {
    let outside = golden("moe").join(SINGLE_FILE);
    for shard in ["../model.safetensors", outside.to_str().unwrap(), "", "sub/model.safetensors"] {
        let folder = copy_of("moe-gqa");
        edit_index(&folder, "model.norm.weight", shard);
        let error = open_error(&folder);
        assert!(
            matches!(&error, CheckpointError::ShardName { shard: found, .. } if found == shard),
            "{error}"
        );
    }
}

#[test]
fn an_index_that_is_not_of_its_format_is_refused() {
    for text in ["", "{}", r#"{"weight_map": {"a": 1}}"#, "[]"] {
        let folder = copy_of("moe-gqa");
        fs::write(folder.path().join(index::FILE_NAME), text).unwrap();
        assert!(matches!(open_error(&folder), CheckpointError::Index { .. }), "{text}");
    }
}

#[test]
fn an_index_far_larger_than_any_is_refused_without_reading_it() {
    let folder = copy_of("moe-gqa");
    let file = fs::File::create(folder.path().join(index::FILE_NAME)).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(matches!(open_error(&folder), CheckpointError::IndexTooLong { .. }));
}

#[test]
fn the_single_file_is_used_where_shards_are_too() {
    let folder = copy_of("moe");
    fs::write(folder.path().join(index::FILE_NAME), "not an index").unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().files().len(), 1);
}

#[test]
fn shards_are_listed_and_every_tensor_names_its_own() {
    let checkpoint = Checkpoint::open(golden("moe-gqa")).unwrap();
    assert_eq!(checkpoint.files().len(), 7);
    for file in checkpoint.files() {
        assert_eq!(file.len() as u64, fs::metadata(file.path()).unwrap().len());
        assert_eq!(file.bytes(), fs::read(file.path()).unwrap());
    }
    // The index of this checkpoint places the heads in the last shard.
    let head = checkpoint.tensor(TensorName::Head(0)).unwrap();
    assert!(head.file().ends_with("model-00007-of-00007.safetensors"), "{:?}", head.file());
}
