mod shards;

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::header::HeaderError;
use crate::tensors::FfnPart;
use crate::testing::{copy_of, golden, safetensors};

/// Rewrites the weight file of a copied checkpoint with an edited header, keeping its data.
fn edit_header(folder: &TempDir, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.path().join(SINGLE_FILE);
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    edit(&mut header);
    fs::write(&path, safetensors(&header.to_string(), &bytes[8 + length..])).unwrap();
}

fn open_error(folder: &TempDir) -> CheckpointError {
    Checkpoint::open(folder.path()).unwrap_err()
}

#[test]
fn every_tensor_of_every_golden_checkpoint_is_found_with_its_shape() {
    for folder in ["moe", "moe-gqa", "dense", "moe-bf16", "gelu-one-head"] {
        let checkpoint = Checkpoint::open(golden(folder)).unwrap();
        let config = checkpoint.config();
        let mut bytes = 0;
        for name in TensorName::all(config) {
            let view = checkpoint.tensor(name).unwrap();
            assert_eq!(view.shape(), name.shape(config).unwrap(), "{folder} {name}");
            view.check_finite().unwrap();
            bytes += view.bytes().len();
        }
        assert_eq!(checkpoint.weight_bytes(), bytes);
        assert_eq!(checkpoint.tensors().count(), TensorName::all(config).count());
        assert_eq!(checkpoint.unused_tensors(), []);
    }
}

#[test]
fn the_values_are_those_that_the_safetensors_crate_reads() {
    for folder in ["moe", "moe-bf16"] {
        let bytes = fs::read(golden(folder).join(SINGLE_FILE)).unwrap();
        let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let checkpoint = Checkpoint::open(golden(folder)).unwrap();
        for view in checkpoint.tensors() {
            let expected = reference.tensor(&view.name().to_string()).unwrap();
            assert_eq!(view.bytes(), expected.data());
            let mut values = vec![0.0; view.elements()];
            view.copy_to_f32(&mut values).unwrap();
            let stored = expected.data().chunks(view.float_type().size());
            for (value, stored) in values.into_iter().zip(stored) {
                let expected = match *stored {
                    [a, b] => f32::from_le_bytes([0, 0, a, b]),
                    [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
                    _ => unreachable!(),
                };
                assert_eq!(value, expected);
            }
        }
    }
}

#[test]
fn rows_are_the_slices_of_the_first_dimension() {
    let checkpoint = Checkpoint::open(golden("moe")).unwrap();
    let name = TensorName::Expert { layer: 1, expert: 3, part: FfnPart::Down };
    let view = checkpoint.tensor(name).unwrap();
    let mut whole = vec![0.0; view.elements()];
    view.copy_to_f32(&mut whole).unwrap();
    let [rows, columns] = view.shape() else { panic!("a matrix") };
    assert_eq!(view.rows().len(), *rows);
    for (row, expected) in view.rows().zip(whole.chunks(*columns)) {
        let mut values = vec![0.0; row.elements()];
        row.copy_to_f32(&mut values).unwrap();
        assert_eq!(values, expected);
        assert!(row.copy_to_f32(&mut [0.0]).is_err());
    }
    let norm = checkpoint.tensor(TensorName::FinalNorm).unwrap();
    assert_eq!(norm.rows().len(), norm.elements());
}

#[test]
fn a_released_tensor_can_be_read_again() {
    let checkpoint = Checkpoint::open(golden("moe")).unwrap();
    let before: Vec<Vec<u8>> = checkpoint.tensors().map(|view| view.bytes().to_vec()).collect();
    for view in checkpoint.tensors() {
        view.release();
    }
    let file = &checkpoint.files()[0];
    file.release(0..usize::MAX);
    file.release(usize::MAX..usize::MAX);
    for (view, before) in checkpoint.tensors().zip(before) {
        assert_eq!(view.bytes(), before);
    }
}

/// Resident pages of a file that this process has mapped, in bytes.
#[cfg(target_os = "linux")]
fn resident(path: &Path) -> u64 {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = maps.lines();
    let mut sum = 0;
    while let Some(line) = lines.next() {
        if line.ends_with(path.to_str().unwrap()) {
            let rss = lines.find(|line| line.starts_with("Rss:")).unwrap();
            sum += rss.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024;
        }
    }
    sum
}

#[cfg(target_os = "linux")]
#[test]
fn released_tensors_do_not_count_as_memory_of_the_process() {
    let copy = copy_of("moe");
    let checkpoint = Checkpoint::open(copy.path()).unwrap();
    let path = fs::canonicalize(checkpoint.files()[0].path()).unwrap();
    for view in checkpoint.tensors() {
        view.check_finite().unwrap();
    }
    let read = resident(&path);
    assert!(read > 400_000, "{read}");
    for view in checkpoint.tensors() {
        view.release();
    }
    let released = resident(&path);
    assert!(released < read / 10, "{released} of {read}");
}

#[test]
fn a_checkpoint_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Checkpoint>();
    shareable::<TensorView<'static>>();
}

