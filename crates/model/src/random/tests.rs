use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::config::HfConfig;
use crate::presets::Preset;

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn written(config: &Config, options: Options) -> (tempfile::TempDir, Checkpoint) {
    let parent = tempfile::tempdir().unwrap();
    let output = parent.path().join("checkpoint");
    write(config, &options, &output, &mut go_on).unwrap();
    let checkpoint = Checkpoint::open(output).unwrap();
    (parent, checkpoint)
}

fn values(checkpoint: &Checkpoint, name: TensorName) -> Vec<f32> {
    let view = checkpoint.tensor(name).unwrap();
    let mut values = vec![0.0; view.elements()];
    view.copy_to_f32(&mut values).unwrap();
    values
}

fn tiny() -> Config {
    Preset::Tiny.config().unwrap()
}

#[test]
fn what_is_written_is_a_complete_checkpoint_of_the_configuration() {
    let grouped = Config::try_from(HfConfig {
        hidden_size: 48,
        intermediate_size: 97,
        num_hidden_layers: 2,
        num_attention_heads: 6,
        num_key_value_heads: Some(2),
        num_experts: 5,
        num_experts_per_tok: 3,
        horizon_lengths: vec![1, 4].into(),
        ..HfConfig::time_moe()
    })
    .unwrap();
    let dense = Config::try_from(HfConfig { use_dense: true, ..grouped.clone().into() }).unwrap();
    for config in [tiny(), grouped, dense] {
        for float_type in FloatType::ALL {
            let (_parent, checkpoint) = written(&config, Options { float_type, ..Options::default() });
            assert_eq!(*checkpoint.config(), config);
            assert_eq!(checkpoint.unused_tensors(), []);
            for view in checkpoint.tensors() {
                assert_eq!(view.float_type(), float_type);
                view.check_finite().unwrap();
            }
            let expected = config.parameter_count() * float_type.size() as u64;
            assert_eq!(checkpoint.weight_bytes() as u64, expected);
        }
    }
}

#[test]
fn the_data_starts_at_a_multiple_of_eight_bytes() {
    let (_parent, checkpoint) = written(&tiny(), Options::default());
    let bytes = checkpoint.files()[0].bytes();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(header % 8, 0);
}

#[test]
fn the_first_weights_of_seed_0_are_those_of_an_independent_computation() {
    // xoshiro256++ seeded by SplitMix64 (Blackman and Vigna 2019), written down in Python from the paper.
    let (_parent, checkpoint) = written(&tiny(), Options::default());
    let embed = values(&checkpoint, TensorName::Embed);
    assert_eq!(embed[..4], [-1.5331991, 0.71464014, 1.1110752, -1.107375]);
}

#[test]
fn equal_seeds_give_equal_weights_and_different_seeds_different_ones() {
    let router = |seed, shard_bytes| {
        let options = Options { seed, shard_bytes, ..Options::default() };
        values(&written(&tiny(), options).1, TensorName::Router(1))
    };
    assert_eq!(router(7, None), router(7, None));
    assert_eq!(router(7, None), router(7, Some(20_000)), "sharding does not change the weights");
    assert_ne!(router(7, None), router(8, None));
}

#[test]
fn shards_stay_within_their_size_and_hold_everything() {
    let options = Options { shard_bytes: Some(20_000), ..Options::default() };
    let (_parent, checkpoint) = written(&tiny(), options);
    assert!(checkpoint.files().len() > 5);
    for file in checkpoint.files() {
        let bytes = file.bytes();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert!(bytes.len() - 8 - header <= 20_000);
    }
    // A limit smaller than any tensor gives one shard per tensor.
    let options = Options { shard_bytes: Some(1), ..Options::default() };
    let (_parent, checkpoint) = written(&tiny(), options);
    assert_eq!(checkpoint.files().len(), TensorName::all(&tiny()).count());
}

#[test]
fn weights_have_the_deviation_that_keeps_variances() {
    let config = Preset::Base50m.config().unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut sample = vec![0.0; 100_000];
    for (name, mean, deviation) in [
        (TensorName::Query(0), 0.0, 384_f64.sqrt().recip()),
        (TensorName::Router(0), 0.0, 2.0 / 384_f64.sqrt()),
        (TensorName::AttentionOutput(0), 0.0, (384.0 * 24_f64).sqrt().recip()),
        (TensorName::Embed, 0.0, 1.0),
        (TensorName::FinalNorm, 1.0, 0.02),
        (TensorName::KeyBias(0), 0.0, 0.02),
    ] {
        Init::of(name, &config).fill(&mut rng, &mut sample);
        let count = sample.len() as f64;
        let found = sample.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let variance = sample.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
        // Five standard errors.
        assert!((found - mean).abs() < 5.0 * deviation / count.sqrt(), "{name} {found}");
        assert!((variance.sqrt() / deviation - 1.0).abs() < 5.0 / (2.0 * count).sqrt(), "{name}");
    }
}

