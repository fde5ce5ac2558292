//! A tiny package, for tests.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use tmoe_export::{ExportOptions, Silent, export};
use tmoe_model::{Checkpoint, Config, HfConfig, random};
use tmoe_package::{Package, Precision};

/// A package of a tiny model with random weights: 128 bytes of cache for each series and point.
pub(crate) fn package(folder: &Path) -> Package {
    package_of(folder, Precision::Fp32)
}

/// The same with weights of another precision, and with that, half as much of cache.
pub(crate) fn package_of(folder: &Path, precision: Precision) -> Package {
    let config = HfConfig {
        hidden_size: 16,
        intermediate_size: 16,
        horizon_lengths: vec![1, 8].into(),
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        num_experts: 4,
        num_experts_per_tok: 2,
        max_position_embeddings: 64,
        ..HfConfig::time_moe()
    };
    let config = Config::try_from(config).unwrap();
    let checkpoint = folder.join("checkpoint");
    let options = random::Options { seed: 5, ..random::Options::default() };
    random::write(&config, &options, &checkpoint, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    let (checkpoint, output) = (Checkpoint::open(checkpoint).unwrap(), folder.join("package"));
    let options = ExportOptions { precision, ..ExportOptions::default() };
    export(&checkpoint, &output, &options, &Silent, &AtomicBool::new(false)).unwrap();
    Package::open(output).unwrap()
}