#[test]
fn a_destination_of_another_length_names_the_tensor() {
    let checkpoint = Checkpoint::open(golden("moe")).unwrap();
    let error = checkpoint.tensor(TensorName::FinalNorm).unwrap().copy_to_f32(&mut [0.0; 3]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "tensor model.norm.weight: cannot convert 32 elements into a slice of 3, \
         expected equal lengths"
    );
}

#[test]
fn a_tensor_that_the_model_does_not_have_is_an_error() {
    let checkpoint = Checkpoint::open(golden("moe")).unwrap();
    let error = checkpoint.tensor(TensorName::Head(9)).unwrap_err();
    assert!(error.to_string().ends_with("has no tensor lm_heads.9.out_layer.weight"), "{error}");
}

#[test]
fn unknown_tensors_are_ignored_and_listed() {
    let folder = copy_of("moe");
    let path = folder.path().join(SINGLE_FILE);
    let mut length = fs::metadata(&path).unwrap().len() as usize;
    edit_header(&folder, |header| {
        let data =
            header.as_object().unwrap().values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
        let end = data.max().unwrap();
        length = end as usize;
        header["model.layers.0.self_attn.rotary_emb.inv_freq"] = serde_json::json!(
            {"dtype": "F32", "shape": [4], "data_offsets": [end, end + 16]}
        );
    });
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([0; 16]);
    fs::write(&path, bytes).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(
        checkpoint.unused_tensors(),
        [UnusedTensor { file: path, tensor: "model.layers.0.self_attn.rotary_emb.inv_freq".to_owned() }]
    );
}

#[test]
fn a_path_that_is_no_folder_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = Checkpoint::open(&missing).unwrap_err();
    assert!(matches!(&error, CheckpointError::NotFound { path } if *path == missing), "{error}");
    let file = golden("moe").join(CONFIG_FILE);
    let error = Checkpoint::open(&file).unwrap_err();
    assert!(matches!(&error, CheckpointError::NotAFolder { path } if *path == file), "{error}");
    assert!(error.to_string().contains("give the folder that holds config.json"), "{error}");
}

#[test]
fn a_folder_without_a_configuration_or_weights_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open_error(&folder), CheckpointError::ConfigMissing { .. }));
    fs::copy(golden("moe").join(CONFIG_FILE), folder.path().join(CONFIG_FILE)).unwrap();
    let error = open_error(&folder);
    assert!(matches!(error, CheckpointError::WeightsMissing { .. }));
    assert!(error.to_string().contains("model.safetensors.index.json"), "{error}");
}

#[test]
fn pickled_weights_are_refused_with_the_way_to_convert_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden("moe").join(CONFIG_FILE), folder.path().join(CONFIG_FILE)).unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), "pickle").unwrap();
    let error = open_error(&folder);
    assert!(matches!(error, CheckpointError::PickledWeights { .. }));
    assert!(error.to_string().contains("safe_serialization=True"), "{error}");
}

