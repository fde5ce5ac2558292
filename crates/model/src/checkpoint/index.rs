//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;

use super::CheckpointError;
use crate::bounded;

/// Longest index read, in bytes: room for half a million tensors.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Name of the index in a checkpoint's folder.
pub(crate) const FILE_NAME: &str = "model.safetensors.index.json";

#[derive(Deserialize)]
struct Raw {
    weight_map: BTreeMap<String, String>,
}

/// Reads an index: shard file names by tensor name. Every shard name is a plain file name.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, String>, CheckpointError> {
    let text = bounded::read_to_string(path, MAX_FILE_BYTES).map_err(|error| match error {
        bounded::ReadError::Io(source) => CheckpointError::Read { file: path.to_path_buf(), source },
        bounded::ReadError::TooLong { found } => {
            CheckpointError::IndexTooLong { file: path.to_path_buf(), found, limit: MAX_FILE_BYTES }
        }
    })?;
    let Raw { weight_map } = serde_json::from_str(&text)
        .map_err(|source| CheckpointError::Index { file: path.to_path_buf(), source })?;
    match weight_map.iter().find(|(_, shard)| !is_plain_file_name(shard)) {
        None => Ok(weight_map),
        Some((tensor, shard)) => Err(CheckpointError::ShardName {
            index: path.to_path_buf(),
            tensor: tensor.clone(),
            shard: shard.clone(),
        }),
    }
}

/// Whether joining `name` to a folder gives a file directly in that folder, on any operating system.
fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let plain = matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(only)), None) if only == name
    );
    plain && !name.contains(['\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_files_in_the_same_folder_are_plain() {
        assert!(is_plain_file_name("model-00001-of-00002.safetensors"));
        assert!(is_plain_file_name("..hidden"));
        for name in ["", ".", "..", "/etc/passwd", "../a", "a/b", "a/", "./a", "a\\b", "C:a", "a\0b"] {
            assert!(!is_plain_file_name(name), "{name:?}");
        }
    }
}