/// Router logits of the first layer for points that attend to nothing: enough to see whether one expert
/// takes everything.
#[test]
fn different_points_choose_different_experts() {
    let (_parent, checkpoint) = written(&tiny(), Options { seed: 5, ..Options::default() });
    let gate = values(&checkpoint, TensorName::EmbedGate);
    let embed = values(&checkpoint, TensorName::Embed);
    let router = values(&checkpoint, TensorName::Router(0));
    let mut chosen = BTreeSet::new();
    for step in -20..=20 {
        let x = step as f32 / 10.0 + 0.05;
        let hidden: Vec<f32> = gate
            .iter()
            .zip(&embed)
            .map(|(gate, embed)| gate * x / (1.0 + (-gate * x).exp()) * embed * x)
            .collect();
        let square: f32 = hidden.iter().map(|h| h * h).sum::<f32>() / hidden.len() as f32;
        let logits: Vec<f32> = router
            .chunks(hidden.len())
            .map(|row| row.iter().zip(&hidden).map(|(w, h)| w * h).sum::<f32>() / square.sqrt())
            .collect();
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        let spread = logits.iter().fold(0.0_f32, |most, logit| most.max(logit.abs()));
        assert!((0.1..10.0).contains(&spread), "{logits:?}");
        chosen.insert(best);
    }
    assert!(chosen.len() >= 2, "{chosen:?}");
}

#[test]
fn progress_ends_at_the_total() {
    let parent = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    write(&tiny(), &Options::default(), parent.path().join("out"), &mut |progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    let total = tiny().parameter_count() * 4;
    assert_eq!(*seen.last().unwrap(), Progress { written: total, total });
    assert!(seen.is_sorted_by_key(|progress| progress.written));
}

#[test]
fn nothing_remains_when_the_writing_is_cancelled() {
    let parent = tempfile::tempdir().unwrap();
    let output = parent.path().join("out");
    let mut calls = 0;
    let error = write(&tiny(), &Options::default(), &output, &mut |_| {
        calls += 1;
        if calls == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap_err();
    assert_eq!(error.to_string(), format!("cancelled: {} was not written", output.display()));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn an_existing_output_is_kept_without_force_and_replaced_with_it() {
    let (_parent, checkpoint) = written(&tiny(), Options::default());
    let output = checkpoint.directory();
    let error = write(&tiny(), &Options::default(), output, &mut go_on).unwrap_err();
    assert!(matches!(error, WriteError::Staging(StagingError::Exists { .. })), "{error}");
    let forced = Options { seed: 1, force: true, ..Options::default() };
    write(&tiny(), &forced, output, &mut go_on).unwrap();
    let replaced = Checkpoint::open(output).unwrap();
    // The open checkpoint still sees the replaced files.
    assert_ne!(values(&checkpoint, TensorName::Router(0)), values(&replaced, TensorName::Router(0)));
}

#[test]
fn more_tensors_than_a_header_can_name_are_refused() {
    let config = Config::try_from(HfConfig {
        hidden_size: 2,
        num_attention_heads: 1,
        intermediate_size: 2,
        num_hidden_layers: 1 << 14,
        num_experts: 1 << 14,
        ..HfConfig::time_moe()
    })
    .unwrap();
    let parent = tempfile::tempdir().unwrap();
    let output = parent.path().join("out");
    let error = write(&config, &Options::default(), output, &mut go_on).unwrap_err();
    assert!(matches!(error, WriteError::TooManyTensors { .. }), "{error}");
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let config = tiny();
    let shards = layout(&config, &Options::default()).unwrap();
    let mut weights = Weights {
        config: &config,
        float_type: FloatType::F32,
        rng: Xoshiro256PlusPlus::seed_from_u64(0),
        values: vec![0.0; BLOCK],
        encoded: Vec::new(),
        done: Progress { written: 0, total: 0 },
        progress: &mut go_on,
    };
    let stop = weights.write_shard(&shards[0], &mut Full).err().unwrap();
    let error = stop.explain(&shards[0].file, Path::new("out"));
    let text = error.to_string();
    assert!(text.starts_with("cannot write model.safetensors for out: "), "{text}");
}

#[test]
fn the_configuration_names_the_stored_type() {
    let options = Options { float_type: FloatType::BF16, ..Options::default() };
    let (_parent, checkpoint) = written(&tiny(), options);
    let text = fs::read_to_string(checkpoint.directory().join(CONFIG_FILE)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["torch_dtype"], "bfloat16");
    assert_eq!(json["model_type"], "time_moe");
}