#[test]
fn a_configuration_that_breaks_a_rule_is_refused_with_its_file() {
    let folder = copy_of("moe");
    let path = folder.path().join(CONFIG_FILE);
    fs::write(&path, r#"{"model_type": "llama"}"#).unwrap();
    let error = open_error(&folder).to_string();
    assert!(error.starts_with(&format!("{}: model_type is \"llama\"", path.display())), "{error}");
}

#[test]
fn a_truncated_file_is_refused_with_both_lengths() {
    let folder = copy_of("moe");
    let path = folder.path().join(SINGLE_FILE);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = open_error(&folder);
    assert!(
        matches!(&error, CheckpointError::Header { source: HeaderError::Truncated { .. }, .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains(&format!("describes {} bytes", bytes.len())), "{text}");
    assert!(text.contains(&format!("found {}", bytes.len() - 1)), "{text}");
    assert!(text.starts_with(path.to_str().unwrap()), "{text}");

    for length in [0, 7, 8, 100] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(matches!(open_error(&folder), CheckpointError::Header { .. }), "{length}");
    }
}

#[test]
fn a_header_length_larger_than_the_file_is_refused() {
    let folder = copy_of("moe");
    let path = folder.path().join(SINGLE_FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let error = open_error(&folder);
    assert!(
        matches!(&error, CheckpointError::Header { source: HeaderError::BeyondFile { .. }, .. }),
        "{error}"
    );
}

#[test]
fn a_folder_in_place_of_the_weights_is_refused() {
    let folder = copy_of("moe");
    let path = folder.path().join(SINGLE_FILE);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = open_error(&folder);
    assert!(matches!(error, CheckpointError::Read { .. }), "{error}");
}

#[test]
fn a_missing_tensor_is_named_with_its_shape() {
    let folder = copy_of("moe");
    edit_header(&folder, |header| {
        let tensors = header.as_object_mut().unwrap();
        let taken = tensors.remove("model.layers.2.ffn_layer.gate.weight").unwrap();
        tensors.insert("model.layers.2.ffn_layer.router.weight".to_owned(), taken);
    });
    let error = open_error(&folder);
    assert!(
        matches!(&error, CheckpointError::TensorMissing { tensor, expected, .. }
            if tensor == "model.layers.2.ffn_layer.gate.weight" && *expected == [8, 32]),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("expected one of shape [8, 32]"), "{text}");
}

#[test]
fn wrong_and_surplus_dimensions_are_refused_with_both_shapes() {
    for found in [vec![64, 16], vec![32, 32, 1], vec![1024]] {
        let folder = copy_of("moe");
        edit_header(&folder, |header| {
            header["model.layers.0.self_attn.q_proj.weight"]["shape"] = serde_json::json!(found);
        });
        let error = open_error(&folder);
        assert!(matches!(error, CheckpointError::Shape { .. }));
        let text = error.to_string();
        let shapes = format!("has shape {found:?}, expected [32, 32]");
        assert!(text.contains("model.layers.0.self_attn.q_proj.weight"), "{text}");
        assert!(text.contains(&shapes), "{text}");
    }
}

#[test]
fn a_tensor_of_integers_is_refused() {
    let folder = copy_of("moe");
    edit_header(&folder, |header| header["model.norm.weight"]["dtype"] = "I32".into());
    let error = open_error(&folder);
    assert!(
        matches!(&error, CheckpointError::ElementType { tensor, found, .. }
            if tensor == "model.norm.weight" && found == "I32"),
        "{error}"
    );
}

#[test]
fn weights_that_are_not_finite_are_named_with_their_place() {
    for (folder, stored, value) in [
        ("moe", f32::NAN.to_le_bytes().to_vec(), "NaN"),
        ("moe", f32::NEG_INFINITY.to_le_bytes().to_vec(), "-inf"),
        ("moe-bf16", vec![0x80, 0x7f], "inf"),
    ] {
        let folder = copy_of(folder);
        let name = TensorName::Router(1);
        let at = {
            let checkpoint = Checkpoint::open(folder.path()).unwrap();
            let view = checkpoint.tensor(name).unwrap();
            view.bytes().as_ptr() as usize - checkpoint.files()[0].bytes().as_ptr() as usize
                + 17 * view.float_type().size()
        };
        let path = folder.path().join(SINGLE_FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at..at + stored.len()].copy_from_slice(&stored);
        fs::write(&path, bytes).unwrap();

        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        checkpoint.tensor(TensorName::Router(0)).unwrap().check_finite().unwrap();
        let error = checkpoint.tensor(name).unwrap().check_finite().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{}: tensor model.layers.1.ffn_layer.gate.weight has {value} at element 17, \
                 expected finite weights: the checkpoint is damaged or its training diverged",
                path.display()
            )
        );
    }
}

#[test]
fn float16_weights_are_read() {
    let folder = copy_of("moe-bf16");
    edit_header(&folder, |header| header["model.norm.weight"]["dtype"] = "F16".into());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.tensor(TensorName::FinalNorm).unwrap().float_type(), FloatType::F16);
    assert_eq!(checkpoint.tensor(TensorName::Embed).unwrap().float_type(), FloatType::BF16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_header_never_panics(
        edits in proptest::collection::vec((0_usize..2000, any::<u8>()), 1..4),
    ) {
        let folder = copy_of("gelu-one-head");
        let path = folder.path().join(SINGLE_FILE);
        let mut bytes = fs::read(&path).unwrap();
        for (at, value) in edits {
            bytes[at] = value;
        }
        fs::write(&path, bytes).unwrap();
        if let Ok(checkpoint) = Checkpoint::open(folder.path()) {
            for view in checkpoint.tensors() {
                let _ = view.check_finite();
            }
        }
    }
}
