//! Stand-ins for tests: a driver that is made of C source, whose devices lie in host memory, and a tiny package.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use tmoe_export::{ExportOptions, Silent, export};
use tmoe_model::{Checkpoint, Config, HfConfig, random};
use tmoe_package::{Package, Precision};

use super::driver::Driver;
use super::error::CudaError;

/// Bytes of each device.
pub(super) const DEVICE_BYTES: usize = 64 << 20;

/// Compiles a driver with that many devices, whose `cuInit` returns `init`, and opens it; `None` where there is no C compiler.
/// It stays for the rest of the process.
pub(super) fn driver(devices: u32, init: i32) -> Option<Result<&'static Driver, CudaError>> {
    let folder = tempfile::tempdir().unwrap();
    let (code, library) = (folder.path().join("driver.c"), folder.path().join("libcuda.so.1"));
    std::fs::write(&code, include_str!("testing/driver.c")).unwrap();
    let defines = [
        format!("-DDEVICES={devices}"),
        format!("-DINIT={init}"),
        format!("-DTOTAL={DEVICE_BYTES}UL"),
        "-DVERSION=13020".to_owned(),
    ];
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-w", "-o"]).arg(&library).args(defines).arg(&code);
    if !compiler.status().is_ok_and(|status| status.success()) {
        return None;
    }
    Some(open(&library))
}

fn open(library: &Path) -> Result<&'static Driver, CudaError> {
    let library: &'static str = String::leak(library.to_str().unwrap().to_owned());
    Driver::open(library).map(|driver| &*Box::leak(Box::new(driver)))
}

/// Blocks, contexts and streams of a driver that were not given back.
pub(super) fn live(driver: &Driver) -> i64 {
    // SAFETY: the function is one of the source above.
    unsafe { driver.library().get::<unsafe extern "C" fn() -> i64>(b"fake_live\0").unwrap()() }
}

/// A package of a tiny model with random weights: 128 bytes of cache for each series and point.
pub(super) fn package(folder: &Path) -> Package {
    package_of(folder, Precision::Fp32)
}

/// The same with weights of another precision, and with that, half as much of cache.
pub(super) fn package_of(folder: &Path, precision: Precision) -> Package {
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
